// Prints what our instruction definitions lack: the legacy-encoded instructions that iced-x86
// reads and our decoder refuses, by CPUID feature as iced names it, and what the two read
// differently. Covers each opcode with each mandatory prefix, REX.W and every ModRM form.
//
//   tools/missing-instructions.ts [64] [32] [16]     modes to look at; 64 and 32 by default

import { instructions } from '../src/x86/decode/define.ts'
import '../src/x86/instructions/all.ts'
import { type Bitness, compare, systematicSlots } from '../test/x86/iced.ts'

const asked = process.argv.slice(2).map(Number)
const modes = (asked.length > 0 ? asked : [64, 32]) as Bitness[]

for (const bitness of modes) {
  const { agreed, differences, missing } = compare(instructions, systematicSlots(bitness), bitness)
  console.log(`${bitness}-bit mode: ${agreed} encodings agree`)

  const byFeature = new Map<string, string[]>()
  for (const [mnemonic, { features }] of missing) {
    byFeature.set(features, [...(byFeature.get(features) ?? []), mnemonic])
  }
  for (const [features, mnemonics] of [...byFeature].toSorted(([a], [b]) => a.localeCompare(b))) {
    console.log(`  missing ${features}: ${mnemonics.toSorted().join(' ')}`)
  }
  for (const [difference, bytes] of differences) console.log(`  differs: ${difference}: ${bytes}`)
}

// Instructions of every row of the opcode table, encoded by the comparison with the processor
// (test/silicon/encode.ts), with what their memory operands need before them. Left out are those
// that leave the code or change what handlers rely on.

import { instructions } from '../../src/x86/decode/define.ts'
import '../../src/x86/instructions/all.ts'
import type { Row } from '../../src/x86/decode/row.ts'
import { ALL_FEATURES } from '../../src/x86/testing/bare-machine.ts'
import { Encoding, type Segments } from '../silicon/encode.ts'
import type { Random } from '../silicon/random.ts'
import { MODES } from '../silicon/modes.ts'
import { type Variant, variantsOf } from '../silicon/variants.ts'
import { load, RSP } from './encoder.ts'
import type { Item } from './program.ts'

const LEFT_OUT = new Set(
  (
    'HLT INT INT1 INT3 INTO IRET RETF RET JMP CALL SYSCALL SYSENTER SYSRET SYSEXIT VMCALL ' +
    'VMMCALL LDS XSETBV SWAPGS LMSW WRMSR LGDT LIDT LLDT LTR INVPCID POPF LEAVE ENTER ' +
    'MOVNTSS MOVNTSD EXTRQ INSERTQ OUT INS OUTS CLI CLTS XRSTORS XSAVES INVLPG'
  ).split(' '),
)

function isUsable(row: Row): boolean {
  if (LEFT_OUT.has(row.name)) return false
  if (row.operands.some(({ kind, size }) => 'AJCD'.includes(kind) || size === 'p')) return false
  const isSegment = row.operands.some(
    ({ kind, fixed }) => kind === 'S' || fixed?.class === 'segment',
  )
  return !isSegment
}

const SELECTORS = Uint16Array.of(0x2b, 0x2b, 0x2b, 0x2b, 0x2b, 0x2b)

function chosen(mode: number, rows: readonly Row[]): readonly Variant[] {
  const { name } = MODES[mode] as (typeof MODES)[0]
  return variantsOf(rows, { modes: [name], features: ALL_FEATURES })
}

/** By name, so that those with many forms are not all that is tried. */
function byName(bits: 32 | 64): readonly (readonly Variant[])[] {
  const names = new Map<string, Variant[]>()
  const rows = instructions.rows.filter(isUsable)
  for (const variant of chosen(bits === 64 ? 0 : 1, rows)) {
    const known = names.get(variant.row.name)
    if (known) known.push(variant)
    else names.set(variant.row.name, [variant])
  }
  return [...names.values()]
}

const variants = { 32: byName(32), 64: byName(64) }

/** One instruction, behind loads of the registers that its address is made of. */
export function exotic(bits: 32 | 64, r: Random, bases: readonly [number, number]): Item[] {
  const segments: Segments = { selectors: SELECTORS, fsBase: bases[0], gsBase: bases[1] }
  const encoding = new Encoding(r)
  for (;;) {
    const variant = r.pick(r.pick(variants[bits]))
    encoding.encode(variant, segments, 0)
    if (encoding.bytes.length > 15 || encoding.addressSize === 16) continue
    if (encoding.fixedBits[RSP]) continue
    const items: Item[] = []
    for (const [register, size] of encoding.fixedBits.entries()) {
      if (size === 0) continue
      const value = encoding.fixedValue[register] as number
      const high = size === 64 ? Math.floor(value / 4294967296) : 0
      items.push(load(bits, register, value | 0, high))
    }
    const { bytes, relative, target } = encoding
    const base = encoding.override < 4 ? 0 : (bases[encoding.override - 4] as number)
    if (relative < 0) return [...items, { bytes: [...bytes] }]
    const linear = target - base
    return [{ bytes: [...bytes], fixups: [{ at: relative, size: 4, isRelative: true, linear }] }]
  }
}

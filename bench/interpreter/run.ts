// The interpreter beside Bochs: six kernels, each run several times by both in turn. Prints the
// instructions of each kernel, the medians of millions of instructions a second (higher is
// better), their ratio, and geometric means. Needs gcc, nasm and Debian's bochs.
//
// tools/bench interpreter [ROUNDS]

import { geometricMean } from '../statistics.ts'
import { compare } from './compare.ts'

const [rounds = '3'] = process.argv.slice(2)
const rows = await compare(Number(rounds))

const line = (cells: readonly string[]) =>
  cells.map((cell, i) => (i === 0 ? cell.padEnd(16) : cell.padStart(14))).join('')
console.log(line(['kernel', 'instructions', 'ours, MIPS', 'Bochs, MIPS', 'ratio', 'start, ms']))
for (const { name, instructions, ours, bochs, startMs } of rows) {
  const ratio = (ours / bochs).toFixed(2)
  console.log(
    line([name, `${instructions}`, ours.toFixed(1), bochs.toFixed(1), ratio, startMs.toFixed(0)]),
  )
}
const ours = geometricMean(rows.map((row) => row.ours))
const bochs = geometricMean(rows.map((row) => row.bochs))
console.log(
  line(['geometric mean', '', ours.toFixed(1), bochs.toFixed(1), (ours / bochs).toFixed(2)]),
)

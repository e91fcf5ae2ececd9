// Compares translated code with the interpreter on random programs:
//
//   tools/translator-fuzz [--programs N] [--seed N]
//
// Programs have the numbers from the seed on. Prints, for each that differs, what differs and the
// program, made as small as it could be; --seed N --programs 1 runs it again.

import { parseArgs } from 'node:util'
import { compare, Machines } from './compare.ts'
import { programOf } from './generate.ts'
import { listing } from './listing.ts'
import { minimize } from './minimize.ts'

const { values } = parseArgs({
  options: {
    programs: { type: 'string', default: '5000' },
    seed: { type: 'string', default: '1' },
    keep: { type: 'boolean', default: false },
  },
})
/** Programs after which the machines are made anew. */
const LIFETIME = 20_000

const first = Number(values.seed)
const count = Number(values.programs)
const started = performance.now()
let machines = new Machines()
let failed = 0
for (let seed = first; seed < first + count; seed++) {
  if ((seed - first) % LIFETIME === LIFETIME - 1) machines = new Machines()
  const program = programOf(seed)
  const difference = compare(machines, program)
  if (!difference) continue
  failed++
  console.log(`seed ${seed}:`)
  const small = values.keep ? { program, difference } : minimize(machines, program, difference)
  for (const line of listing(small.program)) console.log(`  ${line}`)
  const { slice, executed, found } = small.difference
  console.log(`  in slice ${slice}, after ${executed} instructions:`)
  for (const line of found) console.log(`    ${line}`)
}
const seconds = ((performance.now() - started) / 1000).toFixed(1)
console.log(`${count} programs from seed ${first} in ${seconds} s: ${failed} differ`)
process.exitCode = failed === 0 ? 0 : 1

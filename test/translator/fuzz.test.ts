// Random programs do the same translated and interpreted. XENOLITH_LONG=1 runs many more of them;
// tools/translator-fuzz makes those that differ small.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { compare, Machines } from './compare.ts'
import { programOf } from './generate.ts'
import { listing } from './listing.ts'
import { minimize } from './minimize.ts'

const SEED = Number(process.env['XENOLITH_FUZZ_SEED'] ?? 1)
const PROGRAMS = process.env['XENOLITH_LONG'] ? 200_000 : 2000
/** All in one mode, if one is wanted. */
const MODE = process.env['XENOLITH_TRANSLATE']
/** Failures that are described. */
const MOST_FAILURES = 3

test(`${PROGRAMS} random programs do what they do interpreted, from seed ${SEED} on`, () => {
  const machines = new Machines()
  const failures: string[] = []
  for (let seed = SEED; seed < SEED + PROGRAMS && failures.length < MOST_FAILURES; seed++) {
    const made = programOf(seed)
    const difference = compare(machines, MODE ? { ...made, mode: MODE } : made)
    if (difference)
      failures.push(`tools/translator-fuzz --seed ${seed} --programs 1: ${difference.found[0]}`)
  }
  assert.deepEqual(failures, [])
})

test('a program is the same whenever it is made', () => {
  assert.deepEqual(programOf(77), programOf(77))
  assert.notDeepEqual(programOf(77).items, programOf(78).items)
})

test('a difference is found, and made small', () => {
  const machines = new Machines()
  const program = {
    ...programOf(3),
    bits: 64 as const,
    slices: [100_000],
    mode: 'always',
  }
  const translated = machines.get(64, 'always')
  // Whoever asks for the time sees that this processor's runs faster.
  translated.cpu.host.readTsc = () => BigInt(2 * translated.cpu.executedInRun)
  const items = [{ bytes: [0x90] }, { bytes: [0x0f, 0x31] }, { bytes: [0x90] }]
  const broken = { ...program, bits: 64 as const, items, isUser: false, events: [] }
  const difference = compare(machines, broken)
  assert.match(difference?.found[0] ?? '', /^RAX: interpreted 0+1, translated 0+2$/)
  const small = minimize(machines, broken, difference as NonNullable<typeof difference>)
  assert.deepEqual(
    small.program.items.map(({ isRemoved }) => isRemoved ?? false),
    [false, false, true],
  )
  assert.ok(listing(small.program).some((line) => line.endsWith('rdtsc')))
})

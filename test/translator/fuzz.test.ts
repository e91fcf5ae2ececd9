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
/** Modes whose machines have had programs; in the first of them most. */
const HAD: readonly [string, ...string[]] = MODE ? [MODE] : ['hot', 'always']
const isTranslating = !HAD[0].startsWith('off')
/** Failures that are described. */
const MOST_FAILURES = 3

/** What differs when random programs run on some machines. */
function failuresOf(machines: Machines, programs: number): string[] {
  const failures: string[] = []
  for (let seed = SEED; seed < SEED + programs && failures.length < MOST_FAILURES; seed++) {
    const made = programOf(seed)
    const difference = compare(machines, MODE ? { ...made, mode: MODE } : made)
    if (difference)
      failures.push(`tools/translator-fuzz --seed ${seed} --programs 1: ${difference.found[0]}`)
  }
  return failures
}

test(`${PROGRAMS} random programs do what they do interpreted, from seed ${SEED} on`, () => {
  assert.deepEqual(failuresOf(new Machines(), PROGRAMS), [])
})

test(`so do ${PROGRAMS / 4} where each region takes the room of all others`, () => {
  const machines = new Machines({ policy: { regionLimits: { bytes: 0, regions: 0 } } })
  assert.deepEqual(failuresOf(machines, PROGRAMS / 4), [])
  const evicted = ([32, 64] as const).flatMap((bits) =>
    HAD.map((mode) => machines.get(bits, mode).engine.translator.counters.evicted),
  )
  assert.ok(
    !isTranslating || evicted.every((count) => count > 0),
    `given up: ${evicted.join(', ')}`,
  )
})

test(`so do ${PROGRAMS / 4} where decoded code is forgotten after every few blocks`, () => {
  const machines = new Machines({ policy: { arenaBytes: 16 << 10 } })
  assert.deepEqual(failuresOf(machines, PROGRAMS / 4), [])
  const { code } = machines.get(64, HAD[0]).engine
  assert.ok(code.flushes > PROGRAMS / 20, `forgotten ${code.flushes} times`)
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

// What regions take is bounded: those that are not seen running any more give way to others, and what
// they were made of is interpreted, and translated again when it is hot again.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { RAX, RSP } from '../state.ts'
import { BareMachine } from '../testing/bare-machine.ts'
import { watchNames } from '../testing/module-names.ts'

const CODE = 0x1000
/** A subroutine. */
const BUSY = 0x8000
const LOOPS = 40
/** Turns of a loop, of two instructions: enough to be translated, several times over. */
const TURNS = 1_000_000
const LIMITS = { bytes: 16_000, regions: 20 }
/** What is made together is looked at together: a batch may come on top. */
const BATCH = { bytes: 30_000, regions: 16 }

/** Loops on pages of their own, each of which counts in RAX; then all again. */
const PROGRAM = [
  'start: xor eax, eax',
  ...Array.from({ length: LOOPS }, (_, i) =>
    [
      `mov ecx, ${TURNS}`,
      `jmp loop${i}`,
      `times ${(i + 1) * 256} - ($ - $$) nop`,
      `loop${i}: add rax, ${i + 1}`,
      'dec ecx',
      `jnz loop${i}`,
    ].join('\n'),
  ),
  'out 0x80, al',
  'jmp start',
].join('\n')

/** What RAX is after each pass: each loop adds its number. */
const EXPECTED = (BigInt(TURNS) * BigInt(LOOPS * (LOOPS + 1))) / 2n

test('regions keep within their limits, and the guest does not notice', () => {
  const machine = new BareMachine(1 << 16, 64, undefined, 'hot', {
    policy: { regionLimits: LIMITS },
  })
  const { translator } = machine.engine
  const passes: bigint[] = []
  machine.onPortWrite = () => {
    passes.push(machine.cpu.readRegister(RAX))
  }
  machine.load(CODE, assemble(PROGRAM, 64, CODE))
  machine.cpu.rip = BigInt(CODE)
  let [mostBytes, mostRegions] = [0, 0]
  while (passes.length < 3) {
    machine.cpu.run(100_000)
    mostBytes = Math.max(mostBytes, translator.liveBytes)
    mostRegions = Math.max(mostRegions, translator.counters.live)
  }
  assert.deepEqual(passes, [EXPECTED, EXPECTED, EXPECTED])
  const { evicted, regions, live } = translator.counters
  // In the second pass, and in the third, what was given up is made again.
  assert.ok(regions > 2 * LOOPS, `${regions} made`)
  assert.equal(live, regions - evicted)
  assert.ok(mostBytes <= LIMITS.bytes + BATCH.bytes, `${mostBytes} bytes`)
  assert.ok(mostRegions <= LIMITS.regions + BATCH.regions, `${mostRegions} regions`)
})

test('a region that goes on running stays, whatever comes and goes', () => {
  const machine = new BareMachine(1 << 16, 64, undefined, 'hot', {
    policy: { regionLimits: LIMITS },
  })
  const { cpu, engine } = machine
  // Before each loop, a busy one.
  machine.load(BUSY, assemble('mov edx, 1000000\nagain: dec edx\njnz again\nret', 64, BUSY))
  machine.load(CODE, assemble(PROGRAM.replaceAll('mov ecx', `call ${BUSY}\nmov ecx`), 64, CODE))
  cpu.symbolAt = (address) => (address >= BUSY ? '(busy)' : '(other)')
  let modules = ''
  watchNames(engine.handlers, (names) => {
    modules += names
  })
  const passes: number[] = []
  machine.onPortWrite = () => passes.push(passes.length)
  cpu.writeRegister(RSP, 0x800n)
  cpu.rip = BigInt(CODE)
  while (passes.length < 3) cpu.run(100_000)
  const made = (name: string) => modules.split(name).length - 1
  assert.ok(made('(other)') > 2 * LOOPS, `${made('(other)')} others made`)
  // Its three blocks, and anew, twice, where it has been hot for longer.
  assert.ok(made('(busy)') <= 9, `made ${made('(busy)')} times`)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { RBX } from '../state.ts'
import { BareMachine } from '../testing/bare-machine.ts'
import type { Policy } from './policy.ts'

const CODE = 0x1000
const BLOCKS = 16
const TURNS = 100_000

/** A loop of blocks that are all executed in each turn, whichever way their branches go. */
const PROGRAM = [
  `mov ecx, ${TURNS}`,
  'again:',
  ...Array.from(
    { length: BLOCKS },
    (_, i) => `test ecx, ${1 << (i % 5)}\njz zero${i}\nadd ebx, ${i + 1}\nzero${i}: inc edx`,
  ),
  'dec ecx',
  'jnz again',
  'hlt',
].join('\n')

/** Runs the loop, and gives how many regions that has made. None waits for others. */
function regionsMade(more: Partial<Policy> = {}): number {
  const policy = { patience: 1, batch: 1, ...more }
  const machine = new BareMachine(1 << 16, 64, undefined, 'hot', { policy })
  const { cpu, engine } = machine
  machine.load(CODE, assemble(PROGRAM, 64, CODE))
  cpu.rip = BigInt(CODE)
  while (cpu.run(100_000).reason === 'budget');
  let sum = 0
  for (let i = 0; i < BLOCKS; i++) sum += (i + 1) * (TURNS / 2)
  assert.equal(cpu.registerLow(RBX), sum)
  const { regions, live } = engine.translator.counters
  assert.equal(live, regions)
  return regions
}

test('a loop of many blocks becomes few regions, since samples in its middle are its own', () => {
  const few = regionsMade()
  assert.ok(few <= 2, `${few} regions`)
  // Where a block is credited with all that is seen in it, each comes to a region of its own.
  const many = regionsMade({ shareOfBlock: 1 })
  assert.ok(many > 2 * few, `${many} regions`)
})

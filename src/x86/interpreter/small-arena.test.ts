// Decoded code takes no more room than there is: what does not fit has all of it forgotten, while it
// runs.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { Cpu } from '../cpu.ts'
import * as S from '../state.ts'
import { BareMachine } from '../testing/bare-machine.ts'

const CODE = 0x1000
const BLOCKS = 300
const STACK = 0xf000
const ARENA_BYTES = 32 << 10

/** Subroutines of several blocks, called one after another, over and over. */
const program = (passes: number) =>
  [
    `mov ecx, ${passes}`,
    'again:',
    ...Array.from({ length: BLOCKS }, (_, i) => `call f${i}`),
    'dec ecx',
    'jnz again',
    'hlt',
    ...Array.from({ length: BLOCKS }, (_, i) =>
      [`f${i}: add rbx, ${i}`, 'test bl, 1', `jz even${i}`, 'inc rdx', `even${i}: ret`].join('\n'),
    ),
  ].join('\n')

/** RBX and RDX after all passes. */
function expected(passes: number): [bigint, bigint] {
  let [rbx, rdx] = [0n, 0n]
  for (let pass = 0; pass < passes; pass++) {
    for (let i = 0n; i < BLOCKS; i++) {
      rbx += i
      if (rbx & 1n) rdx++
    }
  }
  return [rbx, rdx]
}

/** Where each block is translated when it is decoded, that takes its time. */
for (const [translation, passes] of [
  ['off', 300],
  ['hot', 300],
  ['always', 2],
] as const) {
  test(`code that does not fit runs as it should, translated ${translation}`, () => {
    const options = { policy: { arenaBytes: ARENA_BYTES } }
    const machine = new BareMachine(1 << 16, 64, undefined, translation, options)
    const { cpu, engine } = machine
    machine.load(CODE, assemble(program(passes), 64, CODE))
    cpu.rip = BigInt(CODE)
    cpu.writeRegister(S.RSP, BigInt(STACK))
    while (cpu.run(50_000).reason === 'budget');
    assert.deepEqual([cpu.readRegister(S.RBX), cpu.readRegister(S.RDX)], expected(passes))
    assert.ok(engine.code.flushes >= passes, `forgotten ${engine.code.flushes} times`)
    const area = engine.memory.areas.find(({ name }) => name === 'decoded code')
    assert.equal(area?.bytes, ARENA_BYTES)
  })
}

test('there is more room for the code of several processors, while they are there', () => {
  const growth = 256 << 10
  const policy = { arenaBytes: ARENA_BYTES, arenaGrowth: { perCpu: growth, most: 2 * growth } }
  const machine = new BareMachine(1 << 16, 64, undefined, 'off', { policy, mostCpus: 2 })
  const { cpu, engine } = machine
  machine.load(CODE, assemble(program(1000), 64, CODE))
  cpu.rip = BigInt(CODE)
  cpu.writeRegister(S.RSP, BigInt(STACK))
  /** How often all code was forgotten while some passes of the program ran. */
  const flushes = () => {
    const before = engine.code.flushes
    assert.equal(cpu.run(20 * BLOCKS * 5).reason, 'budget')
    return engine.code.flushes - before
  }
  assert.ok(flushes() > 5)
  const other = new Cpu(engine, cpu.host, cpu.features)
  // What is decoded when it comes may still be forgotten once.
  assert.ok(flushes() <= 1)
  assert.equal(flushes(), 0)
  other.retire()
  // What is there stays until something makes all of it go.
  assert.equal(flushes(), 0)
  engine.code.flush()
  assert.ok(flushes() > 5)
  const area = engine.memory.areas.find(({ name }) => name === 'decoded code')
  assert.equal(area?.bytes, ARENA_BYTES + growth)
})

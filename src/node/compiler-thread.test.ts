import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { assemble } from '../../test/x86/assemble.ts'
import { RAX } from '../x86/state.ts'
import { BareMachine } from '../x86/testing/bare-machine.ts'
import { startCompiler } from './compiler-thread.ts'

const CODE = 0x1000
/** How long the thread may take to start. */
const PATIENCE_MS = 30_000

/** A loop that counts, run until regions of it have come from the thread. */
async function runLoop(): Promise<void> {
  const machine = new BareMachine(1 << 16, 64, undefined, 'hot', { startCompiler })
  const { cpu, engine } = machine
  machine.load(CODE, assemble('again: inc rax\njmp again', 64, CODE))
  cpu.rip = BigInt(CODE)
  const start = performance.now()
  let executed = 0
  while (engine.translator.counters.live === 0 && performance.now() - start < PATIENCE_MS) {
    executed += cpu.run(200_000).executed
    await sleep(1)
  }
  assert.ok(engine.translator.counters.live > 0)
  executed += cpu.run(200_000).executed
  assert.ok(cpu.counters.instructions === executed && executed % 2 === 0)
  assert.equal(cpu.readRegister(RAX), BigInt(executed / 2))
}

test('a thread makes regions while the guest runs on', runLoop)

test('the thread serves several machines', async () => {
  await Promise.all([runLoop(), runLoop()])
})

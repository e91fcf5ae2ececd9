import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { getPriority, setPriority } from 'node:os'
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

/** Niceness of the thread of that name, by proc(5). */
function nicenessOf(name: string): number | undefined {
  for (const thread of readdirSync('/proc/self/task')) {
    const [id, rest = ''] = readFileSync(`/proc/self/task/${thread}/stat`, 'utf8').split(') ')
    if (id?.endsWith(`(${name}`)) return Number(rest.split(' ')[16])
  }
  return undefined
}

const isLinux = process.platform === 'linux'
// Other than what it would be by itself; who is not root cannot take that back.
if (isLinux) setPriority(0, Math.min(getPriority(0) + 4, 19))

test('a thread makes regions while the guest runs on', runLoop)

test('the thread serves several machines', async () => {
  await Promise.all([runLoop(), runLoop()])
})

test('the thread is nicer than the process', { skip: !isLinux && 'Linux only' }, async () => {
  await runLoop()
  assert.equal(nicenessOf('translator'), Math.min(getPriority(0) + 10, 19))
})

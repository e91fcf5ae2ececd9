import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../test/x86/assemble.ts'
import * as S from './state.ts'
import { ALL_FEATURES, BareMachine } from './testing/bare-machine.ts'
import type { Policy } from './translator/policy.ts'

const CODE = 0x1000

/** A loop of 20,000 instructions, then somebody wants the processor's attention and it lets interrupts in. */
const PROGRAM = `
start: cli
       mov ecx, 10000
again: dec ecx
       jnz again
       out 0x80, al
       sti
       nop
       jmp start
`

for (const turn of [7_000, 100_000]) {
  test(`samples stand for what runs, in turns of ${turn} that are interrupted`, () => look(turn))
}

function look(turn: number): void {
  const machine = new BareMachine(1 << 16, 64, ALL_FEATURES, 'hot')
  const { cpu, engine, ram } = machine
  machine.load(CODE, assemble(PROGRAM, 64, CODE))
  machine.onPortWrite = () => cpu.interruptsChanged()
  cpu.rip = BigInt(CODE)
  // Instructions that samples stand for, by the offset of the block from the start.
  const seen = new Map<number, number>()
  const { translator } = engine
  const sample = translator.sample.bind(translator)
  translator.sample = (block, sampled) => {
    const at = block.start - ram - CODE
    seen.set(at, (seen.get(at) ?? 0) + sampled.instructions)
    return sample(block, sampled)
  }
  let executed = 0
  while (executed < 30_000_000) executed += cpu.run(turn).executed
  const sampled = [...seen.values()].reduce((sum, weight) => sum + weight, 0)
  assert.ok(sampled > executed * 0.9 && sampled <= executed, `${sampled} of ${executed}`)
  const inLoop = seen.get(6) ?? 0
  assert.ok(inLoop > sampled * 0.95, `${inLoop} of ${sampled}: ${JSON.stringify([...seen])}`)
}

test('a program is translated sooner than a kernel', () => {
  const limits = { kernel: 2_000_000, user: 100_000 }
  assert.ok(executedUntilRegion(0, limits) > 2_000_000)
  const soon = executedUntilRegion(3, limits)
  assert.ok(soon > 100_000 && soon < 500_000, `${soon}`)
})

/** Instructions that a loop executes at a privilege level until it is a region. */
function executedUntilRegion(cpl: number, hot: Policy['hot']): number {
  const policy = { hot, patience: 1 }
  const machine = new BareMachine(1 << 16, 64, ALL_FEATURES, 'hot', { policy })
  const { cpu, engine } = machine
  machine.load(CODE, assemble('again: inc eax\njmp again', 64, CODE))
  cpu.rip = BigInt(CODE)
  cpu.set32(S.CPL, cpl)
  let executed = 0
  while (engine.translator.counters.regions === 0) executed += cpu.run(10_000).executed
  return executed
}

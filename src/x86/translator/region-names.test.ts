// Profilers show where a guest spends its time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { BareMachine } from '../testing/bare-machine.ts'
import { watchNames } from '../testing/module-names.ts'

const CODE = 0x1040
const PROGRAM = `
start: mov ecx, 1000
again: dec ecx
       jnz again
       jmp start
`

/** The names in all modules that a machine makes while it runs. */
function namesOf(machine: BareMachine, instructions: number): string {
  let names = ''
  watchNames(machine.engine.handlers, (more) => {
    names += more
  })
  machine.load(CODE, assemble(PROGRAM, 64, CODE))
  machine.cpu.rip = BigInt(CODE)
  for (let executed = 0; executed < instructions; ) executed += machine.cpu.run(100_000).executed
  return names
}

for (const translation of ['hot', 'always'] as const) {
  test(`regions carry linear addresses, translated ${translation}`, () => {
    const machine = new BareMachine(1 << 16, 64, undefined, translation)
    assert.match(namesOf(machine, 20_000_000), /kernel 0x104[05]/)
  })
}

test('regions carry the names of the kernel’s functions where those are known', () => {
  const machine = new BareMachine(1 << 16, 64, undefined, 'hot')
  machine.cpu.symbolAt = (address) => `loop+0x${(address - 0x1000n).toString(16)}`
  const names = namesOf(machine, 20_000_000)
  assert.match(names, /loop\+0x4[05]/)
  assert.doesNotMatch(names, /kernel/)
})

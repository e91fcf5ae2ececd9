// What profilers show is in the name section of modules: plain text in their bytes (WebAssembly core
// specification, 7.4.1).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { BareMachine } from '../testing/bare-machine.ts'

const CODE = 0x1040
const PROGRAM = `
start: mov ecx, 1000
again: dec ecx
       jnz again
       jmp start
`

/** The bytes of all modules that a machine makes while it runs, as text. */
function namesOf(machine: BareMachine, instructions: number): string {
  const { handlers } = machine.engine
  const instantiate = handlers.instantiate.bind(handlers)
  let names = ''
  handlers.instantiate = (bytes) => {
    names += new TextDecoder('latin1').decode(bytes)
    return instantiate(bytes)
  }
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
  const machine = new BareMachine(1 << 16)
  machine.cpu.symbolAt = (address) => `loop+0x${(address - 0x1000n).toString(16)}`
  const names = namesOf(machine, 20_000_000)
  assert.match(names, /loop\+0x4[05]/)
  assert.doesNotMatch(names, /kernel/)
})

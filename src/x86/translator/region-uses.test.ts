// What a change of code takes of the regions: those that were made with it, and no others.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { RBX, RDX } from '../state.ts'
import { BareMachine } from '../testing/bare-machine.ts'
import { watchNames } from '../testing/module-names.ts'

const CODE = 0x1000

/** Two loops on one page, between which no region leads; the second has a block that every other turn leaves out. */
const LOOPS = `
  start:
    mov ecx, 1000000
  first:
    add ebx, 1
    dec ecx
    jnz first
    out 0x81, al
    mov ecx, 1000000
  second:
    test ecx, 1
    jz skip
  changed:
    add edx, 1
  skip:
    dec ecx
    jnz second
    out 0x80, al
    jmp start`

test('a change in the middle of a loop takes the regions of that loop, and of no other', () => {
  const machine = new BareMachine(1 << 16, 64, undefined, 'hot')
  const { cpu, engine } = machine
  const { counters } = engine.translator
  const bytes = assemble(LOOPS, 64, CODE)
  // The immediate of the second ADD.
  const changed = bytes.findLastIndex((byte, i) => byte === 0x83 && bytes[i + 1] === 0xc2) + 2
  cpu.symbolAt = (address) => (Number(address) < CODE + changed - 20 ? '(first)' : '(second)')
  let modules = ''
  watchNames(engine.handlers, (names) => {
    modules += names
  })
  const made = (name: string) => modules.split(name).length - 1
  const passes: bigint[][] = []
  machine.onPortWrite = (port) => {
    if (port === 0x80) passes.push([cpu.readRegister(RBX), cpu.readRegister(RDX)])
  }
  machine.load(CODE, bytes)
  cpu.rip = BigInt(CODE)
  const run = () => {
    const from = passes.length
    while (passes.length < from + 2) cpu.run(100_000)
  }
  run()
  const [first, second] = [made('(first)'), made('(second)')]
  assert.ok(first > 0 && second > 0, `${first}, ${second} made`)
  machine.load(CODE + changed, Uint8Array.of(3))
  assert.equal(counters.dropped, second)
  run()
  assert.equal(made('(first)'), first)
  assert.ok(made('(second)') > second)
  assert.deepEqual(passes, [
    [1_000_000n, 500_000n],
    [2_000_000n, 1_000_000n],
    [3_000_000n, 2_500_000n],
    [4_000_000n, 4_000_000n],
  ])
})

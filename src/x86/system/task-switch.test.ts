// Hardware task switches. Expected values: SDM vol. 3A, 8.2 to 8.4 and table 8-2.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { CR0_TS } from '../mmu/walker.ts'
import { FLAG_IF, FLAG_NT } from '../registers.ts'
import * as S from '../state.ts'
import {
  CODE,
  CODE32,
  DATA,
  descriptor,
  FREE,
  GDT,
  STACK,
  SystemMachine,
  TASK,
  TASK_SELECTOR,
  USER_CODE32,
  USER_DATA,
  USER_STACK,
} from '../testing/system-machine.ts'

const OTHER = 0x3200
const TARGET = 0x9000
const BUSY = 1n << 41n

/** A machine whose GDT has a second 32-bit task at FREE, with the given fields. */
function machine(source: string, fields: Partial<Record<keyof typeof FIELDS, number>> = {}) {
  const m = new SystemMachine(32)
  m.load(CODE, assemble(source, 32, CODE))
  m.descriptor(FREE, descriptor(OTHER, 0x67, 0x89, 0))
  const all = { ...DEFAULTS, ...fields }
  for (const [name, offset] of Object.entries(FIELDS)) {
    m.write(OTHER + offset, BigInt(all[name as keyof typeof FIELDS] >>> 0), 4)
  }
  return m
}

const FIELDS = {
  eip: 0x20,
  eflags: 0x24,
  eax: 0x28,
  esp: 0x38,
  es: 0x48,
  cs: 0x4c,
  ss: 0x50,
  ds: 0x54,
  ldt: 0x60,
  trap: 0x64,
} as const
const DEFAULTS = {
  eip: TARGET,
  eflags: 2,
  eax: 0x11112222,
  esp: STACK - 0x800,
  es: DATA,
  cs: CODE32,
  ss: DATA,
  ds: DATA,
  ldt: 0,
  trap: 0,
}

const isBusy = (m: SystemMachine, selector: number) => (m.read(GDT + selector, 8) & BUSY) !== 0n

test('JMP to a TSS saves this task, loads the other, and swaps the busy bits', () => {
  const m = machine(`mov eax, 0x5555\nstc\njmp ${FREE}:0`)
  m.cpu.run(3)
  assert.equal(m.cpu.rip, BigInt(TARGET))
  assert.equal(m.cpu.readRegister(S.RAX), 0x11112222n)
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(STACK - 0x800))
  assert.equal(m.cpu.selector(S.TR), FREE)
  assert.equal(m.cpu.rflags, 2)
  assert.notEqual(m.cpu.cr0 & CR0_TS, 0)
  assert.equal(m.read(TASK + FIELDS.eip, 4), BigInt(CODE + 5 + 1 + 7))
  assert.equal(m.read(TASK + FIELDS.eflags, 4), 3n)
  assert.equal(m.read(TASK + FIELDS.eax, 4), 0x5555n)
  assert.equal(m.read(TASK + FIELDS.esp, 4), BigInt(STACK))
  assert.equal(m.read(TASK + FIELDS.cs, 2), BigInt(CODE32))
  assert.deepEqual([isBusy(m, TASK_SELECTOR), isBusy(m, FREE)], [false, true])
})

test('CALL nests: NT and the link are set, IRET goes back and ends the inner task', () => {
  const m = machine(`call ${FREE}:0\ninc ebx\nhlt`)
  m.load(TARGET, assemble('iret\nhlt', 32, TARGET))
  m.cpu.run(1)
  assert.equal(m.read(OTHER, 2), BigInt(TASK_SELECTOR))
  assert.notEqual(m.cpu.rflags & FLAG_NT, 0)
  assert.deepEqual([isBusy(m, TASK_SELECTOR), isBusy(m, FREE)], [true, true])
  m.cpu.run(1)
  assert.equal(m.cpu.selector(S.TR), TASK_SELECTOR)
  assert.equal(m.cpu.rflags & FLAG_NT, 0)
  assert.deepEqual([isBusy(m, TASK_SELECTOR), isBusy(m, FREE)], [true, false])
  assert.equal(m.read(OTHER + FIELDS.eip, 4), BigInt(TARGET + 1))
  assert.equal(m.read(OTHER + FIELDS.eflags, 4) & BigInt(FLAG_NT), 0n)
  m.cpu.run(10)
  assert.equal(m.cpu.readRegister(S.RBX), 1n)
})

test('a task can run at level 3', () => {
  const fields = { cs: USER_CODE32, ss: USER_DATA, ds: USER_DATA, es: USER_DATA, esp: USER_STACK }
  const m = machine(`jmp ${FREE}:0`, fields)
  m.load(TARGET, assemble('push eax\nud2', 32, TARGET))
  m.cpu.run(2)
  assert.equal(m.cpu.cpl, 3)
  assert.equal(m.read(USER_STACK - 4, 4), 0x11112222n)
})

test('a task gate in the IDT handles an exception and gets its error code', () => {
  const m = machine('mov ax, 0x2000\nmov ds, ax')
  m.gate(13, { type: 5, selector: FREE })
  m.cpu.run(2)
  assert.equal(m.cpu.selector(S.TR), FREE)
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(STACK - 0x804))
  assert.equal(m.read(STACK - 0x804, 4), 0x2000n)
  assert.equal(m.read(TASK + FIELDS.eip, 4), BigInt(CODE + 4))
})

test('a double fault through a task gate survives a stack that is gone', () => {
  const m = machine('mov esp, 0x2\npush eax')
  m.descriptor(DATA, descriptor(0, 0xfffff, 0x93, 0xc))
  m.gate(8, { type: 5, selector: FREE })
  // The stack segment of this task has no room for any frame.
  m.descriptor(FREE + 8, descriptor(0, 0x0f, 0x93, 0x4))
  m.load(CODE, assemble(`mov ax, ${FREE + 8}\nmov ss, ax\nmov esp, 4\nud2`, 32, CODE))
  m.cpu.run(4)
  assert.equal(m.cpu.selector(S.TR), FREE)
  assert.equal(m.cpu.rip, BigInt(TARGET))
})

test('an external interrupt through a task gate, and back with IRET', () => {
  const m = machine('sti\nagain: inc ebx\njmp again')
  m.load(TARGET, assemble('inc ecx\niret', 32, TARGET))
  m.gate(0x50, { type: 5, selector: FREE })
  m.cpu.run(3)
  m.interrupts.push(0x50)
  m.cpu.interruptsChanged()
  m.cpu.run(100)
  assert.equal(m.cpu.selector(S.TR), TASK_SELECTOR)
  assert.notEqual(m.cpu.rflags & FLAG_IF, 0)
  assert.equal(m.read(OTHER + 0x2c, 4), 1n)
})

test('JMP through a task gate', () => {
  const m = machine(`jmp ${FREE + 8}:0`)
  m.descriptor(FREE + 8, (0x8500n << 32n) | (BigInt(FREE) << 16n))
  m.cpu.run(1)
  assert.equal(m.cpu.selector(S.TR), FREE)
})

test('a task that is busy, too small or not present is refused in the old task', () => {
  const cases: [bigint, number, number][] = [
    [descriptor(OTHER, 0x67, 0x8b, 0), 13, FREE],
    [descriptor(OTHER, 0x66, 0x89, 0), 10, FREE],
    [descriptor(OTHER, 0x67, 0x09, 0), 11, FREE],
  ]
  for (const [value, vector, code] of cases) {
    const m = machine(`jmp ${FREE}:0`)
    m.descriptor(FREE, value)
    const entry = m.runToHandler()
    assert.equal(entry?.vector, vector)
    assert.deepEqual(entry.words(2), [BigInt(code), BigInt(CODE)])
    assert.equal(m.cpu.selector(S.TR), TASK_SELECTOR)
  }
})

test('a segment that the new task cannot load faults in the new task', () => {
  const m = machine(`jmp ${FREE}:0`, { ds: CODE32 & 0xfff8, es: 0x2000 })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 10)
  assert.equal(m.cpu.selector(S.TR), FREE)
})

test('the T bit of a task is a debug exception before its first instruction', () => {
  const m = machine(`jmp ${FREE}:0`, { trap: 1 })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 1)
  assert.equal(entry.words(1)[0], BigInt(TARGET))
  assert.notEqual(m.cpu.getI32(S.DR + 48) & 0x8000, 0)
})

test('a 16-bit task has 16-bit fields', () => {
  const m = machine(`mov eax, 0x12345678\njmp ${FREE}:0`)
  m.descriptor(FREE, descriptor(OTHER, 0x2b, 0x81, 0))
  for (const [offset, value] of [
    [0x0e, TARGET],
    [0x10, 2],
    [0x12, 0x7777],
    [0x1a, 0xa800],
    [0x22, DATA],
    [0x24, CODE32],
    [0x26, DATA],
    [0x28, DATA],
    [0x2a, 0],
  ] as const) {
    m.write(OTHER + offset, BigInt(value), 2)
  }
  m.cpu.run(2)
  assert.equal(m.cpu.rip, BigInt(TARGET))
  assert.equal(m.cpu.readRegister(S.RAX), 0x7777n)
  assert.equal(m.read(TASK + FIELDS.eax, 4), 0x12345678n)
})

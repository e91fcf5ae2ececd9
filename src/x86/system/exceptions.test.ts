// Events in 64-bit and 32-bit protected mode. Expected values: SDM vol. 3A, chapter 6.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { FLAG_IF, FLAG_RF } from '../registers.ts'
import * as S from '../state.ts'
import {
  ACCESS_CODE,
  ACCESS_DATA,
  CODE,
  CODE32,
  CODE64,
  DATA,
  descriptor,
  FLAGS_32,
  FLAGS_64,
  FREE,
  GDT,
  HANDLERS,
  IST1,
  STACK,
  SystemMachine,
  TASK,
  USER_CODE32,
  USER_CODE64,
  USER_DATA,
  USER_STACK,
} from '../testing/system-machine.ts'

function machine(source: string, bits: 32 | 64 = 64): SystemMachine {
  const m = new SystemMachine(bits)
  m.load(CODE, assemble(source, bits, CODE))
  return m
}

function user(source: string, bits: 32 | 64 = 64): SystemMachine {
  const m = machine(source, bits)
  m.enter(bits === 64 ? USER_CODE64 : USER_CODE32, USER_DATA, USER_STACK)
  return m
}

const hex = (words: readonly bigint[] | undefined) => words?.map((word) => word.toString(16))

test('a fault at level 0 of 64-bit mode pushes SS, RSP, RFLAGS with RF, CS and RIP', () => {
  const m = machine('nop\nud2')
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 6)
  assert.deepEqual(hex(entry?.words(5)), ['8001', '8', '10002', 'b000', '10'])
})

test('the stack of a 64-bit handler is aligned to 16 bytes before the frame is pushed', () => {
  const m = machine('sub rsp, 3\nud2')
  const entry = m.runToHandler()
  assert.deepEqual(hex(entry?.words(5).slice(3)), ['affd', '10'])
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(STACK - 16 - 40))
})

test('an exception at level 3 comes in on RSP0 with a null SS', () => {
  const m = user('ud2')
  const entry = m.runToHandler()
  assert.deepEqual(hex(entry?.words(5)), ['8000', '2b', '10002', 'f000', '23'])
  assert.equal(m.cpu.selector(S.SS), 0)
  assert.equal(m.cpu.cpl, 0)
})

test('a gate with IST takes that stack, at the same level too', () => {
  const m = machine('ud2')
  m.gate(6, { ist: 1 })
  const entry = m.runToHandler()
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(IST1 - 40))
  assert.deepEqual(hex(entry?.words(5)), ['8000', '8', '10002', 'b000', '10'])
  assert.equal(m.cpu.selector(S.SS), DATA)
})

test('exceptions with an error code push it last', () => {
  const m = machine('mov ax, 0x60\nmov ds, ax')
  m.descriptor(0x60, descriptor(0, 0xfffff, ACCESS_DATA & 0x7f, FLAGS_32))
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 11)
  assert.deepEqual(hex(entry?.words(3)), ['60', '8004', '8'])
})

test('an interrupt gate clears IF, a trap gate does not', () => {
  for (const [type, flag] of [
    [14, 0],
    [15, FLAG_IF],
  ] as const) {
    const m = machine('sti\nnop\nint 0x40')
    m.gate(0x40, { type })
    m.cpu.run(3)
    assert.equal(m.cpu.rflags & FLAG_IF, flag)
  }
})

test('INT n from level 3 needs a gate of DPL 3', () => {
  const closed = user('int 0x40')
  let entry = closed.runToHandler()
  assert.equal(entry?.vector, 13)
  assert.deepEqual(hex(entry?.words(2)), [(0x40 * 8 + 2).toString(16), '8000'])
  const open = user('int 0x40')
  open.gate(0x40, { dpl: 3 })
  entry = open.runToHandler()
  assert.equal(entry?.vector, 0x40)
  assert.deepEqual(hex(entry?.words(5)), ['8002', '2b', '2', 'f000', '23'])
})

test('INT3 pushes the address behind it, and exceptions ignore the DPL of the gate', () => {
  const m = machine('int3')
  assert.equal(hex(m.runToHandler()?.words(1))?.[0], '8001')
  const fault = user('ud2')
  fault.gate(6, { dpl: 0 })
  assert.equal(fault.runToHandler()?.vector, 6)
})

test('a gate that is not present is #NP with the vector and the IDT bit', () => {
  const m = machine('int 0x40')
  m.gate(0x40, { isPresent: false })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 11)
  assert.deepEqual(hex(entry?.words(2)), [(0x40 * 8 + 2).toString(16), '8000'])
})

test('an error code has the EXT bit if another exception was being delivered', () => {
  const m = machine('ud2')
  m.gate(6, { isPresent: false })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 11)
  assert.deepEqual(hex(entry?.words(2)), [(6 * 8 + 3).toString(16), '8000'])
})

test('a vector beyond the limit of the IDT is #GP', () => {
  const m = machine('int 0x40')
  m.cpu.set32(S.IDT_LIMIT, 0x40 * 16 + 14)
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 13)
  assert.equal(hex(entry?.words(1))?.[0], (0x40 * 8 + 2).toString(16))
})

test('a 64-bit gate must lead to a 64-bit code segment', () => {
  const m = machine('int 0x40')
  m.gate(0x40, { selector: CODE32 })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 13)
  assert.equal(hex(entry?.words(1))?.[0], CODE32.toString(16))
})

test('a contributory exception while another is delivered is a double fault', () => {
  const m = machine('mov ax, 0x60\nmov ds, ax')
  m.gate(11, { isPresent: false })
  m.descriptor(0x60, descriptor(0, 0xfffff, ACCESS_DATA & 0x7f, FLAGS_32))
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 8)
  assert.deepEqual(hex(entry?.words(3)), ['0', '8004', '8'])
})

test('a page fault on the stack of a page fault is a double fault; CR2 is that of the second', () => {
  const m = machine('mov rsp, 0x20000\nmov rax, [0x21000]')
  m.page(0x1f000, 0n)
  m.page(0x21000, 0n)
  m.gate(8, { ist: 1 })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 8)
  assert.equal(m.cpu.getU64(S.CR2), 0x1fff8n)
})

test('a page fault while #UD is delivered is handled as a page fault', () => {
  const m = machine('mov rsp, 0x20000\nud2')
  m.page(0x1f000, 0n)
  m.gate(14, { ist: 1 })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 14)
  assert.deepEqual(hex(entry?.words(2)), ['2', (CODE + 5).toString(16)])
})

test('a fault while a double fault is delivered shuts the processor down', () => {
  const m = machine('mov ax, 0x60\nmov ds, ax')
  m.gate(11, { isPresent: false })
  m.gate(8, { isPresent: false })
  m.descriptor(0x60, descriptor(0, 0xfffff, ACCESS_DATA & 0x7f, FLAGS_32))
  const { reason } = m.cpu.run(100)
  assert.equal(reason, 'shutdown')
  assert.match(m.cpu.shutdownCause, /triple fault at RIP 0x8004: vector 11/)
})

test('an RSP0 that is not canonical is #SS(0), one beyond the TSS is #TS', () => {
  const m = user('ud2')
  m.write(TASK + 4, 0x8000_0000_0000n, 8)
  m.gate(12, { ist: 1 })
  let entry = m.runToHandler()
  assert.equal(entry?.vector, 12)
  assert.equal(entry?.words(1)[0], 1n)
  const short = user('ud2')
  short.cpu.set32(S.SEGMENT + S.TR * S.SEGMENT_SIZE + S.SEG_LIMIT, 10)
  const conforming = descriptor(0, 0xfffff, ACCESS_CODE | 4, FLAGS_64)
  short.descriptor(FREE, conforming)
  short.gate(10, { selector: FREE })
  entry = short.runToHandler()
  // A conforming handler stays at level 3, where HLT is not allowed.
  assert.equal(short.cpu.cpl, 3)
})

test('a handler in a conforming segment runs at the level that was interrupted', () => {
  const m = user('ud2')
  m.descriptor(FREE, descriptor(0, 0xfffff, ACCESS_CODE | 4, FLAGS_64))
  m.gate(6, { selector: FREE })
  m.cpu.run(1)
  assert.equal(m.cpu.cpl, 3)
  assert.equal(m.cpu.selector(S.CS), FREE | 3)
  assert.equal(m.cpu.rip, BigInt(HANDLERS + 6 * 16))
})

test('the accessed bit of the handler segment is set in the GDT', () => {
  const m = machine('ud2')
  m.descriptor(CODE64, descriptor(0, 0xfffff, ACCESS_CODE & ~1, FLAGS_64))
  m.runToHandler()
  assert.equal((m.read(GDT + CODE64, 8) >> 40n) & 1n, 1n)
})

test('code in compatibility mode is interrupted into 64-bit code', () => {
  const m = new SystemMachine(64)
  m.load(CODE, assemble('mov esp, 0xeff0\nud2', 32, CODE))
  m.enter(USER_CODE32, USER_DATA, USER_STACK)
  const entry = m.runToHandler()
  assert.equal(m.cpu.codeSize, 64)
  assert.deepEqual(hex(entry?.words(5)), ['8005', '1b', '10002', 'eff0', '23'])
})

test('faults in a handler that cannot be fetched use up the budget', () => {
  const m = machine('ud2')
  for (const vector of [6, 14]) m.gate(vector, { offset: 0x30000, ist: 1 })
  m.page(0x30000, 0n)
  const { executed, reason } = m.cpu.run(1000)
  assert.deepEqual({ executed, reason }, { executed: 1000, reason: 'budget' })
})

test('a 32-bit gate pushes three words at the same level, five from an outer one', () => {
  const m = machine('ud2', 32)
  let entry = m.runToHandler()
  assert.deepEqual(hex(entry?.words(3)), ['8000', '30', '10002'])
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(STACK - 12))
  const outer = user('ud2', 32)
  entry = outer.runToHandler()
  assert.deepEqual(hex(entry?.words(5)), ['8000', '1b', '10002', 'f000', '23'])
  assert.equal(outer.cpu.selector(S.SS), DATA)
})

test('a 16-bit gate pushes 16-bit words', () => {
  const m = machine('stc\nud2', 32)
  m.gate(6, { type: 6 })
  m.runToHandler()
  const rsp = Number(m.cpu.readRegister(S.RSP))
  assert.equal(rsp, STACK - 6)
  assert.deepEqual(
    [0, 2, 4].map((i) => m.read(rsp + i, 2)),
    [0x8001n, 0x30n, 3n],
  )
})

test('a stack segment of the TSS that does not fit its level is #TS with its selector', () => {
  const m = user('ud2', 32)
  m.write(TASK + 8, BigInt(USER_DATA), 2)
  m.gate(10, { selector: FREE })
  m.descriptor(FREE, descriptor(0, 0xfffff, ACCESS_CODE | 0x64, FLAGS_32))
  m.cpu.run(1)
  // #TS is handled at level 3 by a conforming segment, whose stack is the current one.
  assert.equal(m.cpu.rip, BigInt(HANDLERS + 10 * 16))
  assert.equal(m.read(USER_STACK - 16, 4), BigInt((USER_DATA & 0xfffc) | 1))
})

test('a push beyond the limit of the inner stack is #SS with its selector', () => {
  const m = user('ud2', 32)
  m.descriptor(FREE, descriptor(0, 0x10, ACCESS_DATA, 0x4))
  m.write(TASK + 8, BigInt(FREE), 2)
  m.write(TASK + 4, 0x8n, 4)
  m.gate(12, { selector: FREE + 8 })
  m.descriptor(FREE + 8, descriptor(0, 0xfffff, ACCESS_CODE | 0x64, FLAGS_32))
  m.cpu.run(1)
  assert.equal(m.cpu.rip, BigInt(HANDLERS + 12 * 16))
  assert.equal(m.read(USER_STACK - 16, 4), BigInt(FREE | 1))
})

test('RF is set in the image of faults, not in that of traps and interrupts', () => {
  const m = machine('sti\nnop\njmp $')
  m.interrupts.push(0x50)
  m.cpu.interruptsChanged()
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 0x50)
  assert.equal(Number(entry?.words(3)[2]) & FLAG_RF, 0)
})

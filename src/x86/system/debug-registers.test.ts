// Debug exceptions. Expected values: SDM vol. 3B, chapter 18.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { FLAG_RF, FLAG_TF } from '../registers.ts'
import * as S from '../state.ts'
import {
  CODE,
  HANDLERS,
  SystemMachine,
  USER_CODE64,
  USER_DATA,
  USER_STACK,
} from '../testing/system-machine.ts'

const DR6 = S.DR + 6 * 8
const DR7 = S.DR + 7 * 8
const BS = 1 << 14

function machine(source: string): SystemMachine {
  const m = new SystemMachine(64)
  m.load(CODE, assemble(source, 64, CODE))
  return m
}

/** Sets a breakpoint register and DR7. */
function breakpoint(m: SystemMachine, address: number, dr7: number): void {
  m.cpu.setU64(S.DR, BigInt(address))
  m.cpu.setU64(DR7, BigInt(dr7))
  m.cpu.modeChanged()
}

const ON_WRITE_4 = 1 | (1 << 16) | (3 << 18)
const ON_ACCESS_1 = 1 | (3 << 16)
const ON_EXECUTION = 1

test('with TF set, #DB comes after each instruction, the first after that which follows POPF', () => {
  const m = machine('pushfq\nor dword [rsp], 0x100\npopfq\ninc eax\ninc eax')
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 1)
  assert.equal(m.cpu.readRegister(S.RAX), 1n)
  const [rip, , flags] = entry.words(3)
  assert.equal(rip, BigInt(CODE + 8 + 1 + 2))
  assert.equal(Number(flags) & (FLAG_TF | FLAG_RF), FLAG_TF)
  assert.equal(m.cpu.getI32(DR6) & 0xe00f, BS)
  assert.equal(m.cpu.rflags & FLAG_TF, 0)
})

test('IRET to code with TF set executes one instruction of it, a jump as well', () => {
  const m = machine('jmp target\nnop\ntarget: inc eax\ninc eax')
  m.load(HANDLERS + 16, assemble('inc ebx\niretq', 64, HANDLERS + 16))
  m.cpu.rflags = 2 | FLAG_TF
  // jmp, inc ebx, iretq
  m.cpu.run(3)
  assert.equal(m.cpu.readRegister(S.RBX), 1n)
  assert.equal(m.cpu.readRegister(S.RAX), 0n)
  assert.equal(m.cpu.rip, BigInt(CODE + 3))
  m.cpu.run(2)
  assert.equal(m.cpu.readRegister(S.RAX), 1n)
  assert.equal(m.cpu.readRegister(S.RBX), 2n)
})

test('a stepped instruction that faults is not followed by #DB', () => {
  const m = machine('ud2')
  m.cpu.rflags = 2 | FLAG_TF
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 6)
  assert.notEqual(Number(entry?.words(3)[2]) & FLAG_TF, 0)
})

test('INT n is not followed by a single-step trap', () => {
  const m = machine('int 0x40')
  m.cpu.rflags = 2 | FLAG_TF
  assert.equal(m.runToHandler()?.vector, 0x40)
})

test('a repeated string instruction is stepped element by element', () => {
  const m = machine('rep stosb')
  m.cpu.writeRegister(S.RCX, 3n)
  m.cpu.writeRegister(S.RDI, 0x40000n)
  m.cpu.rflags = 2 | FLAG_TF
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 1)
  assert.equal(m.cpu.readRegister(S.RCX), 2n)
  assert.equal(entry.words(1)[0], BigInt(CODE))
})

test('MOV SS puts the single-step trap off to the next instruction', () => {
  const m = machine('mov ss, cx\ninc eax\ninc eax')
  m.cpu.writeRegister(S.RCX, 0x10n)
  m.cpu.rflags = 2 | FLAG_TF
  assert.equal(m.runToHandler()?.vector, 1)
  assert.equal(m.cpu.readRegister(S.RAX), 1n)
})

test('SYSCALL steps by the flags that it leaves', () => {
  const m = machine('syscall')
  m.enter(USER_CODE64, USER_DATA, USER_STACK)
  m.cpu.setU64(S.STAR, (0x08n << 32n) | (0x18n << 48n))
  m.cpu.setU64(S.LSTAR, 0x9000n)
  m.cpu.setU64(S.SFMASK, BigInt(FLAG_TF))
  m.load(0x9000, assemble('inc eax\nhlt', 64, 0x9000))
  m.cpu.rflags = 2 | FLAG_TF
  m.cpu.run(10)
  assert.equal(m.cpu.rip, 0x9003n)
})

test('an instruction breakpoint comes before the instruction, in the middle of a block', () => {
  const m = machine('inc eax\ninc eax\ninc eax')
  breakpoint(m, CODE + 2, ON_EXECUTION)
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 1)
  assert.equal(m.cpu.readRegister(S.RAX), 1n)
  assert.equal(m.cpu.getI32(DR6) & 0xe00f, 1)
  const [rip, , flags] = entry.words(3)
  assert.equal(rip, BigInt(CODE + 2))
  assert.equal(Number(flags) & FLAG_RF, 0)
})

test('RF lets one instruction pass its breakpoint', () => {
  const m = machine('again: inc eax\njmp again')
  breakpoint(m, CODE, ON_EXECUTION)
  m.cpu.rflags = 2 | FLAG_RF
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 1)
  assert.equal(m.cpu.readRegister(S.RAX), 1n)
})

test('a write breakpoint traps after the instruction that wrote, not after reads', () => {
  const m = machine('mov [0x40000], eax\nmov eax, [0x40002]\nmov byte [0x40003], 1\nnop')
  m.cpu.run(1)
  breakpoint(m, 0x40000, ON_WRITE_4)
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 1)
  assert.equal(entry.words(1)[0], BigInt(CODE + 7 + 7 + 8))
  assert.equal(m.read(0x40003, 1), 1n)
  assert.equal(m.cpu.getI32(DR6) & 0xe00f, 1)
})

test('an access breakpoint sees reads and modifications too', () => {
  const m = machine('mov al, [0x40001]\nnop')
  breakpoint(m, 0x40001, ON_ACCESS_1)
  assert.equal(m.runToHandler()?.vector, 1)
  const other = machine('inc dword [0x40000]\nnop')
  breakpoint(other, 0x40001, ON_ACCESS_1)
  assert.equal(other.runToHandler()?.vector, 1)
})

test('a data breakpoint in the middle of a string instruction stops after that element', () => {
  const m = machine('rep stosb')
  m.cpu.writeRegister(S.RCX, 100n)
  m.cpu.writeRegister(S.RDI, 0x40000n)
  breakpoint(m, 0x40004, ON_WRITE_4)
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 1)
  assert.equal(m.cpu.readRegister(S.RDI), 0x40005n)
  assert.equal(entry.words(1)[0], BigInt(CODE))
})

test('without breakpoints memory is fast again', () => {
  const m = machine('again: mov eax, [0x40000]\njmp again')
  breakpoint(m, 0x50000, ON_WRITE_4)
  m.cpu.run(100)
  breakpoint(m, 0, 0)
  const before = m.cpu.counters.slowAccesses
  m.cpu.run(100)
  assert.ok(m.cpu.counters.slowAccesses - before <= 1)
})

test('DR7.GD makes an access to debug registers a #DB before it, and is cleared', () => {
  const m = machine('mov rax, 0x2400\nmov dr7, rax\nmov rbx, dr0\nnop')
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 1)
  assert.equal(m.cpu.getI32(DR6) & 0xe00f, 1 << 13)
  assert.equal(m.cpu.getI32(DR7) & (1 << 13), 0)
  assert.equal(entry.words(1)[0], BigInt(CODE + 5 + 3))
})

test('DR4 and DR5 are DR6 and DR7 unless CR4.DE is set', () => {
  const m = machine('mov rax, dr5\nhlt')
  m.cpu.run(10)
  assert.equal(m.cpu.readRegister(S.RAX), 0x400n)
  const strict = machine('mov rax, dr5\nhlt')
  strict.cpu.set32(S.CR4, strict.cpu.cr4 | 8)
  assert.equal(strict.runToHandler()?.vector, 6)
})

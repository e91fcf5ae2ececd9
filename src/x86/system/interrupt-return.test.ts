// IRET and POPF. Expected values: SDM vol. 2, IRET and POPF.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { FLAG_IF, FLAG_IOPL, FLAG_NT, FLAG_RF, FLAG_TF, FLAG_VIP } from '../registers.ts'
import * as S from '../state.ts'
import {
  ACCESS_CODE,
  ACCESS_DATA,
  CODE,
  CODE32,
  CODE64,
  DATA,
  descriptor,
  FLAGS_16,
  FLAGS_32,
  FLAGS_64,
  FREE,
  STACK,
  SystemMachine,
  USER_CODE32,
  USER_CODE64,
  USER_DATA,
  USER_STACK,
} from '../testing/system-machine.ts'
import { setSegment } from './segment-access.ts'

function machine(source: string, bits: 32 | 64 = 64): SystemMachine {
  const m = new SystemMachine(bits)
  m.load(CODE, assemble(source, bits, CODE))
  return m
}

/** Puts words on the stack, the first on top, and the pointer below them. */
function push(m: SystemMachine, size: number, ...words: number[]): void {
  const top = Number(m.cpu.readRegister(S.RSP)) - size * words.length
  for (const [i, word] of words.entries()) m.write(top + i * size, BigInt(word >>> 0), size)
  m.cpu.writeRegister(S.RSP, BigInt(top))
}

const TARGET = 0x9000

/** Runs an IRETQ with a frame and gives the machine after it. */
function iretq(...words: number[]): SystemMachine {
  const m = machine('iretq')
  push(m, 8, ...words)
  m.cpu.run(1)
  return m
}

test('IRETQ at the same level loads SS and RSP too', () => {
  const m = iretq(TARGET, CODE64, 2, 0xa800, DATA)
  assert.equal(m.cpu.rip, BigInt(TARGET))
  assert.equal(m.cpu.readRegister(S.RSP), 0xa800n)
  assert.equal(m.cpu.cpl, 0)
})

test('IRETQ takes a null SS at levels below 3, with the level it goes to', () => {
  assert.equal(iretq(TARGET, CODE64, 2, 0xa800, 0).cpu.rip, BigInt(TARGET))
  const wrong = iretq(TARGET, CODE64, 2, 0xa800, 1)
  assert.notEqual(wrong.cpu.rip, BigInt(TARGET))
  const user = iretq(TARGET, USER_CODE64, 2, 0xa800, 3)
  assert.equal(user.cpu.cpl, 0)
})

test('IRETQ to level 3 sets the level, the stack and the flags', () => {
  const m = iretq(TARGET, USER_CODE64, FLAG_IF | FLAG_TF | FLAG_IOPL | 0xd7, USER_STACK, USER_DATA)
  assert.equal(m.cpu.cpl, 3)
  assert.equal(m.cpu.selector(S.CS), USER_CODE64)
  assert.equal(m.cpu.selector(S.SS), USER_DATA)
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(USER_STACK))
  assert.equal(m.cpu.rflags, FLAG_IF | FLAG_TF | FLAG_IOPL | 0xd7)
})

test('IRETQ to compatibility mode cuts RSP to 32 bits and runs 32-bit code', () => {
  const m = machine('iretq')
  push(m, 8, TARGET, USER_CODE32, 2, 0, USER_DATA)
  m.write(Number(m.cpu.readRegister(S.RSP)) + 24, 0x1_2345_0000n, 8)
  m.load(TARGET, assemble('inc eax\nud2', 32, TARGET))
  m.cpu.run(2)
  assert.equal(m.cpu.codeSize, 32)
  assert.equal(m.cpu.readRegister(S.RSP), 0x23450000n)
  assert.equal(m.cpu.readRegister(S.RAX), 1n)
})

test('IRETQ to a 16-bit stack keeps the upper part of RSP', () => {
  const m = machine('iretq')
  m.descriptor(FREE, descriptor(0, 0xffff, ACCESS_DATA | 0x60, FLAGS_16))
  push(m, 8, TARGET, USER_CODE32, 2, 0x1234, FREE | 3)
  m.cpu.run(1)
  assert.equal(m.cpu.readRegister(S.RSP), BigInt((STACK & ~0xffff) | 0x1234))
})

test('segments that level 3 may not use are lost on the way out', () => {
  const m = machine('iretq')
  m.descriptor(FREE, descriptor(0, 0xfffff, ACCESS_DATA | 0x60, FLAGS_32))
  setSegment(m.cpu, S.FS, FREE, 0x1234n, 0xffffffff, 0xcff300)
  push(m, 8, TARGET, USER_CODE64, 2, USER_STACK, USER_DATA)
  m.cpu.run(1)
  assert.equal(m.cpu.selector(S.DS), 0)
  assert.equal(m.cpu.selector(S.FS), FREE)
  assert.equal(m.cpu.segmentBase(S.FS), 0x1234n)
})

test('a base that was set behind a null selector survives the way out', () => {
  const m = machine('iretq')
  setSegment(m.cpu, S.GS, 0, 0x5678n, 0, 1 << 31)
  push(m, 8, TARGET, USER_CODE64, 2, USER_STACK, USER_DATA)
  m.cpu.run(1)
  assert.equal(m.cpu.segmentBase(S.GS), 0x5678n)
})

test('IRET from level 3 changes IF by IOPL and never IOPL', () => {
  for (const iopl of [0, 3]) {
    const m = machine('iretq')
    m.enter(USER_CODE64, USER_DATA, USER_STACK)
    m.cpu.rflags = 2 | (iopl << 12)
    push(m, 8, TARGET, USER_CODE64, FLAG_IF | FLAG_RF, USER_STACK, USER_DATA)
    m.cpu.run(1)
    assert.equal(m.cpu.rflags & (FLAG_IF | FLAG_IOPL), iopl === 3 ? FLAG_IF | FLAG_IOPL : 0)
    assert.notEqual(m.cpu.rflags & FLAG_RF, 0)
  }
})

test('IRET refuses frames that do not fit, with the selector, and keeps the stack', () => {
  const cases: [string, number[], number, number][] = [
    ['null CS', [TARGET, 0, 2, USER_STACK, USER_DATA], 13, 0],
    ['data as CS', [TARGET, DATA, 2, USER_STACK, DATA], 13, DATA],
    ['RPL of CS below its DPL', [TARGET, USER_CODE64 & ~3, 2, STACK, DATA], 13, USER_CODE64 & ~3],
    ['code as SS', [TARGET, USER_CODE64, 2, USER_STACK, USER_CODE64], 13, USER_CODE64 & ~3],
    ['SS of another level', [TARGET, USER_CODE64, 2, USER_STACK, DATA], 13, DATA],
    ['SS not present', [TARGET, USER_CODE64, 2, USER_STACK, FREE | 3], 12, FREE],
    ['CS not present', [TARGET, FREE + 8, 2, STACK, DATA], 11, FREE + 8],
    ['beyond the GDT', [TARGET, 0x2000, 2, STACK, DATA], 13, 0x2000],
  ]
  for (const [what, frame, vector, code] of cases) {
    const m = machine('iretq')
    m.descriptor(FREE, descriptor(0, 0xfffff, 0x73, FLAGS_32))
    m.descriptor(FREE + 8, descriptor(0, 0xfffff, ACCESS_CODE & 0x7f, FLAGS_64))
    push(m, 8, ...frame)
    const entry = m.runToHandler()
    assert.equal(entry?.vector, vector, what)
    const [errorCode, rip, , , rsp] = entry.words(5)
    assert.deepEqual([errorCode, rip, rsp], [BigInt(code), BigInt(CODE), BigInt(STACK - 40)], what)
  }
})

test('IRETQ to an address that is not canonical is #GP(0) before anything changes', () => {
  const m = machine('iretq')
  push(m, 8, 0, USER_CODE64, 2, USER_STACK, USER_DATA)
  m.write(Number(m.cpu.readRegister(S.RSP)), 0x8000_0000_0000n, 8)
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 13)
  assert.deepEqual(entry.words(3), [0n, BigInt(CODE), BigInt(CODE64)])
})

test('NT is #GP(0) in long mode', () => {
  const m = machine('iretq')
  push(m, 8, TARGET, CODE64, 2, STACK, DATA)
  m.cpu.rflags = 2 | FLAG_NT
  assert.equal(m.runToHandler()?.vector, 13)
})

test('IRETD in 64-bit mode reads words of 32 bits', () => {
  const m = machine('iretd')
  push(m, 4, TARGET, USER_CODE32, 2, USER_STACK, USER_DATA)
  m.cpu.run(1)
  assert.equal(m.cpu.rip, BigInt(TARGET))
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(USER_STACK))
})

test('IRET in 32-bit mode loads the stack only for another level', () => {
  const m = machine('iret', 32)
  push(m, 4, TARGET, CODE32, FLAG_IF)
  m.cpu.run(1)
  assert.equal(m.cpu.rip, BigInt(TARGET))
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(STACK))
  const outer = machine('iret', 32)
  push(outer, 4, TARGET, USER_CODE32, FLAG_IF, USER_STACK, USER_DATA)
  outer.cpu.run(1)
  assert.equal(outer.cpu.cpl, 3)
  assert.equal(outer.cpu.readRegister(S.RSP), BigInt(USER_STACK))
})

test('an IRET whose frame ends on a page that is not there has no effect', () => {
  const m = machine('mov esp, 0x40ff0\niretq')
  m.page(0x41000, 0n)
  m.write(0x40ff0, BigInt(TARGET), 8)
  m.write(0x40ff8, BigInt(CODE64), 8)
  m.gate(14, { ist: 1 })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 14)
  assert.equal(m.cpu.getU64(S.CR2), 0x41000n)
  assert.deepEqual(entry.words(5).slice(1), [BigInt(CODE + 5), BigInt(CODE64), 0x10002n, 0x40ff0n])
})

test('POPF leaves RF, VM and VIP alone and takes IOPL at level 0 only', () => {
  const m = machine('popfq')
  push(m, 8, FLAG_IOPL | FLAG_RF | FLAG_VIP | (1 << 17) | 0x8d5)
  m.cpu.run(1)
  assert.equal(m.cpu.rflags, FLAG_IOPL | 0x8d7)
  const user = machine('popfq')
  user.enter(USER_CODE64, USER_DATA, USER_STACK)
  push(user, 8, FLAG_IOPL | FLAG_IF | 0x8d5)
  user.cpu.run(1)
  assert.equal(user.cpu.rflags, 0x8d7)
})

test('a 16-bit POPF leaves the upper flags alone', () => {
  const m = machine('popfw')
  m.cpu.rflags = 2 | (1 << 21) | (1 << 18)
  push(m, 2, 0x8d5)
  m.cpu.run(1)
  assert.equal(m.cpu.rflags, 0x8d7 | (1 << 21) | (1 << 18))
})

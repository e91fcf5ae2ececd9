// Far JMP, CALL and RET, and call gates. Expected values: SDM vol. 2 and vol. 3A, 6.8.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import * as S from '../state.ts'
import {
  ACCESS_CODE,
  ACCESS_DATA,
  CODE,
  CODE16,
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
  TASK,
  USER_CODE32,
  USER_CODE64,
  USER_DATA,
  USER_STACK,
} from '../testing/system-machine.ts'

const TARGET = 0x9000

function machine(source: string, bits: 32 | 64 = 64): SystemMachine {
  const m = new SystemMachine(bits)
  m.load(CODE, assemble(source, bits, CODE))
  return m
}

/** A call gate in the GDT; in long mode it takes two slots. */
function callGate(
  m: SystemMachine,
  at: number,
  selector: number,
  offset: number,
  { dpl = 3, type = 12, count = 0 } = {},
): void {
  const low = (offset & 0xffff) | (selector << 16)
  const high = (offset & 0xffff0000) | 0x8000 | (dpl << 13) | (type << 8) | count
  m.descriptor(at, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0))
  if (m.isLong) m.descriptor(at + 8, 0n)
}

test('JMP far changes the code size with the segment', () => {
  for (const [selector, codeSize] of [
    [CODE64, 64],
    [CODE32, 32],
    [CODE16, 16],
  ] as const) {
    const m = machine('jmp dword far [rel pointer]\npointer: dd 0x9000\ndw 0')
    m.write(CODE + 10, BigInt(selector), 2)
    m.cpu.run(1)
    assert.equal(m.cpu.codeSize, codeSize)
    assert.equal(m.cpu.rip, BigInt(TARGET))
    assert.equal(m.cpu.selector(S.CS), selector)
  }
})

test('CALL far pushes CS and RIP in the operand size, RET far takes them back', () => {
  for (const [size, call, ret] of [
    [8, 'o64 call far [rel pointer]', 'o64 retf 8'],
    [4, 'call dword far [rel pointer]', 'retf 8'],
  ] as const) {
    const m = machine(`${call}\nhlt\nalign 16\npointer: dq ${TARGET}\ndw 0`)
    if (size === 8) m.write(CODE + 24, BigInt(CODE64), 2)
    else
      m.load(
        CODE,
        assemble(`${call}\nhlt\nalign 16\npointer: dd ${TARGET}\ndw ${CODE64}`, 64, CODE),
      )
    m.load(TARGET, assemble(ret, 64, TARGET))
    m.cpu.run(1)
    const rsp = Number(m.cpu.readRegister(S.RSP))
    assert.equal(rsp, STACK - 2 * size)
    assert.equal(m.read(rsp + size, size), BigInt(CODE64))
    const next = m.read(rsp, size)
    m.cpu.run(1)
    assert.equal(m.cpu.rip, next)
    assert.equal(m.cpu.readRegister(S.RSP), BigInt(STACK + 8))
  }
})

test('a CALL far whose second push faults leaves RSP and CS as they were', () => {
  const m = machine(
    `mov esp, 0x41008\no64 call far [rel pointer]\nalign 16\npointer: dq ${TARGET}\ndw 8`,
  )
  m.page(0x40000, 0n)
  m.gate(14, { ist: 1 })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 14)
  assert.deepEqual(entry.words(5).slice(1), [BigInt(CODE + 5), 8n, 0x10002n, 0x41008n])
})

test('far transfers refuse segments with the selector as error code', () => {
  const cases: [number, number, number][] = [
    [0, 13, 0],
    [DATA, 13, DATA],
    [USER_CODE64, 13, USER_CODE64 & ~3],
    [FREE, 11, FREE],
    [0x2000, 13, 0x2000],
    [FREE + 8, 13, FREE + 8],
  ]
  for (const [selector, vector, code] of cases) {
    const m = machine(`jmp dword far [rel pointer]\npointer: dd ${TARGET}\ndw ${selector}`)
    m.descriptor(FREE, descriptor(0, 0xfffff, ACCESS_CODE & 0x7f, FLAGS_64))
    // L and D together.
    m.descriptor(FREE + 8, descriptor(0, 0xfffff, ACCESS_CODE, 0xe))
    const entry = m.runToHandler()
    assert.equal(entry?.vector, vector)
    assert.deepEqual(entry.words(2), [BigInt(code), BigInt(CODE)])
  }
})

test('a target beyond the limit of its segment is #GP(0) before anything is pushed', () => {
  const m = machine(`call ${FREE}:0x200`, 32)
  m.descriptor(FREE, descriptor(0, 0x1ff, ACCESS_CODE, 0x4))
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 13)
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(STACK - 16))
})

test('RET far to level 3 loads the stack and releases parameters on both', () => {
  const m = machine('retf 8', 32)
  const frame = [TARGET, USER_CODE32, 0x11, 0x22, USER_STACK - 0x100, USER_DATA]
  m.cpu.writeRegister(S.RSP, BigInt(STACK - frame.length * 4))
  for (const [i, word] of frame.entries()) m.write(STACK - (frame.length - i) * 4, BigInt(word), 4)
  m.cpu.run(1)
  assert.equal(m.cpu.cpl, 3)
  assert.equal(m.cpu.rip, BigInt(TARGET))
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(USER_STACK - 0x100 + 8))
})

test('a call gate to the same level pushes two words and ignores the offset in the instruction', () => {
  const m = machine(`call ${FREE}:0x12345678`, 32)
  callGate(m, FREE, CODE32, TARGET)
  m.cpu.run(1)
  assert.equal(m.cpu.rip, BigInt(TARGET))
  assert.deepEqual([m.read(STACK - 8, 4), m.read(STACK - 4, 4)], [BigInt(CODE + 7), BigInt(CODE32)])
})

test('a call gate to an inner level copies its parameters to the stack of the TSS', () => {
  const m = machine(`call ${FREE | 3}:0`, 32)
  callGate(m, FREE, CODE32, TARGET, { count: 3 })
  m.load(TARGET, assemble('retf 12', 32, TARGET))
  m.enter(USER_CODE32, USER_DATA, USER_STACK - 12)
  for (let i = 0; i < 3; i++) m.write(USER_STACK - 12 + i * 4, BigInt(0x100 + i), 4)
  m.cpu.run(1)
  assert.equal(m.cpu.cpl, 0)
  assert.equal(m.cpu.selector(S.SS), DATA)
  const rsp = Number(m.cpu.readRegister(S.RSP))
  assert.equal(rsp, STACK - 28)
  const words = Array.from({ length: 7 }, (_, i) => Number(m.read(rsp + i * 4, 4)))
  const expected = [CODE + 7, USER_CODE32, 0x100, 0x101, 0x102, USER_STACK - 12, USER_DATA]
  assert.deepEqual(words, expected)
  m.cpu.run(1)
  assert.equal(m.cpu.cpl, 3)
  assert.equal(m.cpu.rip, BigInt(CODE + 7))
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(USER_STACK))
})

test('a 16-bit call gate to level 1 pushes 16-bit words', () => {
  const m = machine(`call ${FREE | 3}:0`, 32)
  callGate(m, FREE, FREE + 8, TARGET, { type: 4, count: 1 })
  m.descriptor(FREE + 8, descriptor(0, 0xfffff, ACCESS_CODE | 0x20, FLAGS_32))
  m.descriptor(FREE + 16, descriptor(0, 0xfffff, ACCESS_DATA | 0x20, FLAGS_32))
  m.write(TASK + 12, BigInt(STACK), 4)
  m.write(TASK + 16, BigInt((FREE + 16) | 1), 2)
  m.enter(USER_CODE32, USER_DATA, USER_STACK)
  m.write(USER_STACK, 0xabcdn, 2)
  m.cpu.run(1)
  assert.equal(m.cpu.cpl, 1)
  const words = Array.from({ length: 5 }, (_, i) => Number(m.read(STACK - 10 + i * 2, 2)))
  assert.deepEqual(words, [CODE + 7, USER_CODE32, 0xabcd, USER_STACK, USER_DATA])
})

test('a call gate in long mode goes to 64-bit code on RSP0 with a null SS', () => {
  const m = machine(`call dword far [rel pointer]\nalign 16\npointer: dd 0\ndw ${FREE | 3}`)
  callGate(m, FREE, CODE64, TARGET)
  m.enter(USER_CODE64, USER_DATA, USER_STACK)
  m.cpu.run(1)
  assert.equal(m.cpu.cpl, 0)
  assert.equal(m.cpu.rip, BigInt(TARGET))
  assert.equal(m.cpu.selector(S.SS), 0)
  const words = Array.from({ length: 4 }, (_, i) => Number(m.read(STACK - 32 + i * 8, 8)))
  assert.deepEqual(words, [CODE + 6, USER_CODE64, USER_STACK, USER_DATA])
})

test('a gate needs the level of caller and selector; JMP may not go inwards', () => {
  const closed = machine(`call ${FREE | 3}:0`, 32)
  callGate(closed, FREE, CODE32, TARGET, { dpl: 0 })
  closed.enter(USER_CODE32, USER_DATA, USER_STACK)
  let entry = closed.runToHandler()
  assert.equal(entry?.vector, 13)
  assert.equal(entry.words(1)[0], BigInt(FREE))
  const jump = machine(`jmp ${FREE | 3}:0`, 32)
  callGate(jump, FREE, CODE32, TARGET)
  jump.enter(USER_CODE32, USER_DATA, USER_STACK)
  entry = jump.runToHandler()
  assert.equal(entry?.vector, 13)
  assert.equal(entry.words(1)[0], BigInt(CODE32))
})

test('a fault on the inner stack of a call gate leaves the caller as it was', () => {
  const m = machine(`call ${FREE | 3}:0`, 32)
  callGate(m, FREE, CODE32, TARGET)
  m.descriptor(FREE + 8, descriptor(0, 0x100, ACCESS_DATA, 0x4))
  m.write(TASK + 8, BigInt(FREE + 8), 2)
  m.write(TASK + 4, 4n, 4)
  m.descriptor(FREE + 16, descriptor(0, 0xfffff, ACCESS_CODE | 0x64, FLAGS_32))
  m.gate(12, { selector: FREE + 16 })
  m.enter(USER_CODE32, USER_DATA, USER_STACK)
  m.cpu.run(1)
  // #SS with the new selector, handled at level 3 on the caller's stack.
  const words = Array.from({ length: 3 }, (_, i) => Number(m.read(USER_STACK - 16 + i * 4, 4)))
  assert.deepEqual(words, [FREE + 8, CODE, USER_CODE32])
})

test('16-bit code runs with a 16-bit stack pointer that wraps, and limits are held', () => {
  const m = new SystemMachine(16)
  const source = 'push ax\ncall near here\nhere: pop bx\nmov eax, [dword 0xfffd]'
  m.load(CODE, assemble(source, 16, CODE))
  m.enter(CODE16, 0x40, 0)
  m.cpu.writeRegister(S.RSP, 0x12340000n)
  m.cpu.run(3)
  assert.equal(m.cpu.readRegister(S.RSP), 0x1234fffen)
  assert.equal(m.cpu.registerLow(S.RBX) & 0xffff, CODE + 4)
  m.cpu.run(1)
  assert.equal(Number(m.cpu.rip) & 0xfff0, 0x4000 + 13 * 16)
})

test('near jumps beyond the limit of the code segment are #GP(0) of the jump', () => {
  for (const jump of ['jmp 0x300', 'call 0x300', 'mov eax, 0x300\ncall eax']) {
    const m = new SystemMachine(32)
    m.descriptor(FREE, descriptor(CODE, 0x1ff, ACCESS_CODE, 0x4))
    m.load(CODE, assemble(jump, 32, 0))
    m.enter(FREE, DATA, STACK)
    m.cpu.rip = 0n
    const entry = m.runToHandler()
    assert.equal(entry?.vector, 13, jump)
    const at = jump.startsWith('mov') ? 5n : 0n
    assert.deepEqual(entry.words(3), [0n, at, BigInt(FREE)], jump)
    assert.equal(m.cpu.readRegister(S.RSP), BigInt(STACK - 16), jump)
  }
})

test('a code segment that shrinks takes known jump targets with it', () => {
  const m = new SystemMachine(32)
  m.descriptor(FREE, descriptor(CODE, 0xfff, ACCESS_CODE, 0x4))
  m.descriptor(FREE + 8, descriptor(CODE, 0x1ff, ACCESS_CODE, 0x4))
  const source = `
    mov eax, 0x300
    call eax
    jmp ${FREE + 8}:shrunk
  shrunk:
    mov eax, 0x300
    call eax
    hlt
    times 0x300 - ($ - $$) nop
    ret`
  m.load(CODE, assemble(source, 32, 0))
  m.enter(FREE, DATA, STACK)
  m.cpu.rip = 0n
  assert.equal(m.runToHandler()?.vector, 13)
})

test('expand-down segments hold what lies above their limit', () => {
  const m = machine('mov eax, [fs:0x1000]\nmov eax, [fs:0xfff]', 32)
  m.descriptor(FREE, descriptor(0x40000, 0xfff, 0x97, 0x4))
  m.write(0x41000, 0x1234n, 4)
  m.load(CODE - 0x10, assemble(`mov ax, ${FREE}\nmov fs, ax\njmp ${CODE}`, 32, CODE - 0x10))
  m.cpu.rip = BigInt(CODE - 0x10)
  m.cpu.run(4)
  assert.equal(m.cpu.readRegister(S.RAX), 0x1234n)
  assert.equal(m.runToHandler()?.vector, 13)
})

test('segments that are null, read-only or code refuse what they do not allow', () => {
  const cases: [number, string, number | undefined][] = [
    [0, 'mov al, [fs:0]', 13],
    [FREE, 'mov [fs:0], al', 13],
    [FREE, 'mov al, [fs:0]', undefined],
    [FREE + 8, 'mov al, [fs:0]', undefined],
    [FREE + 8, 'mov [fs:0], al', 13],
  ]
  for (const [selector, access, expected] of cases) {
    const m = machine(`mov ax, ${selector}\nmov fs, ax\n${access}\nint 0x80`, 32)
    m.descriptor(FREE, descriptor(0, 0xfff, 0x91, FLAGS_32))
    m.descriptor(FREE + 8, descriptor(0, 0xfff, ACCESS_CODE, FLAGS_16))
    assert.equal(m.runToHandler()?.vector, expected ?? 0x80)
  }
})

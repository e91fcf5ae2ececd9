// SYSCALL, SYSRET, SYSENTER and SYSEXIT. Expected values: SDM vol. 2.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import type { Translation } from '../translator/options.ts'
import { FLAG_IF, FLAG_RF, FLAG_TF } from '../registers.ts'
import * as S from '../state.ts'
import { ALL_FEATURES } from '../testing/bare-machine.ts'
import {
  CODE,
  STACK,
  SystemMachine,
  USER_CODE32,
  USER_CODE64,
  USER_DATA,
  USER_STACK,
} from '../testing/system-machine.ts'

const KERNEL = 0x9000

function user(source: string, kernel = 'hlt', translation: Translation = 'hot'): SystemMachine {
  const m = new SystemMachine(64, ALL_FEATURES, translation)
  m.load(CODE, assemble(source, 64, CODE))
  m.load(KERNEL, assemble(kernel, 64, KERNEL))
  m.enter(USER_CODE64, USER_DATA, USER_STACK)
  m.cpu.setU64(S.STAR, (0x08n << 32n) | (0x1bn << 48n))
  m.cpu.setU64(S.LSTAR, BigInt(KERNEL))
  m.cpu.setU64(S.CSTAR, BigInt(KERNEL + 0x100))
  m.cpu.setU64(S.SFMASK, 0x47700n)
  return m
}

test('SYSCALL saves RIP and RFLAGS in RCX and R11 and masks the flags', () => {
  const m = user('stc\nsyscall')
  m.cpu.rflags = 2 | FLAG_IF
  m.cpu.run(2)
  assert.equal(m.cpu.rip, BigInt(KERNEL))
  assert.equal(m.cpu.readRegister(S.RCX), BigInt(CODE + 3))
  assert.equal(m.cpu.readRegister(11), BigInt(FLAG_IF | 3))
  assert.equal(m.cpu.rflags, 3)
  assert.equal(m.cpu.cpl, 0)
  assert.equal(m.cpu.selector(S.CS), 0x08)
  assert.equal(m.cpu.selector(S.SS), 0x10)
  assert.equal(m.cpu.readRegister(S.RSP), BigInt(USER_STACK))
})

test('SYSRET goes back with CS and SS by STAR and the flags of R11, without RF and VM', () => {
  const m = user('syscall\nnop', 'mov r11d, 0x30ed7\no64 sysret')
  m.cpu.run(3)
  assert.equal(m.cpu.rip, BigInt(CODE + 2))
  assert.equal(m.cpu.cpl, 3)
  assert.equal(m.cpu.selector(S.CS), USER_CODE64)
  assert.equal(m.cpu.selector(S.SS), USER_DATA)
  assert.equal(m.cpu.rflags, 0x0ed7)
})

test('SYSRET without REX.W goes to 32-bit code at ECX', () => {
  const m = user('syscall', 'mov rcx, 0x100009100\nsysret')
  m.cpu.run(3)
  assert.equal(m.cpu.rip, 0x9100n)
  assert.equal(m.cpu.codeSize, 32)
  assert.equal(m.cpu.selector(S.CS), USER_CODE32)
})

test('SYSRET to an RCX that is not canonical is #GP(0) at level 0', () => {
  const m = user('syscall', 'mov rcx, 0x800000000000\no64 sysret')
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 13)
  assert.equal(entry.words(3)[2], 8n)
})

test('SYSCALL without EFER.SCE is #UD, SYSRET at level 3 is #GP', () => {
  const off = user('syscall')
  off.cpu.set32(S.EFER, off.cpu.efer & ~1)
  assert.equal(off.runToHandler()?.vector, 6)
  assert.equal(user('o64 sysret').runToHandler()?.vector, 13)
})

test('SYSCALL of 32-bit code goes to CSTAR', () => {
  const m = user('nop')
  m.load(CODE, assemble('syscall', 32, CODE))
  m.enter(USER_CODE32, USER_DATA, USER_STACK)
  m.cpu.run(1)
  assert.equal(m.cpu.rip, BigInt(KERNEL + 0x100))
  assert.equal(m.cpu.codeSize, 64)
})

test('SYSENTER takes stack and address from its MSRs and clears IF', () => {
  const m = user('sysenter')
  m.cpu.setU64(S.SYSENTER_CS, 8n)
  m.cpu.setU64(S.SYSENTER_EIP, BigInt(KERNEL))
  m.cpu.setU64(S.SYSENTER_ESP, 0xa880n)
  m.cpu.rflags = 2 | FLAG_IF
  m.cpu.run(1)
  assert.equal(m.cpu.rip, BigInt(KERNEL))
  assert.equal(m.cpu.readRegister(S.RSP), 0xa880n)
  assert.equal(m.cpu.rflags & (FLAG_IF | FLAG_TF | FLAG_RF), 0)
  assert.equal(m.cpu.cpl, 0)
  assert.equal(m.cpu.selector(S.SS), 0x10)
})

test('SYSENTER with a null SYSENTER_CS is #GP(0)', () => {
  assert.equal(user('sysenter').runToHandler()?.vector, 13)
})

test('SYSEXIT goes to RDX with stack RCX, to 64-bit or 32-bit code', () => {
  for (const [text, cs, codeSize] of [
    ['o64 sysexit', 0x28 | 3, 64],
    ['sysexit', 0x18 | 3, 32],
  ] as const) {
    const m = user('nop')
    m.load(CODE, assemble(`mov edx, 0x9100\nmov ecx, 0xe800\n${text}`, 64, CODE))
    m.enter(0x08, 0x10, 0xb000)
    m.cpu.setU64(S.SYSENTER_CS, 8n)
    m.cpu.run(3)
    assert.equal(m.cpu.cpl, 3)
    assert.equal(m.cpu.selector(S.CS), cs)
    assert.equal(m.cpu.selector(S.SS), cs + 8)
    assert.equal(m.cpu.codeSize, codeSize)
    assert.equal(m.cpu.rip, 0x9100n)
    assert.equal(m.cpu.readRegister(S.RSP), 0xe800n)
  }
})

/** Tables of 32-bit words: flags that the kernel gives, that it runs with, that the user gets. */
const GIVEN = 0x100000
const KERNEL_FLAGS = 0x101000
const USER_FLAGS = 0x102000
const KERNEL_ONLY = 0x103000
const ROUNDS = 256

/** User code that calls the kernel again and again, and loads what it may not in the end. */
function rounds(translation: Translation): SystemMachine {
  const m = user(
    `again: add eax, 0x2b3c5d71
     syscall
     pushfq
     pop rdx
     mov [rbx * 4 + ${USER_FLAGS}], edx
     add ebx, 1
     cmp ebx, ${ROUNDS}
     jne again
     mov eax, [${KERNEL_ONLY}]`,
    `mov rsp, ${STACK}
     pushfq
     pop rdx
     mov [rbx * 4 + ${KERNEL_FLAGS}], edx
     mov edx, [${KERNEL_ONLY}]
     mov rsp, ${USER_STACK}
     mov r12, r11
     mov r11d, [rbx * 4 + ${GIVEN}]
     o64 sysret`,
    translation,
  )
  m.page(KERNEL_ONLY, BigInt(KERNEL_ONLY + 3))
  m.cpu.flushTlb()
  for (let i = 0; i < ROUNDS; i++) m.write(GIVEN + i * 4, BigInt(givenFlags(i)), 4)
  return m
}

/** Of every kind but TF; the arithmetic flags are gone again when the user pushes them. */
function givenFlags(i: number): number {
  return Math.imul(i, 0x9e3779b1) & ~FLAG_TF
}

for (const translation of ['off', 'always'] as const) {
  test(`SYSCALL and SYSRET in a loop do what they do once, translation ${translation}`, () => {
    const m = rounds(translation)
    m.cpu.rflags = 2 | FLAG_IF
    const fault = m.runToHandler(100_000)
    assert.equal(fault?.vector, 14)
    assert.equal(m.cpu.getU64(S.CR2), BigInt(KERNEL_ONLY))
    assert.equal(fault.words(1)[0], 5n, 'present, of user code')
    let before = 2 | FLAG_IF
    for (let i = 0; i < ROUNDS; i++) {
      const kernel = Number(m.read(KERNEL_FLAGS + i * 4, 4))
      const kept = before & ~0x8d5 & ~0x47700
      assert.equal(kernel & ~0x8d5, kept, `flags of the kernel in round ${i}`)
      const back = Number(m.read(USER_FLAGS + i * 4, 4))
      const loaded = (givenFlags(i) & 0x3c7fd7 & ~(FLAG_RF | 0x28)) | 2
      assert.equal(back, loaded & ~FLAG_RF, `flags of the user in round ${i}`)
      before = loaded
    }
    const [cs, ss] = [m.cpu.segmentAttributes(S.CS), m.cpu.segmentAttributes(S.SS)]
    assert.deepEqual([cs & 0xf00, ss & 0xf00], [0xb00, 0])
    assert.ok(m.cpu.counters.hostInstructions < ROUNDS, 'most of it happens in emitted code')
  })
}

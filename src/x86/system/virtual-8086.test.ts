// Virtual-8086 mode. Expected values: SDM vol. 3A, chapter 21.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { FLAG_IF, FLAG_IOPL, FLAG_VM } from '../registers.ts'
import * as S from '../state.ts'
import { CODE, STACK, SystemMachine } from '../testing/system-machine.ts'

const VM_CODE = 0x9000

/** A machine about to IRET into virtual-8086 mode, where it runs the source at 0900:0000. */
function machine(source: string, flags = FLAG_VM | FLAG_IOPL): SystemMachine {
  const m = new SystemMachine(32)
  m.load(CODE, assemble('iret', 32, CODE))
  m.load(VM_CODE, assemble(source, 16, 0))
  const frame = [0, 0x900, flags | 2, 0x100, 0xe00, 0x1111, 0x2222, 0x3333, 0x4444]
  m.cpu.writeRegister(S.RSP, BigInt(STACK - frame.length * 4))
  for (const [i, word] of frame.entries()) m.write(STACK - (frame.length - i) * 4, BigInt(word), 4)
  m.cpu.run(1)
  return m
}

test('IRET at level 0 with VM set enters it with all segments', () => {
  const m = machine('nop')
  assert.equal(m.cpu.cpl, 3)
  assert.equal(m.cpu.codeSize, 16)
  assert.equal(m.cpu.rip, 0n)
  const selectors = [S.CS, S.SS, S.ES, S.DS, S.FS, S.GS].map((s) => m.cpu.selector(s))
  assert.deepEqual(selectors, [0x900, 0xe00, 0x1111, 0x2222, 0x3333, 0x4444])
  assert.equal(m.cpu.segmentBase(S.DS), 0x22220n)
  assert.equal(m.cpu.segmentLimit(S.DS), 0xffff)
  assert.equal(m.cpu.readRegister(S.RSP), 0x100n)
})

test('code runs as in real mode: segments, 16-bit stack, stores into the code segment', () => {
  const m = machine(`
    mov ax, 0x4000
    mov ds, ax
    mov word [0x10], 0xbeef
    mov word [cs:0x80], 0x1234
    push word [cs:0x80]
    pop bx
    int 0x40`)
  m.gate(0x40, { dpl: 3 })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 0x40)
  assert.equal(m.read(0x40010, 2), 0xbeefn)
  assert.equal(m.cpu.registerLow(S.RBX) & 0xffff, 0x1234)
})

test('an interrupt leaves it: level 0, nine words, null segments', () => {
  const m = machine('int 0x40')
  m.gate(0x40, { dpl: 3 })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 0x40)
  const expected = [2, 0x900, FLAG_VM | FLAG_IOPL | 2, 0x100, 0xe00, 0x1111, 0x2222, 0x3333, 0x4444]
  assert.deepEqual(entry.words(9).map(Number), expected)
  assert.equal(m.cpu.cpl, 0)
  assert.equal(m.cpu.rflags & FLAG_VM, 0)
  assert.deepEqual(
    [S.ES, S.DS, S.FS, S.GS].map((s) => m.cpu.selector(s)),
    [0, 0, 0, 0],
  )
})

test('exceptions leave it with their error code', () => {
  const m = machine('hlt')
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 13)
  assert.deepEqual(entry.words(3), [0n, 0n, 0x900n])
})

test('below IOPL 3, INT n, PUSHF, POPF, IRET, CLI and STI are #GP(0); INT3 is not', () => {
  for (const source of ['int 0x40', 'pushf', 'popf', 'iret', 'cli', 'sti']) {
    const m = machine(source, FLAG_VM)
    m.gate(0x40, { dpl: 3 })
    const entry = m.runToHandler()
    assert.equal(entry?.vector, 13, source)
    assert.deepEqual(entry.words(2), [0n, 0n], source)
  }
  const m = machine('int3', FLAG_VM)
  m.gate(3, { dpl: 3 })
  assert.equal(m.runToHandler()?.vector, 3)
})

test('with IOPL 3, POPF and IRET change IF but not IOPL', () => {
  const m = machine('push word 0x0200\npopf\nnop')
  m.cpu.run(2)
  assert.equal(m.cpu.rflags & (FLAG_IF | FLAG_IOPL | FLAG_VM), FLAG_IF | FLAG_IOPL | FLAG_VM)
  const iret = machine('push word 0x0200\npush word 0x910\npush word 0x20\niret')
  iret.cpu.run(4)
  assert.equal(iret.cpu.rip, 0x20n)
  assert.equal(iret.cpu.segmentBase(S.CS), 0x9100n)
  assert.equal(iret.cpu.rflags & (FLAG_IF | FLAG_IOPL | FLAG_VM), FLAG_IF | FLAG_IOPL | FLAG_VM)
})

test('ports go by the bitmap of the TSS whatever the IOPL', () => {
  const m = machine('in al, 0x80\nin al, 0x81')
  m.write(0x3000 + 102, 0x68n, 2)
  m.write(0x3068 + 16, 0x02n, 2)
  m.cpu.run(1)
  assert.equal(m.cpu.rip, 2n)
  assert.equal(m.runToHandler()?.vector, 13)
})

test('offsets beyond 64 KiB are #GP', () => {
  const m = machine('mov eax, 0x10000\nmov bl, [eax]')
  m.cpu.run(1)
  assert.equal(m.runToHandler()?.vector, 13)
})

test('an IRET at level 0 goes back into it', () => {
  const m = machine('int 0x40\nmov ax, 7\nint 0x41')
  m.gate(0x40, { dpl: 3, offset: CODE })
  m.gate(0x41, { dpl: 3 })
  const entry = m.runToHandler()
  assert.equal(entry?.vector, 0x41)
  assert.equal(m.cpu.registerLow(S.RAX) & 0xffff, 7)
})

// From real mode to protected, long and compatibility mode and back, as boot code does it.
// (SDM vol. 3A, 10.8.5, 10.9 and 21.1.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { CR0_PE, CR0_PG, EFER_LMA } from '../mmu/walker.ts'
import * as S from '../state.ts'
import { ALL_FEATURES } from '../testing/bare-machine.ts'
import { CODE, SystemMachine, TABLES } from '../testing/system-machine.ts'
import { startProcessor } from './reset.ts'

/** A processor that begins at 0800:0000 in real mode; the GDT is at 0x1000. */
function real(source: string): SystemMachine {
  const m = new SystemMachine(64)
  m.load(CODE, assemble(source, 16, CODE))
  startProcessor(m.cpu, CODE >> 12)
  return m
}

test('real mode addresses through segments of 64 KiB, the code segment is writable', () => {
  const m = real(`
    mov ax, 0x4000
    mov ds, ax
    mov word [0x10], 0xbeef
    mov word [cs:0x100], 0x1234
    mov bx, [cs:0x100]
    hlt`)
  assert.equal(m.cpu.run(100).reason, 'halt')
  assert.equal(m.read(0x40010, 2), 0xbeefn)
  assert.equal(m.cpu.registerLow(S.RBX) & 0xffff, 0x1234)
})

test('INT in real mode goes through the vector table and comes back with IRET', () => {
  const m = real(`
    mov sp, 0x7000
    sti
    int 0x21
    hlt`)
  m.cpu.set32(S.IDT_LIMIT, 0x3ff)
  m.write(0x84, (0x900n << 16n) | 0x40n, 4)
  m.load(0x9040, assemble('pushf\npop bx\nmov bp, sp\nmov cx, [bp]\nmov dx, [bp+2]\niret', 16, 0))
  assert.equal(m.cpu.run(100).reason, 'halt')
  assert.equal(m.cpu.registerLow(S.RCX), 6)
  assert.equal(m.cpu.registerLow(S.RDX) & 0xffff, CODE >> 4)
  assert.equal(m.cpu.registerLow(S.RBX) & 0x200, 0)
  assert.notEqual(m.cpu.rflags & 0x200, 0)
  assert.equal(m.cpu.readRegister(S.RSP), 0x7000n)
})

test('an access beyond 64 KiB is #GP without an error code, one of the stack #SS', () => {
  for (const [source, vector] of [
    ['mov ax, [0xffff]', 13],
    ['mov eax, 0x10000\nmov al, [eax]', 13],
    ['mov bp, 0xffff\nmov ax, [bp]', 12],
  ] as const) {
    const m = real(`mov sp, 0x7000\n${source}`)
    m.cpu.set32(S.IDT_LIMIT, 0x3ff)
    m.write(vector * 4, (0x900n << 16n) | 0x40n, 4)
    m.load(0x9040, new Uint8Array([0xf4]))
    assert.equal(m.cpu.run(100).reason, 'halt')
    assert.equal(m.cpu.rip, 0x41n)
    assert.equal(m.cpu.readRegister(S.RSP), 0x6ffan)
  }
})

test('far calls and returns in real mode', () => {
  const m = real('mov sp, 0x7000\ncall 0x900:0x20\nhlt')
  m.load(0x9020, assemble('inc bx\nretf', 16, 0x20))
  assert.equal(m.cpu.run(100).reason, 'halt')
  assert.equal(m.cpu.registerLow(S.RBX), 1)
  assert.equal(m.cpu.readRegister(S.RSP), 0x7000n)
})

const TO_PROTECTED = `
    cli
    lgdt [cs:pointer - 0x8000]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    jmp dword 0x30:protected
  pointer:
    dw 0xfff
    dd 0x1000
  bits 32
  protected:
    mov ax, 0x10
    mov ds, ax
    mov ss, ax
    mov es, ax
    mov esp, 0xb000`

const TO_LONG = `
    mov eax, cr4
    or eax, 0x20
    mov cr4, eax
    mov eax, ${TABLES}
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x901
    wrmsr
    mov eax, cr0
    or eax, 0x80000000
    mov cr0, eax
    rdmsr
    mov ebx, eax
    jmp 0x08:in_long
  bits 64
  in_long:`

test('real mode to protected mode and back to real mode', () => {
  const m = real(`${TO_PROTECTED}
    mov dword [0x40000], 0x12345678
    jmp 0x38:half
  bits 16
  half:
    mov ax, 0x40
    mov ds, ax
    mov ss, ax
    mov es, ax
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    jmp 0x800:again - 0x8000
  again:
    mov ax, 0x4000
    mov ds, ax
    mov bx, [0]
    mov ax, cs
    hlt`)
  assert.equal(m.cpu.run(100).reason, 'halt')
  assert.equal(m.cpu.cr0 & CR0_PE, 0)
  assert.equal(m.cpu.codeSize, 16)
  assert.equal(m.cpu.registerLow(S.RBX) & 0xffff, 0x5678)
  assert.equal(m.cpu.registerLow(S.RAX) & 0xffff, 0x800)
})

test('segments keep their limits in real mode ("unreal" mode)', () => {
  const m = real(`${TO_PROTECTED}
    jmp 0x38:half
  bits 16
  half:
    mov eax, cr0
    and al, 0xfe
    mov cr0, eax
    jmp 0x800:again - 0x8000
  again:
    xor ax, ax
    mov ds, ax
    mov dword [dword 0x123450], 0xabcd
    hlt`)
  assert.equal(m.cpu.run(100).reason, 'halt')
  assert.equal(m.read(0x123450, 4), 0xabcdn)
})

test('real mode to long mode, compatibility mode and back', () => {
  const m = real(`${TO_PROTECTED}
    ${TO_LONG}
    mov r8, 0x123456789abcdef0
    push 0x30
    push compatible
    o64 retf
  bits 32
  compatible:
    inc esi
    mov edx, cs
    jmp 0x08:back
  bits 64
  back:
    inc rsi
    mov rdi, r8
    hlt`)
  assert.equal(m.cpu.run(100).reason, 'halt')
  assert.equal(m.cpu.codeSize, 64)
  assert.equal(m.cpu.readRegister(S.RBX), 0xd01n)
  assert.equal(m.cpu.readRegister(S.RSI), 2n)
  assert.equal(m.cpu.readRegister(S.RDX), 0x30n)
  assert.equal(m.cpu.readRegister(S.RDI), 0x123456789abcdef0n)
})

test('long mode is left by turning paging off in compatibility mode', () => {
  const m = real(`${TO_PROTECTED}
    ${TO_LONG}
    push 0x30
    push compatible
    o64 retf
  bits 32
  compatible:
    mov eax, cr0
    and eax, 0x7fffffff
    mov cr0, eax
    rdmsr
    hlt`)
  assert.equal(m.cpu.run(100).reason, 'halt')
  assert.equal(m.cpu.efer & EFER_LMA, 0)
  assert.equal(m.cpu.cr0 & CR0_PG, 0)
  assert.equal(m.cpu.readRegister(S.RAX), 0x901n)
})

test('control registers refuse what cannot be', () => {
  const cases: readonly string[] = [
    // Paging without protection; NW without CD; long mode without PAE.
    'mov rax, 0x80000000\nmov cr0, rax',
    'mov rax, cr0\nbts rax, 29\nmov cr0, rax',
    'mov rax, cr4\nbtr rax, 5\nmov cr4, rax',
    // Paging off in 64-bit code; bits that do not exist.
    'mov rax, cr0\nbtr rax, 31\nmov cr0, rax',
    'mov rax, cr4\nbts rax, 31\nmov cr4, rax',
    'mov rax, cr0\nbts rax, 32\nmov cr0, rax',
    'mov rax, cr3\nbts rax, 60\nmov cr3, rax',
    'mov ecx, 0xc0000080\nrdmsr\nbts eax, 1\nwrmsr',
    'mov ecx, 0xc0000080\nrdmsr\nbtr eax, 8\nwrmsr',
    'mov ecx, 0xc0000100\nxor eax, eax\nmov edx, 0x8000\nwrmsr',
    'mov ecx, 0x12345\nrdmsr',
    'mov ecx, 1\nxor eax, eax\nxsetbv',
    'mov eax, 16\nmov cr8, rax',
  ]
  for (const source of cases) {
    const m = new SystemMachine(64)
    m.load(CODE, assemble(source, 64, CODE))
    const entry = m.runToHandler()
    assert.equal(entry?.vector, 13, source)
    assert.equal(entry.words(1)[0], 0n, source)
  }
})

test('automatic IBRS is enabled where the processor has it', () => {
  const source = 'mov ecx, 0xc0000080\nrdmsr\nbts eax, 21\nwrmsr\nrdmsr\nhlt'
  const without = new Set([...ALL_FEATURES].filter((name) => name !== 'auto_ibrs'))
  const has = new SystemMachine(64)
  has.load(CODE, assemble(source, 64, CODE))
  assert.equal(has.cpu.run(100).reason, 'halt')
  assert.equal(has.cpu.registerLow(S.RAX) & (1 << 21), 1 << 21)
  const hasNot = new SystemMachine(64, without)
  hasNot.load(CODE, assemble(source, 64, CODE))
  assert.equal(hasNot.runToHandler()?.vector, 13)
})

test('privileged instructions at level 3 are #GP(0)', () => {
  const cases = [
    'hlt',
    'cli',
    'sti',
    'lgdt [0x40000]',
    'lidt [0x40000]',
    'mov rax, cr0',
    'mov cr3, rax',
    'mov dr7, rax',
    'wrmsr',
    'rdmsr',
    'clts',
    'invlpg [0]',
    'wbinvd',
    'swapgs',
    'ltr ax',
    'lldt ax',
    'in al, 0x80',
    'out 0x80, al',
  ]
  for (const source of cases) {
    const m = new SystemMachine(64)
    m.load(CODE, assemble(source, 64, CODE))
    m.enter(0x2b, 0x23, 0xf000)
    const entry = m.runToHandler()
    assert.equal(entry?.vector, 13, source)
    assert.deepEqual(entry.words(2), [0n, BigInt(CODE)], source)
  }
})

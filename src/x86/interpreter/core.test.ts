// The core against the same handlers as functions: whatever a program does, both do it, in as
// many instructions.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import * as S from '../state.ts'
import type { TranslationMode } from '../translator/options.ts'
import { CODE, SystemMachine } from '../testing/system-machine.ts'

function machine(source: string, mode?: TranslationMode): SystemMachine {
  const m = new SystemMachine(64, undefined, mode)
  m.load(CODE, assemble(source, 64, CODE))
  return m
}

/** Registers, flags, and all of the memory. */
function stateOf(m: SystemMachine): unknown {
  const registers = Array.from({ length: 16 }, (_, i) => m.cpu.readRegister(i))
  const { u8 } = m.memory
  const vectors = u8.slice(m.cpu.state + S.VECTORS, m.cpu.state + S.VECTORS + 16 * S.VECTOR_SIZE)
  const memory = u8.slice(m.ram, m.ram + (4 << 20))
  const { rip, rflags } = m.cpu
  return { registers, vectors, rip, rflags, cr2: m.cpu.getU64(S.CR2), memory }
}

/** Runs to HLT in slices; gives the number of instructions. */
function runToHalt(m: SystemMachine, slice: number): number {
  for (let total = 0; ; ) {
    const { executed, reason } = m.cpu.run(slice)
    total += executed
    if (reason === 'halt') return total
    assert.equal(reason, 'budget')
    assert.equal(executed, slice)
  }
}

/** Runs a program without a core, and with one that is built after `warmUp` instructions. */
function assertSame(source: string, warmUp: number, prepare = (_m: SystemMachine) => {}): void {
  const plain = machine(source)
  prepare(plain)
  const total = runToHalt(plain, 1_000_000)
  assert.equal(plain.engine.handlers.cores, 0)
  for (const slice of [7, 1_000_000]) {
    const inCore = machine(source)
    prepare(inCore)
    assert.equal(inCore.cpu.run(warmUp).executed, warmUp)
    inCore.engine.handlers.buildCore()
    assert.equal(inCore.engine.handlers.cores, 1)
    assert.equal(warmUp + runToHalt(inCore, slice), total)
    assert.deepEqual(stateOf(inCore), stateOf(plain))
  }
}

test('a program of all kinds of instructions does the same in the core', () => {
  assertSame(
    `
    cld
    mov ecx, 300
  again:
    imul rax, rax, 1664525
    add rax, 1013904223
    mov rdx, rax
    shr rdx, 60
    mov rbx, rax
    shr rbx, 50
    add [0x40000 + rbx], rdx        ; crosses into the next page now and then
    lea rsi, [0x40000 + rbx]
    mov edi, 0x48000
    movsq
    lodsb
    movups xmm0, [0x40000 + rbx]
    addps xmm1, xmm0
    test al, 1
    jz short even
    call odd
  even:
    push rax
    pop r8
    xor r9, r8
    adc r9, rdx
    cmp r9, r8
    setb r10b
    loop again
    hlt
  odd:
    mov r11, cr0
    cmovs r12, r11
    bt r11, rdx
    ret`,
    2000,
  )
})

test('a page fault in the core finds everything as it was before the instruction', () => {
  const source = `
    mov ebx, 0x40000
  again:
    add rax, rbx
    push rax
    add [rbx], rax
    pop rdx
    add ebx, 8
    jmp again`
  assertSame(source, 100, (m) => m.page(0x42000, 0n))
})

test('code that changes its next instruction is seen to do so in the core', () => {
  const source = `
    mov ecx, 200
  again:
    lea eax, [rcx + rcx]
    mov [rel changed + 1], eax
  changed:
    mov edx, 0
    add rbx, rdx
    dec ecx
    jnz again
    hlt`
  assertSame(source, 300)
})

test('a core is built once the handlers outside it have done enough', () => {
  // What is translated needs no core.
  const m = machine('mov ecx, 1 << 30\nagain: inc rax\ndec ecx\njnz again\nhlt', 'off')
  m.cpu.run(10_000)
  assert.equal(m.engine.handlers.cores, 0)
  m.cpu.run(2_000_000)
  assert.equal(m.engine.handlers.cores, 1)
  m.cpu.run(2_000_000)
  assert.equal(m.engine.handlers.cores, 1)
})

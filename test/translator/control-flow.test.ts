// Control flow of all shapes in translated code, with budgets that end everywhere.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import { alike } from './alike.ts'

const LOOP = `
    mov ecx, 12
    mov ebx, 0x30000
  again:
    add [rbx], ecx
    adc edx, 0
    cmp ecx, 6
    ja high
    inc esi
    jmp join
  high:
    shl edi, cl
    inc edi
  join:
    call function
    dec ecx
    jnz again
    hlt
  function:
    lea eax, [rcx + rdx]
    test al, 1
    jz even
    ret
  even:
    sbb ebp, esi
    ret`

for (let size = 1; size <= 40; size++) {
  test(`a budget of ${size} ends everywhere in a loop`, () => {
    const m = alike({ code: LOOP, slices: [size] })
    assert.equal(m.cpu.registerLow(S.RCX), 0)
    assert.equal(m.cpu.registerLow(S.RSI), 6)
  })
}

for (let size = 1; size <= 40; size++) {
  test(`a budget of ${size} once, then ones of other sizes`, () => {
    alike({ code: LOOP, slices: [size, 100, 3] })
  })
}

test('a loop with two entries goes on from either', () => {
  const m = alike({
    code: `
      mov ecx, 40
    outer:
      test ecx, 1
      jz second
    first:
      add edx, 3
      test edx, 4
      jnz out
    second:
      add edx, 5
      add ebx, 1
      test ebx, 7
      jnz first
    out:
      dec ecx
      jnz outer
      hlt`,
    slices: [7, 50, 1000],
  })
  assert.equal(m.cpu.registerLow(S.RCX), 0)
})

test('three blocks that all lead to each other', () => {
  alike({
    code: `
      mov ecx, 500
      mov eax, 0x1234567
      jmp b
    a:
      call random
      jz b
      js c
      jmp a
    b:
      call random
      jc a
      jp c
      jmp b
    c:
      call random
      jo b
      jz c
      jmp a
    random:
      dec ecx
      jz done
      imul eax, eax, 1664525
      add eax, 1013904223
      ret
    done:
      hlt`,
    slices: [13, 1000],
  })
})

test('a jump into the middle of an instruction executes what is encoded there', () => {
  const m = alike({
    code: `
      mov ecx, 20
    again:
      test ecx, 1
      jz again2 + 1
    again2:
      mov eax, 0x9001c283
      nop
      dec ecx
      jnz again
      hlt`,
  })
  assert.equal(m.cpu.registerLow(S.RDX), 10)
})

test('functions call themselves', () => {
  const m = alike({
    code: `
      mov ecx, 12
      call fibonacci
      hlt
    fibonacci:
      cmp ecx, 2
      jae more
      mov eax, ecx
      ret
    more:
      push rcx
      dec ecx
      call fibonacci
      pop rcx
      push rax
      sub ecx, 2
      call fibonacci
      pop rbx
      add eax, ebx
      ret`,
    slices: [100_000],
  })
  assert.equal(m.cpu.registerLow(S.RAX), 144)
})

test('calls without returns and returns without calls come out even', () => {
  const m = alike({
    code: `
      mov ecx, 30
    again:
      call here
    here:
      pop rax
      add rax, there - here
      push rax
      test ecx, 1
      jz second
      ret
    second:
      pop r8
      jmp r8
    there:
      inc edx
      dec ecx
      jnz again
      hlt`,
  })
  assert.equal(m.cpu.registerLow(S.RDX), 30)
})

test('a table of jumps leads to each of its cases', () => {
  const m = alike({
    code: `
      mov ecx, 40
    again:
      mov eax, ecx
      and eax, 3
      lea rbx, [rel table]
      jmp [rbx + rax * 8]
    zero:
      add edx, 1
      jmp next
    one:
      add edx, 16
      jmp next
    two:
      add edx, 256
    three:
      add edx, 4096
    next:
      loop again
      hlt
      align 8
    table:
      dq zero, one, two, three`,
    slices: [9, 100],
  })
  assert.equal(m.cpu.registerLow(S.RDX), 10 * (1 + 16 + 256 + 2 * 4096))
})

test('the counter of a loop is JRCXZ, LOOPE and LOOPNE with what the flags are', () => {
  alike({
    code: `
      mov esi, 30
    outer:
      mov ecx, esi
    one:
      mov eax, ecx
      and eax, 7
      cmp eax, 3
      loopne one
      jrcxz next
      add edx, ecx
    two:
      test ecx, 1
      loope two
      adc edx, 5
    next:
      dec esi
      jnz outer
      hlt`,
    slices: [5, 300],
  })
})

test('time as the processor counts it is the same at each instruction', () => {
  alike({
    code: `
      mov ecx, 60
    again:
      add edx, ecx
      jp skip
      xor ebx, edx
    skip:
      mov r8, rdx
      rdtsc
      add r9, rax
      rol r9, 5
      mov rdx, r8
      test cl, 3
      jnz more
      rdtscp
      xor r9, rax
      mov rdx, r8
      mov ecx, ecx
    more:
      mov r10d, ecx
      dec r10d
      mov ecx, r10d
      test ecx, 63
      jnz again
      hlt`,
    slices: [17, 400],
    total: 3000,
  })
})

// Repeated string instructions in regions: what lies within a page of each address is done there,
// everything else by the interpreter.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import { alike } from './alike.ts'

const SOURCE = 0x30000
const TARGET = 0x32000

/** Runs an instruction with counts from 0 on, and pointers that move over the end of their pages. */
function counted(instruction: string, distance: number, bytes: number, setUp = '') {
  return alike({
    code: `
      mov rax, 0x0123456789abcdef
      mov ebp, ${Math.min(120, 8000 / bytes)}
      ${setUp}
    again:
      lea rsi, [rbp * ${bytes} + ${SOURCE + 4096 - 200}]
      lea rdi, [rsi + ${distance}]
      mov ecx, ebp
      mov [rsi + rbp], ebp
      ${instruction}
      add rdx, rsi
      add rdx, rdi
      add rdx, [rdi - 8]
      add ebx, ecx
      dec ebp
      jns again
      hlt`,
    slices: [100_000, 7],
  })
}

for (const [suffix, bytes] of [
  ['b', 1],
  ['w', 2],
  ['d', 4],
  ['q', 8],
] as const) {
  for (const distance of [TARGET - SOURCE, 1, 3, 8, 64, -1, -5]) {
    test(`REP MOVS${suffix} to ${distance} bytes from its source`, () => {
      const m = counted(`rep movs${suffix}`, distance, bytes)
      assert.equal(m.cpu.registerLow(S.RBX), 0)
    })
  }
  test(`REP STOS${suffix} with equal and with different bytes`, () => {
    const m = counted(`rep stos${suffix}`, 0, bytes)
    assert.equal(m.cpu.registerLow(S.RBX), 0)
    counted(`rep stos${suffix}`, 0, bytes, 'mov rax, 0x5a5a5a5a5a5a5a5a')
  })
}

test('repeated string instructions downwards, with 32-bit addresses and with large counts', () => {
  counted('std\nrep movsb\ncld\nxor ebx, ebx', 64, 1)
  counted('a32 rep movsd', 4, 4)
  counted('shl rcx, 5\nrep stosq', 0, 8)
  counted('lea rcx, [rcx * 8 + rcx]\nrep movsq', 0x3000, 8)
})

test('a page cleared and a page copied at once', () => {
  const m = alike({
    code: `
      mov ebp, 8
    again:
      mov edi, ${SOURCE}
      lea eax, [rbp - 1]
      mov rbx, 0x0101010101010101
      imul rax, rbx
      mov ecx, 512
      rep stosq
      mov esi, ${SOURCE}
      mov edi, ${TARGET}
      mov ecx, 4096
      rep movsb
      add rdx, [${TARGET} + 4088]
      dec ebp
      jnz again
      hlt`,
    slices: [100_000, 3],
  })
  assert.equal(m.cpu.readRegister(S.RDX), 28n * 0x0101010101010101n)
})

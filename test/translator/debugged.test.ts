// Translated code that is being debugged, and that goes from mode to mode: traps come behind, and
// breakpoints before, the very instruction; what one mode may do is not done in another.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import {
  CODE,
  CODE16,
  CODE32,
  type SystemMachine,
  USER_CODE64,
  USER_DATA,
  USER_STACK,
} from '../../src/x86/testing/system-machine.ts'
import { alike } from './alike.ts'

const HANDLER = CODE + 0x400
const PAGE = 0x40000
const CR0_AM = 1 << 18
const counted = (m: SystemMachine) => Number(m.read(0x31000, 8))

/** Counts traps, keeps DR6 and where the last came from; RF lets the instruction run. */
const DEBUGGER = `
  push rax
  inc qword [0x31000]
  mov rax, dr6
  or [0x31018], rax
  xor eax, eax
  mov dr6, rax
  mov rax, [rsp + 8]
  mov [0x31008], rax
  or qword [rsp + 24], 0x10000
  pop rax
  iretq`

const LOOP = [
  'add edx, ecx',
  'mov [0x30000], edx',
  'push rdx',
  'adc ebx, [0x30000]',
  'pop rsi',
  'call function',
  'test cl, 1',
  'jz over',
  'inc edi',
  'over: dec ecx',
  'jnz near again',
]
const TIMES = 12

for (const [i, instruction] of LOOP.entries()) {
  test(`a breakpoint on an instruction of a translated loop: ${instruction}`, () => {
    const lines = LOOP.with(i, `here:\n${instruction}`)
    const m = alike({
      code: {
        [CODE]: `
          mov ecx, ${TIMES}
          lea rax, [rel here]
          mov dr0, rax
        again:
          ${lines.join('\n')}
          ; The same loop again, with the breakpoint on.
          mov rax, dr7
          test eax, 2
          jnz done
          mov eax, 0x402
          mov dr7, rax
          mov ecx, ${TIMES}
          jmp near again
        done:
          hlt
        function:
          ror ebx, 3
          ret`,
        [HANDLER]: DEBUGGER,
      },
      setUp: (machine) => machine.gate(1, { offset: HANDLER, ist: 1 }),
      slices: [100_000, 9],
    })
    assert.equal(counted(m), instruction === 'inc edi' ? TIMES / 2 : TIMES)
    assert.equal(m.read(0x31018, 8) & 0xfn, 1n)
  })
}

/** Accesses of 4 bytes at 0x30000, once in each of the loop's rounds, and whether they write. */
const ACCESSES: Readonly<Record<string, readonly [code: string, isWrite: boolean]>> = {
  'a load': ['mov eax, [r8]', false],
  'a store': ['mov [r8], ecx', true],
  'a modification': ['add [r8], ecx', true],
  'a load of a vector that begins before it': ['movups xmm0, [r8 - 8]', false],
  'a push': ['lea rsp, [r8 + 8]\npush rcx\nmov esp, 0xb000', true],
  'a pop': ['mov rsp, r8\npop rax\nmov esp, 0xb000', false],
  'a call': ['lea rsp, [r8 + 8]\ncall over\nover: mov esp, 0xb000', true],
  'a string store': ['mov rdi, r8\nstosd', true],
  'a repeated string store': [
    'lea rdi, [r8 - 8]\nmov esi, ecx\nmov ecx, 5\nrep stosd\nmov ecx, esi',
    true,
  ],
  'a repeated string move': [
    'mov edi, 0x32000\nlea rsi, [r8 - 8]\nmov r9d, ecx\nmov ecx, 5\nrep movsd\nmov ecx, r9d',
    false,
  ],
}

for (const [what, [code, isWrite]] of Object.entries(ACCESSES)) {
  for (const kind of ['writes', 'accesses'] as const) {
    test(`a breakpoint on ${kind} meets ${what} in a loop that ran without it before`, () => {
      const m = alike({
        code: {
          [CODE]: `
            mov ecx, ${2 * TIMES}
            mov r8d, 0x30000
            mov rax, r8
            mov dr0, rax
            cld
          again:
            cmp ecx, ${TIMES}
            jne on
            mov eax, ${0x402 | ((kind === 'writes' ? 0xd : 0xf) << 16)}
            mov dr7, rax
          on:
            ${code}
            dec ecx
            jnz near again
            mov eax, 0x400
            mov dr7, rax
            hlt`,
          [HANDLER]: DEBUGGER,
        },
        setUp: (machine) => machine.gate(1, { offset: HANDLER, ist: 1 }),
      })
      assert.equal(counted(m), isWrite || kind === 'accesses' ? TIMES : 0)
    })
  }
}

test('a single step is made of each instruction and of each element that is moved', () => {
  const m = alike({
    code: {
      [CODE]: `
        mov r8d, 2
      twice:
        mov ecx, 10
      again:
        add edx, ecx
        call function
        dec ecx
        jnz again
        mov esi, 0x30000
        mov edi, 0x32000
        mov ecx, 3
        rep movsd
        dec r8d
        jz done
        ; The same again, step by step.
        push 0x102
        popfq
        jmp twice
      done:
        push 2
        popfq
        hlt
      function:
        ror edx, 1
        ret`,
      [HANDLER]: DEBUGGER,
    },
    setUp: (machine) => machine.gate(1, { offset: HANDLER, ist: 1 }),
    slices: [100_000, 7],
  })
  // JMP, MOV, ten rounds of six, three MOVs, three elements, DEC, JZ, PUSH and POPF.
  assert.equal(counted(m), 2 + 10 * 6 + 3 + 3 + 2 + 2)
  assert.equal(m.read(0x31018, 8) & 0x4000n, 0x4000n)
})

test('a loop at two levels reads a page of the supervisor at one of them only', () => {
  const m = alike({
    code: {
      // The same instructions are executed at both levels.
      [CODE]: `
        mov r9d, 10
        mov ebx, ${PAGE}
      outer:
        mov ecx, 5
      again:
        mov eax, [rbx]
        add edx, eax
        dec ecx
        jnz again
        mov eax, cs
        test al, 3
        jnz system
        push ${USER_DATA}
        push ${USER_STACK}
        push 0x2
        push ${USER_CODE64}
        lea rax, [rel outer]
        push rax
        iretq
      system:
        int 0x80`,
      // The fault of the user's load goes on at the INT; which goes on at level 0.
      [HANDLER]: `
        add rsp, 8
        inc qword [0x31000]
        lea rax, [rel CODE_SYSTEM]
        mov [rsp], rax
        iretq
        CODE_SYSTEM: int 0x80`,
      [HANDLER + 0x100]: `
        mov rsp, 0xb000
        dec r9d
        jz finished
        jmp near ${CODE + 11}
      finished:
        hlt`,
    },
    setUp: (machine) => {
      machine.page(PAGE, BigInt(PAGE + 3))
      machine.write(PAGE, 3n, 4)
      machine.gate(14, { offset: HANDLER })
      machine.gate(0x80, { offset: HANDLER + 0x100, dpl: 3 })
    },
    slices: [100_000, 13],
  })
  assert.equal(counted(m), 10)
  assert.equal(m.cpu.registerLow(S.RDX), 10 * 5 * 3)
})

test('a loop of a user that switches alignment checks on and off faults while they are on', () => {
  const m = alike({
    code: {
      [CODE]: `
        mov rax, cr0
        or eax, ${CR0_AM}
        mov cr0, rax
        push ${USER_DATA}
        push ${USER_STACK}
        push 0x2
        push ${USER_CODE64}
        lea rax, [rel user]
        push rax
        iretq
      user:
        mov ecx, 40
        mov ebx, ${PAGE + 1}
      again:
        mov eax, ecx
        and eax, 2
        shl eax, 17
        or eax, 2
        push rax
        popfq
        mov [rbx], ecx
        add edx, ecx
        dec ecx
        jnz again
        int 0x81`,
      [HANDLER]: 'add rsp, 8\ninc qword [0x31000]\nadd qword [rsp], 2\niretq',
    },
    setUp: (machine) => {
      machine.gate(17, { offset: HANDLER })
      machine.gate(0x81, { dpl: 3 })
    },
    slices: [100_000, 13],
  })
  assert.equal(counted(m), 20)
  assert.equal(m.cpu.registerLow(S.RDX), 820)
})

test('a loop through 64-bit, 32-bit and 16-bit code adds in each as that mode does', () => {
  const m = alike({
    code: `
      mov esi, 12
      mov edi, 0x30000
    outer:
      mov rax, -1
      inc rax
      jnz wrong
      push ${CODE32}
      lea rax, [rel narrow]
      push rax
      retfq
    bits 32
    narrow:
      mov eax, -1
      inc eax
      jnz wrong
      add edx, 1
      jmp ${CODE16}:(narrowest - $$ + ${CODE})
    bits 16
    narrowest:
      mov ax, -1
      inc ax
      jnz wrong
      add dx, 0x100
      jmp dword 0x08:wide
    bits 64
    wide:
      dec esi
      jnz outer
      hlt
    wrong:
      hlt`,
    slices: [100_000, 5],
  })
  assert.equal(m.cpu.registerLow(S.RSI), 0)
  assert.equal(m.cpu.registerLow(S.RDX), 12 * 0x101)
})

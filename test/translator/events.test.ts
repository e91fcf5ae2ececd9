// Exceptions, interrupts, single steps and breakpoints in translated code.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import {
  CODE,
  CODE32,
  type SystemMachine,
  USER_CODE64,
  USER_DATA,
  USER_STACK,
} from '../../src/x86/testing/system-machine.ts'
import { alike } from './alike.ts'

const HANDLER = CODE + 0x400
const MISSING = 0x40000

/** Counts entries at 0x31000 and remembers where the last came from; `skip`: bytes to go over. */
const handler = (skip: number, hasCode = false) => `
  ${hasCode ? 'add rsp, 8' : ''}
  push rax
  mov rax, [rsp + 8]
  mov [0x31008], rax
  ror qword [0x31010], 7
  xor [0x31010], rax
  inc qword [0x31000]
  pop rax
  add qword [rsp], ${skip}
  iretq`

const counted = (m: SystemMachine) => Number(m.read(0x31000, 8))

test('a fault in the last instruction of a loop comes after all of those before it', () => {
  const m = alike({
    code: {
      [CODE]: `
        mov ecx, 50
      again:
        add edx, ecx
        adc ebx, edx
        stc
        inc esi
        test ecx, 7
        jnz skip
        lea rdi, [rdi + ${MISSING - 0x30000}]
      skip:
        mov [rdi + 0x30000], edx
        mov edi, 0
        dec ecx
        jnz again
        hlt`,
      [HANDLER]: handler(6, true),
    },
    setUp: (machine) => {
      machine.page(MISSING, 0n)
      machine.gate(14, { offset: HANDLER })
    },
    slices: [100_000],
  })
  assert.equal(counted(m), 6)
})

const FAULTS: Readonly<
  Record<string, readonly [instruction: string, bytes: number, vector: number, hasCode: boolean]>
> = {
  'a division by zero': ['div ebp', 2, 0, false],
  'an undefined instruction': ['ud2', 2, 6, false],
  'a load that is not canonical': ['mov eax, [r15]', 3, 13, true],
  'a push to a missing page': ['push qword [r14]', 3, 14, true],
  'a missing page behind the end of this one': ['mov rax, [r13]', 4, 14, true],
  'a store to what can only be read': ['add [r12], edx', 4, 14, true],
}

for (const [what, [instruction, bytes, vector, hasCode]] of Object.entries(FAULTS)) {
  for (const size of [3, 100_000]) {
    test(`${what} in the middle of a loop, in slices of ${size}`, () => {
      const m = alike({
        code: {
          [CODE]: `
            mov ecx, 50
            mov r15, 0x8000000000000000
            mov r14d, ${MISSING}
            mov r13d, ${MISSING - 4}
            mov r12d, ${MISSING + 0x1000}
          again:
            add edx, ecx
            imul edx, edx, 77
            cmp edx, ecx
            ${instruction}
            sbb ebx, edx
            dec ecx
            jnz again
            hlt`,
          [HANDLER]: handler(bytes, hasCode),
        },
        setUp: (machine) => {
          machine.page(MISSING, 0n)
          machine.page(MISSING + 0x1000, BigInt(MISSING + 0x1000 + 5))
          machine.gate(vector, { offset: HANDLER })
        },
        slices: [size],
      })
      assert.equal(counted(m), 50)
    })
  }
}

test('a page that a handler supplies is used from then on', () => {
  const m = alike({
    code: {
      [CODE]: `
        mov ecx, 50
        mov ebx, ${MISSING - 128}
      again:
        add [rbx], ecx
        movups xmm0, [rbx + 8]
        paddd xmm0, xmm1
        movups [rbx + 8], xmm0
        add rbx, 12
        dec ecx
        jnz again
        hlt`,
      [HANDLER]: `
        add rsp, 8
        or qword [${0x13000 + (MISSING >>> 12) * 8}], 7
        invlpg [${MISSING}]
        inc qword [0x31000]
        iretq`,
    },
    setUp: (machine) => {
      machine.page(MISSING, BigInt(0x60000))
      machine.gate(14, { offset: HANDLER })
    },
  })
  assert.equal(counted(m), 1)
})

const BUSY = `
    mov ecx, 30
    sti
  again:
    add edx, ecx
    rcl rbx, 1
    test cl, 3
    jz four
    inc esi
    call function
  four:
    dec ecx
    jnz again
    hlt
  function:
    add [0x30000], edx
    ret`

for (let k = 1; k <= 30; k++) {
  test(`an interrupt after ${k} instructions, and every ${k} from then on`, () => {
    const m = alike({
      code: { [CODE]: BUSY, [HANDLER]: handler(0) },
      setUp: (machine) => machine.gate(0x40, { offset: HANDLER }),
      before: (machine, slice) => {
        if (slice === 0) return
        machine.interrupts.push(0x40)
        machine.cpu.interruptsChanged()
      },
      slices: [k],
      total: 3000,
    })
    assert.ok(counted(m) > 3)
  })
}

test('an interrupt that a device asks for comes after the same instruction', () => {
  const m = alike({
    code: {
      [CODE]: `
        mov ecx, 40
        sti
      again:
        add edx, ecx
        mov eax, ecx
        test cl, 1
        jz skip
        out 0x20, al
      skip:
        rol edx, 3
        xor ebx, edx
        dec ecx
        jnz again
        hlt`,
      [HANDLER]: handler(0),
    },
    setUp: (machine) => {
      machine.gate(0x40, { offset: HANDLER })
      machine.onPortWrite = () => {
        machine.interrupts.push(0x40)
        machine.cpu.interruptsChanged()
      }
    },
  })
  assert.equal(counted(m), 20)
})

const ENABLES: Readonly<Record<string, string>> = {
  'STI and an instruction': 'sti\ninc ebx\ninc esi\ncli',
  'STI and HLT': 'sti\nhlt\ncli',
  'STI and CLI': 'sti\ncli\ninc ebx',
  POPF: 'push 0x202\npopfq\ninc ebx\ncli',
  'STI and a branch': 'sti\njmp $ + 2\ninc ebx\ncli',
  'MOV SS between': 'mov eax, ss\nsti\nmov ss, eax\ninc ebx\ncli',
}

for (const [what, code] of Object.entries(ENABLES)) {
  test(`interrupts that wait come in where a loop enables them: ${what}`, () => {
    const m = alike({
      code: {
        [CODE]: `
          mov ecx, 25
        again:
          add edx, ecx
          ${code}
          adc edx, 7
          dec ecx
          jnz again
          hlt`,
        [HANDLER]: handler(0),
      },
      setUp: (machine) => {
        machine.gate(0x40, { offset: HANDLER })
        // Each entry of the handler asks for the next.
        machine.interrupts.push(...Array.from({ length: 25 }, () => 0x40))
        machine.cpu.interruptsChanged()
      },
      slices: [100_000],
    })
    if (what !== 'STI and CLI') assert.equal(counted(m), 25)
  })
}

test('single steps trap after each instruction of a loop that is translated', () => {
  const m = alike({
    code: {
      [CODE]: `
        mov ecx, 40
      again:
        add edx, ecx
        cmp ecx, 20
        jne skip
        push 0x102
        popfq
      skip:
        imul ebx, edx, 5
        cmp ecx, 15
        jne more
        push 2
        popfq
      more:
        dec ecx
        jnz again
        hlt`,
      [HANDLER]: handler(0),
    },
    setUp: (machine) => machine.gate(1, { offset: HANDLER }),
    slices: [100_000, 3],
  })
  assert.ok(counted(m) > 30)
})

/** DR7 for breakpoint 0: execution, a write of 4 bytes, an access of 4 bytes. */
const BREAKPOINTS = {
  'an instruction': 0x402,
  'a write': 0x402 | (0xd << 16),
  'an access': 0x402 | (0xf << 16),
} as const

for (const [what, dr7] of Object.entries(BREAKPOINTS)) {
  test(`a breakpoint on ${what} that a running loop sets and clears`, () => {
    const m = alike({
      code: {
        [CODE]: `
          mov ecx, 40
          lea rax, [rel target]
          mov r8d, 0x30000
          ${what === 'an instruction' ? '' : 'mov eax, 0x30000'}
          mov dr0, rax
        again:
          add edx, ecx
        target:
          add edx, [r8]
          mov [r8], ecx
          cmp ecx, 30
          jne skip
          mov eax, ${dr7}
          mov dr7, rax
        skip:
          cmp ecx, 20
          jne more
          mov eax, 0x400
          mov dr7, rax
        more:
          dec ecx
          jnz again
          hlt`,
        [HANDLER]: `
          inc qword [0x31000]
          mov rax, dr6
          add [0x31018], rax
          xor eax, eax
          mov dr6, rax
          or qword [rsp + 16], 0x10000
          iretq`,
      },
      setUp: (machine) => machine.gate(1, { offset: HANDLER }),
    })
    const expected = { 'an instruction': 10, 'a write': 10, 'an access': 20 }[what] as number
    assert.equal(counted(m), expected)
  })
}

test('the same bytes are other instructions in 64-bit and in compatibility mode', () => {
  // 48 is REX.W in one, DEC EAX in the other.
  const m = alike({
    code: {
      [CODE]: `
        mov esi, 12
      outer:
        mov eax, 0x10
        mov edx, 1
        mov ecx, 5
        call 0x9000
        push ${CODE32}
        lea rax, [rel narrow]
        push rax
        retfq
      narrow:
      bits 32
        mov eax, 0x10
        mov edx, 1
        mov ecx, 5
        call 0x9000
        mov ebx, [0x32000]
        add ebx, edx
        mov [0x32000], ebx
        jmp 0x08:wide
      wide:
      bits 64
        dec esi
        jnz outer
        hlt`,
      // add rdx, rax or dec eax; add edx, eax
      0x9000: 'again: db 0x48, 0x01, 0xc2\ndb 0x83, 0xe9, 0x01\njnz again\nret',
    },
    slices: [100_000, 7],
  })
  const sums = 1 + 15 + 14 + 13 + 12 + 11
  assert.equal(Number(m.read(0x32000, 4)), 12 * sums)
  assert.equal(m.cpu.registerLow(S.RDX), sums)
})

test('a loop at level 3 and the system calls and faults that it makes', () => {
  const m = alike({
    code: {
      [CODE]: `
        mov eax, ${USER_DATA}
        push rax
        push ${USER_STACK}
        push 0x202
        push ${USER_CODE64}
        lea rax, [rel user]
        push rax
        iretq
      user:
        mov ecx, 40
      again:
        add edx, ecx
        test cl, 7
        jnz skip
        int 0x80
        mov ebx, [${MISSING}]
      skip:
        push rdx
        pop rbx
        xor [0x30000], ebx
        dec ecx
        jnz again
        int 0x81`,
      [HANDLER]: handler(0),
      [HANDLER + 0x100]: handler(7, true),
    },
    setUp: (machine) => {
      // Users may not use this page.
      machine.page(MISSING, BigInt(MISSING + 3))
      machine.gate(0x80, { offset: HANDLER, dpl: 3 })
      machine.gate(0x81, { dpl: 3 })
      machine.gate(14, { offset: HANDLER + 0x100 })
    },
    slices: [13, 1000],
  })
  assert.equal(counted(m), 10)
  assert.equal(m.cpu.selector(S.SS), 0)
})

test('32-bit code with segments that are not flat goes by their bases and limits', () => {
  alike({
    bits: 32,
    code: {
      [CODE]: `
        mov ecx, 40
        mov eax, 0x60
        mov es, eax
      again:
        add edx, ecx
        mov [es:ecx * 4], edx
        xor ebx, [es:0x10]
        cmp ecx, 20
        jne skip
        mov eax, 0x10
        mov ds, eax
        mov es, eax
        mov esi, 0x30000
      skip:
        lea edi, [esi + ecx]
        mov [0x31000 + ecx], bl
        dec ecx
        jnz again
        hlt`,
    },
    setUp: (machine) => machine.write(0x1000 + 0x60, 0x0040_9303_0000_0fffn, 8),
    slices: [9, 1000],
  })
})

test('a repeated string instruction that a missing page interrupts has moved what came before', () => {
  const m = alike({
    code: {
      [CODE]: `
        mov ebp, 20
        cld
      again:
        mov esi, 0x30000
        lea edi, [rbp * 8 + ${MISSING - 100}]
        mov ecx, 40
        inc dword [0x30010]
        rep movsd
        add edx, ecx
        dec ebp
        jnz again
        hlt`,
      [HANDLER]: handler(2, true),
    },
    setUp: (machine) => {
      machine.page(MISSING, 0n)
      machine.gate(14, { offset: HANDLER })
    },
    slices: [100_000, 5],
  })
  assert.equal(counted(m), 20)
})

// The places at which translated code comes to an end: faults of what ends a region, and interrupts at
// each branch back.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import { CODE, SystemMachine } from '../../src/x86/testing/system-machine.ts'
import { assemble } from '../x86/assemble.ts'
import { alike } from './alike.ts'

const HANDLER = CODE + 0x400
const MISSING = 0x40000
/** Where pointers to what follows lie, and where a stack may be. */
const GOOD = 0x32800
const BAD = MISSING + 0x800
const NOT_CANONICAL = '0x8000000000000000'
const counted = (m: SystemMachine) => Number(m.read(0x31000, 8))

/** Counts, remembers where it came from, and goes on at the address in 0x31020 with the usual stack. */
const handler = (hasCode: boolean) => `
  ${hasCode ? 'add rsp, 8' : ''}
  inc qword [0x31000]
  mov rax, [rsp]
  mov [0x31008], rax
  mov rax, [0x31020]
  mov [rsp], rax
  mov rax, 0xb000
  mov [rsp + 24], rax
  iretq`

interface End {
  /** What ends the region; RSI points to where what follows is pointed to, or where nothing is. */
  readonly last: string
  readonly bad?: string
  readonly vector?: number
  readonly hasCode?: boolean
}

const ENDS: Readonly<Record<string, End>> = {
  'a RET whose stack is missing': { last: 'mov rsp, rsi\nlast: ret' },
  'a RET n whose stack is missing': { last: 'mov rsp, rsi\nlast: ret 8' },
  'a CALL whose stack is missing': { last: 'mov rsp, rsi\nlast: call next' },
  'a CALL of a function, whose stack is missing': {
    last: 'mov rsp, rsi\nlast: call function\njmp next',
  },
  'a CALL through a register, whose stack is missing': {
    last: 'mov rsp, rsi\nlea rdi, [rel next]\nlast: call rdi',
  },
  'a JMP through a missing pointer': { last: 'last: jmp [rsi]' },
  'a CALL through a missing pointer': { last: 'last: call [rsi]' },
  'a JMP to where no address is': {
    last: 'mov rdi, [0x31020]\ntest rsi, rsi\ncmovs rdi, rsi\nlast: jmp rdi',
    bad: NOT_CANONICAL,
    vector: 13,
  },
  'a CALL to where no address is': {
    last: 'mov rdi, [0x31020]\ntest rsi, rsi\ncmovs rdi, rsi\nlast: call rdi',
    bad: NOT_CANONICAL,
    vector: 13,
  },
  'a RET to where no address is': {
    last: 'mov rdi, [0x31020]\ntest rsi, rsi\ncmovs rdi, rsi\npush rdi\nlast: ret',
    bad: NOT_CANONICAL,
    vector: 13,
  },
  'a store before an instruction that is interpreted': {
    last: 'last: mov [rsi + 16], edx\ncpuid\nmov ecx, r9d\njmp next',
  },
  'a store before a JMP to another page': {
    last: `last: mov [rsi + 16], edx\njmp 0x9000`,
  },
  'a division before a JMP': {
    last: 'xor edx, edx\nmov eax, 5\nmov rdi, rsi\nlast: div rdi\njmp next',
    bad: '0',
    vector: 0,
    hasCode: false,
  },
  'a LEAVE whose stack is missing': { last: 'mov rbp, rsi\nlast: leave\njmp next' },
  'a pop to memory that is missing': { last: 'last: pop qword [rsi + 16]\njmp next' },
  'a repeated store': {
    last: 'lea rdi, [rsi + 16]\nmov ecx, 3\nlast: rep stosd\nmov ecx, r9d\njmp next',
  },
}

for (const [what, { last, bad = String(BAD), vector = 14, hasCode = true }] of Object.entries(
  ENDS,
)) {
  test(`${what} faults where it is the last of a region, and does nothing before that`, () => {
    const m = alike({
      code: {
        [CODE]: `
          mov ecx, 30
          mov r9d, ecx
          xor r12d, r12d
          cld
          lea rax, [rel next]
          mov [0x31020], rax
          mov [${GOOD}], rax
          lea rax, [rel last]
          mov [0x31030], rax
        again:
          mov rsp, 0xb000
          add r12d, r9d
          imul r10d, r12d, 77
          mov rsi, ${GOOD}
          mov r8, ${bad}
          mov eax, r9d
          and eax, 3
          cmovz rsi, r8
          mov edx, r12d
          stc
          adc r11d, r10d
          ${last}
        function:
          ret
        next:
          mov rsp, 0xb000
          dec r9d
          jnz near again
          hlt`,
        0x9000: 'mov rax, [0x31020]\njmp rax',
        [HANDLER]: handler(hasCode),
      },
      setUp: (machine) => {
        machine.page(MISSING, 0n)
        machine.gate(vector, { offset: HANDLER, ist: 1 })
      },
      slices: [100_000],
    })
    assert.equal(counted(m), 7)
    assert.equal(m.read(0x31008, 8), m.read(0x31030, 8))
    assert.equal(m.cpu.registerLow(12), 465)
  })
}

test('the last instruction of a page faults if what follows on the next page is missing', () => {
  const m = alike({
    code: {
      [CODE]: `
        mov ecx, 20
        lea rax, [rel next]
        mov [0x31020], rax
      again:
        mov rax, ${MISSING - 5}
        jmp rax
      next:
        dec ecx
        jnz again
        hlt`,
      [MISSING - 5]: 'add edx, ecx\ncmp edx, 7',
      [HANDLER]: handler(true),
    },
    setUp: (machine) => {
      machine.page(MISSING, 0n)
      machine.gate(14, { offset: HANDLER, ist: 1 })
    },
  })
  assert.equal(counted(m), 20)
  assert.equal(m.read(0x31008, 8), BigInt(MISSING))
  assert.equal(m.cpu.registerLow(S.RDX), 210)
})

/** Loops within loops, with more than one way back to their starts, and one that calls. */
const LOOPS = `
    sti
    mov ebx, 3
  outer:
    mov ecx, 4
  inner:
    add edx, ecx
    adc esi, edx
    test cl, 1
    jz even
    dec ecx
    jnz inner
    jmp done
  even:
    call function
    dec ecx
    jnz inner
  done:
    inc edi
    dec ebx
    jnz outer
    mov ecx, 5
  last:
    rol edx, 3
    loop last
    mov ecx, 6
  string:
    lodsb
    dec ecx
    jge string
    hlt
  function:
    mov eax, 3
  within:
    xor r8d, edx
    dec eax
    jnz within
    ret`

/** Instructions after which the interpreter, going step by step, has gone back, and where it is then. */
function waysBack(): { readonly after: number; readonly rip: bigint }[] {
  const m = new SystemMachine(64, undefined, 'off')
  m.load(CODE, assemble(LOOPS, 64, CODE))
  const found: { after: number; rip: bigint }[] = []
  for (let after = 1; ; after++) {
    const before = m.cpu.rip
    const { reason } = m.cpu.run(1)
    if (reason === 'halt') return found
    const isReturn = m.memory.u8[m.ram + Number(before)] === 0xc3
    if (m.cpu.rip < before && !isReturn) found.push({ after, rip: m.cpu.rip })
  }
}

test('an interrupt comes in at each branch back that a program takes, before what it leads to', () => {
  const ways = waysBack()
  assert.ok(ways.length > 25)
  for (const { after, rip } of ways) {
    const m = alike({
      code: {
        [CODE]: LOOPS,
        [HANDLER]:
          'push rax\nmov rax, [rsp + 8]\nmov [0x31008], rax\ninc qword [0x31000]\npop rax\niretq',
      },
      setUp: (machine) => machine.gate(0x40, { offset: HANDLER }),
      before: (machine, slice) => {
        if (slice !== 1) return
        machine.interrupts.push(0x40)
        machine.cpu.interruptsChanged()
      },
      slices: [after, 100_000],
      total: 100_000,
    })
    assert.deepEqual([counted(m), m.read(0x31008, 8)], [1, rip], `after ${after} instructions`)
  }
})

// Page tables that a running loop edits: what it reads and writes follows the mappings and rights that
// hold, however much the translated code remembers of pages. (SDM vol. 3A, 4.10.4.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import { CODE, type SystemMachine } from '../../src/x86/testing/system-machine.ts'
import { alike } from './alike.ts'

const PAGE = 0x40000
/** The frame that PAGE is mapped to every other time. */
const ELSEWHERE = 0x60000
const HANDLER = CODE + 0x400
const entryOf = (linear: number) => 0x13000 + (linear >>> 12) * 8
const counted = (m: SystemMachine) => Number(m.read(0x31000, 8))
const edx = (m: SystemMachine) => m.cpu.registerLow(S.RDX)

/** Goes over the instruction that faulted, and counts it. */
const skip = (bytes: number) => `
  add rsp, 8
  inc qword [0x31000]
  add qword [rsp], ${bytes}
  iretq`

/** Ways to forget how PAGE was mapped. */
const FORGETS: Readonly<Record<string, string>> = {
  INVLPG: `invlpg [${PAGE}]`,
  'INVLPG of another byte of the page': `invlpg [${PAGE + 0xfff}]`,
  'a write to CR3': 'mov rax, cr3\nmov cr3, rax',
  'a change of CR4.PGE': 'mov rax, cr4\nxor eax, 0x80\nmov cr4, rax',
  INVPCID: 'mov eax, 2\ninvpcid rax, [0x32000]',
}

/** Ways to add the word at RBX + 8 to EDX. */
const READS: Readonly<Record<string, string>> = {
  'a load': 'add edx, [rbx + 8]',
  'a load by an index': 'mov eax, 2\nadd edx, [rbx + rax * 4]',
  'a load of a vector': 'movups xmm0, [rbx + 8]\nmovd eax, xmm0\nadd edx, eax',
  'a modification': 'xor eax, eax\nxadd [rbx + 8], eax\nadd edx, eax',
  'a locked modification': 'xor eax, eax\nlock xadd [rbx + 8], eax\nadd edx, eax',
  'a load and a store': 'mov eax, [rbx + 8]\nmov [rbx + 16], eax\nadd edx, [rbx + 16]',
  'a pop': 'lea rsp, [rbx + 8]\npop rax\nadd edx, eax',
  'a push and a pop': 'mov eax, [rbx + 8]\nlea rsp, [rbx + 64]\npush rax\npop rdi\nadd edx, edi',
  'a string load': 'lea rsi, [rbx + 8]\nlodsd\nadd edx, eax',
  'a repeated string move':
    'lea rsi, [rbx + 8]\nmov edi, 0x30000\nmov r8d, ecx\nmov ecx, 3\nrep movsd\nmov ecx, r8d\nadd edx, [0x30000]',
}

for (const [what, read] of Object.entries(READS)) {
  for (const [how, forget] of Object.entries(FORGETS)) {
    // All ways to forget with one read, and all reads with one way.
    if (what !== 'a load' && how !== 'INVLPG') continue
    test(`${what} goes to the page that is mapped since ${how} in the same loop`, () => {
      const m = alike({
        setUp: (machine) => {
          machine.write(PAGE + 8, 1n, 4)
          machine.write(ELSEWHERE + 8, 256n, 4)
        },
        code: `
          mov ecx, 20
          mov ebx, ${PAGE}
          cld
        again:
          ${read}
          xor qword [${entryOf(PAGE)}], ${PAGE ^ ELSEWHERE}
          ${forget}
          ${read}
          dec ecx
          jnz near again
          hlt`,
      })
      assert.equal(edx(m), 20 * 257)
    })
  }
}

test('stores go to the page that is mapped when they come, and to no other', () => {
  const m = alike({
    code: `
      mov ecx, 20
      mov ebx, ${PAGE}
    again:
      mov [rbx + rcx * 4], ecx
      xor qword [${entryOf(PAGE)}], ${PAGE ^ ELSEWHERE}
      invlpg [${PAGE}]
      dec ecx
      jnz again
      hlt`,
  })
  for (let i = 1; i <= 20; i++) {
    const [even, odd] = [Number(m.read(PAGE + i * 4, 4)), Number(m.read(ELSEWHERE + i * 4, 4))]
    assert.deepEqual([even, odd], i % 2 === 0 ? [i, 0] : [0, i])
  }
})

/** What a loop takes away, as a mask of the entry's bits, and what then faults; all have 3 bytes. */
const RIGHTS: Readonly<Record<string, readonly [mask: number, access: string, faults: number]>> = {
  'a store to what has become read-only': [~2, 'mov [rbx], ecx\nnop', 10],
  'a modification of what has become read-only': [~2, 'add [rbx], ecx\nnop', 10],
  'a load of what has become read-only': [~2, 'add edx, [rbx]\nnop', 0],
  'a load of what is no longer there': [~1, 'add edx, [rbx]\nnop', 10],
  'a push to what is no longer there': [~1, 'lea rsp, [rbx + 64]\nnop\npush rcx\nnop\nnop', 10],
}

for (const [what, [mask, access, faults]] of Object.entries(RIGHTS)) {
  test(`${what} in the middle of a loop`, () => {
    const m = alike({
      code: {
        [CODE]: `
          mov ecx, 20
          mov ebx, ${PAGE}
        again:
          cmp ecx, 10
          jne skip
          and qword [${entryOf(PAGE)}], ${mask}
          invlpg [${PAGE}]
        skip:
          ${access}
          add esi, ecx
          dec ecx
          jnz again
          hlt`,
        [HANDLER]: skip(3),
      },
      setUp: (machine) => machine.gate(14, { offset: HANDLER, ist: 1 }),
    })
    assert.equal(counted(m), faults)
    assert.equal(m.cpu.registerLow(S.RSI), 210)
  })
}

test('two addresses of one frame are one memory, whoever remembers which', () => {
  const alias = 0x48000
  const m = alike({
    setUp: (machine) => machine.page(alias, BigInt(PAGE + 7)),
    code: `
      mov ecx, 20
      mov ebx, ${PAGE}
      mov edi, ${alias}
    again:
      mov [rbx + 8], ecx
      add edx, [rdi + 8]
      add dword [rdi + 8], 5
      add edx, [rbx + 8]
      lea rsp, [rdi + 64]
      push rcx
      add edx, [rbx + 56]
      dec ecx
      jnz again
      hlt`,
  })
  assert.equal(edx(m), 3 * 210 + 20 * 5)
})

test('code that a loop makes by another mapping and calls is what it has made', () => {
  const alias = 0x48000
  const m = alike({
    setUp: (machine) => machine.page(alias, BigInt(PAGE + 7)),
    code: {
      [CODE]: `
        mov ecx, 20
        mov ebx, ${alias}
        mov rdi, ${PAGE}
      again:
        mov dword [rbx], 0x00c281
        mov [rbx + 2], ecx
        mov byte [rbx + 6], 0xc3
        call rdi
        mov [rbx + 2 + 0x800], ecx
        call rdi
        dec ecx
        jnz again
        hlt`,
    },
  })
  // 81 c2 imm32: add edx, imm32; c3: ret.
  assert.equal(edx(m), 2 * 210)
})

test('a page that was only written becomes code, is written again, and then executed again', () => {
  const m = alike({
    code: `
      mov ecx, 20
      mov ebx, ${PAGE}
      mov edi, ${PAGE}
    again:
      mov [rbx + 0x800], ecx
      mov word [rbx], 0xc2ff
      mov byte [rbx + 2], 0xc3
      mov [rbx + 0x804], ecx
      test cl, 3
      jnz skip
      call rdi
    skip:
      add dword [rbx + 0x800], 1
      dec ecx
      jnz again
      hlt`,
  })
  // ff c2: inc edx; c3: ret.
  assert.equal(edx(m), 5)
  assert.equal(Number(m.read(PAGE + 0x800, 4)), 2)
})

/** What a mode forbids while it is on, and how a loop switches it; accesses have 3 bytes. */
interface Switch {
  /** Puts the wanted state of ECX's bit 1 into effect. */
  readonly code: string
  readonly access: string
  readonly vector: number
  readonly hasCode: boolean
  readonly setUp?: (m: SystemMachine) => void
}

const toggle = (register: string, bit: number) => `
  mov rax, ${register}
  btr eax, ${bit}
  test cl, 2
  jz over
  bts eax, ${bit}
over:
  mov ${register}, rax`

const SWITCHES: Readonly<Record<string, Switch>> = {
  'CR0.WP': {
    code: toggle('cr0', 16),
    access: 'mov [rbx], ecx\nnop',
    vector: 14,
    hasCode: true,
    setUp: (m) => m.page(PAGE, BigInt(PAGE + 5)),
  },
  'CR0.TS': {
    code: toggle('cr0', 3),
    access: 'addps xmm0, xmm1',
    vector: 7,
    hasCode: false,
  },
  'CR0.EM': {
    code: toggle('cr0', 2),
    access: 'addps xmm0, xmm1',
    vector: 6,
    hasCode: false,
  },
  'CR4.SMAP': {
    code: toggle('cr4', 21),
    access: 'add edx, [rbx]\nnop',
    vector: 14,
    hasCode: true,
    setUp: onlyUsersPage,
  },
  'RFLAGS.AC under SMAP': {
    code: 'stac\ntest cl, 2\njz over\nclac\nover:',
    access: 'add edx, [rbx]\nnop',
    vector: 14,
    hasCode: true,
    setUp: (m) => {
      onlyUsersPage(m)
      m.cpu.set32(S.CR4, m.cpu.cr4 | (1 << 21))
      m.cpu.walker.cr4 = m.cpu.cr4
      m.cpu.modeChanged()
    },
  },
}

/** All pages are the supervisor's but PAGE. */
function onlyUsersPage(m: SystemMachine): void {
  for (let page = 0; page < 0x80000; page += 0x1000) {
    m.page(page, BigInt(page + (page === PAGE ? 7 : 3)))
  }
}

for (const [what, { code, access, vector, hasCode, setUp }] of Object.entries(SWITCHES)) {
  test(`a loop that switches ${what} to and fro faults when it is forbidden, and then only`, () => {
    const m = alike({
      code: {
        [CODE]: `
          mov ecx, 40
          mov ebx, ${PAGE}
        again:
          ${code}
          add esi, ecx
          ${access}
          dec ecx
          jnz again
          hlt`,
        [HANDLER]: hasCode ? skip(3) : skip(3).replace('add rsp, 8', ''),
      },
      setUp: (machine) => {
        machine.gate(vector, { offset: HANDLER })
        setUp?.(machine)
      },
      slices: [100_000, 11],
    })
    assert.equal(counted(m), 20)
    assert.equal(m.cpu.registerLow(S.RSI), 820)
  })
}

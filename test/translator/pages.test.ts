// Translated code and the borders of pages: the page that follows in linear memory need not follow
// in physical memory, and may be another one the next time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import { CODE, type SystemMachine } from '../../src/x86/testing/system-machine.ts'
import { alike } from './alike.ts'

/** A page whose physical successor is not its linear one: that is at ELSEWHERE. */
const PAGE = 0x40000
const NEXT = 0x41000
const ELSEWHERE = 0x60000
/** Where loops over such pages begin, from CODE on, and where they go on. */
const AGAIN = 32
const BACK = CODE + 0x800

const elsewhere = (m: SystemMachine) => m.page(NEXT, BigInt(ELSEWHERE + 7))

/** The last instructions of a page, and their length in bytes. */
const ENDS: Readonly<Record<string, { last: string; bytes: number }>> = {
  'an instruction that is no branch': { last: 'add ecx, 1', bytes: 3 },
  'a conditional branch that is not taken': { last: 'cmp eax, 77\nje $ - 3', bytes: 5 },
  'a loop that ends': { last: 'dec eax\njnz $ - 2', bytes: 4 },
  'a LOOP': { last: 'inc eax\nloop $ - 2', bytes: 4 },
  'a branch to the next page': { last: 'cmp eax, eax\nje $ + 2', bytes: 4 },
  'a branch to the next page that is not taken': { last: 'cmp eax, 77\nje $ + 2', bytes: 5 },
  'a jump to the next page': { last: 'jmp short $ + 2', bytes: 2 },
}

for (const [what, { last, bytes }] of Object.entries(ENDS)) {
  test(`behind ${what} at the end of a page comes the page that is mapped there`, () => {
    const next = (value: number, rest: string) => `mov ebx, ${value}\nadd edx, ebx\n${rest}`
    const m = alike({
      code: {
        // The physical successor is executed first, so that its blocks are known.
        [CODE]: `
          mov rax, 0x50000
          call rax
          mov esi, 8
          times ${AGAIN} - ($ - $$) nop
        again:
          mov eax, 5
          mov ecx, 5
          mov r8, ${PAGE + 0x1000 - bytes}
          jmp r8`,
        [BACK]: `dec esi\njnz near ${CODE + AGAIN}\nhlt`,
        [PAGE + 0x1000 - bytes]: last,
        [NEXT]: next(1, 'ret'),
        [ELSEWHERE]: next(2, `mov r9, ${BACK}\njmp r9`),
      },
      setUp: (machine) => {
        elsewhere(machine)
        machine.page(0x50000, BigInt(NEXT + 7))
      },
    })
    assert.equal(m.cpu.registerLow(S.RDX), 1 + 8 * 2)
  })
}

test('a call at the end of a page comes back to the page that is mapped there', () => {
  const m = alike({
    code: {
      [CODE]: `
        mov rax, 0x50000
        call rax
        mov esi, 8
        times ${AGAIN} - ($ - $$) nop
        mov r8, ${PAGE + 0xffb}
        jmp r8`,
      [BACK]: `dec esi\njnz near ${CODE + AGAIN}\nhlt`,
      [PAGE + 0xf00]: 'inc edi\nret',
      [PAGE + 0xffb]: `call ${PAGE + 0xf00}`,
      [NEXT]: 'add edx, 1\nret',
      [ELSEWHERE]: `add edx, 2\nmov r9, ${BACK}\njmp r9`,
    },
    setUp: (machine) => {
      elsewhere(machine)
      machine.page(0x50000, BigInt(NEXT + 7))
    },
  })
  assert.equal(m.cpu.registerLow(S.RDX), 1 + 8 * 2)
  assert.equal(m.cpu.registerLow(S.RDI), 8)
})

test('a loop over two pages follows the second page when it is mapped elsewhere', () => {
  const entry = 0x13000 + (NEXT >>> 12) * 8
  const m = alike({
    code: {
      [CODE]: `mov rax, ${PAGE + 0xfe0}\nmov esi, 20\njmp rax`,
      [PAGE + 0xfe0]: `
      again:
        xor qword [${entry}], ${NEXT ^ ELSEWHERE}
        invlpg [${NEXT}]
        times 31 - ($ - $$) nop
        nop`,
      [NEXT]: `add edx, 1\ndec esi\njnz ${PAGE + 0xfe0}\nhlt`,
      [ELSEWHERE]: `add edx, 256\ndec esi\ndb 0x0f, 0x85\ndd ${PAGE + 0xfe0} - ${NEXT + 14}\nhlt`,
    },
  })
  assert.equal(m.cpu.registerLow(S.RDX), 10 + 10 * 256)
})

test('a loop goes on where another page has been mapped in place of its own', () => {
  const entry = 0x13000 + (PAGE >>> 12) * 8
  const loop = (step: number) => `
      again:
        add edx, ${step}
        xor qword [${entry}], ${PAGE ^ ELSEWHERE}
        invlpg [${PAGE}]
        dec esi
        jnz again
        hlt`
  const m = alike({
    code: {
      [CODE]: `mov rax, ${PAGE}\nmov esi, 20\njmp rax`,
      [PAGE]: loop(1),
      [ELSEWHERE]: loop(100),
    },
  })
  // Each page goes on with the other's next instruction.
  assert.equal(m.cpu.registerLow(S.RDX), 10 + 10 * 100)
})

test('a page that goes away while its neighbour loops is missed when control comes there', () => {
  const entry = 0x13000 + (NEXT >>> 12) * 8
  const m = alike({
    code: {
      [CODE]: `mov rax, ${PAGE + 0xfd0}\nmov esi, 20\njmp rax`,
      [PAGE + 0xfd0]: `
        inc edi
        cmp esi, 10
        jne skip
        and qword [${entry}], -2
        invlpg [${NEXT}]
      skip:
        times 46 - ($ - $$) nop
        dec esi`,
      [NEXT]: `jnz near ${PAGE + 0xfd0}\nhlt`,
    },
  })
  assert.equal(Number(m.cpu.rip), 0x4000 + 14 * 16 + 1)
  assert.equal(m.cpu.getU64(S.CR2), BigInt(NEXT))
})

test('code of the next page that was written is not what it was', () => {
  const m = alike({
    code: {
      [CODE]: `mov rax, ${PAGE + 0xff0}\nmov esi, 20\njmp rax`,
      [PAGE + 0xff0]: `inc byte [${NEXT + 2}]\ntimes 15 - ($ - $$) nop\nnop`,
      [NEXT]: `add edx, 1\ndec esi\njnz ${PAGE + 0xff0}\nhlt`,
    },
  })
  assert.equal(m.cpu.registerLow(S.RDX), (20 * 21) / 2 + 20)
})

test('a loop over two pages that is entered on the second, behind what is left to the interpreter', () => {
  const m = alike({
    code: {
      [CODE]: `mov rax, ${PAGE + 0xff8}\nmov esi, 20\npush 7\njmp rax`,
      [PAGE + 0xff8]: 'inc edi\ntimes 8 - ($ - $$) nop',
      [NEXT]: `
        pop qword [0x30000]
        push qword [0x30000]
        add edx, [0x30000]
        dec esi
        jnz near ${PAGE + 0xff8}
        hlt`,
    },
    slices: [7, 1000],
  })
  assert.equal(m.cpu.registerLow(S.RDX), 140)
  assert.equal(m.cpu.registerLow(S.RDI), 20)
})

test('code that lies at two addresses goes on to the page that follows each of them', () => {
  const other = 0x50000
  const m = alike({
    code: {
      [CODE]: `
          mov esi, 20
        again:
          mov eax, ${PAGE + 0xf00}
          call rax
          mov eax, ${other + 0xf00}
          call rax
          dec esi
          jnz again
          hlt`,
      // A direct branch to the next page, and one that is not taken.
      [PAGE + 0xf00]: `
        inc edi
        mov ecx, 3
        again:
        dec ecx
        jnz again
        cmp ecx, 1
        je near ${NEXT}
        jmp near ${NEXT}`,
      [NEXT]: 'add edx, 1\nret',
      [ELSEWHERE]: 'add edx, 256\nret',
    },
    setUp: (machine) => {
      machine.page(other, BigInt(PAGE + 7))
      machine.page(other + 0x1000, BigInt(ELSEWHERE + 7))
    },
  })
  assert.equal(m.cpu.registerLow(S.RDX), 20 * 257)
})

// Code that changes while it is translated: by its own stores, through other mappings, by devices.
// (SDM vol. 3A, 9.1.3 and 12.6.)

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import { CODE, type SystemMachine } from '../../src/x86/testing/system-machine.ts'
import { alike } from './alike.ts'

const ALIAS = 0x48000
const FAR = 0x30000

function edx(m: SystemMachine): number {
  return m.cpu.registerLow(S.RDX)
}

/** Ways to add ECX to, or put ECX into, the byte at `target + 2`. */
const STORES: Readonly<Record<string, string>> = {
  'a byte store': 'mov [target + 2], cl',
  'a modification': 'mov byte [target + 2], 0\nadd [target + 2], cl',
  'a locked exchange': 'mov eax, ecx\nxchg [target + 2], al',
  'a string store': 'mov eax, ecx\nlea rdi, [rel target + 2]\nstosb',
  'a repeated string move':
    'mov [0x30000], cl\nmov r8d, ecx\nlea rdi, [rel target + 2]\nmov esi, 0x30000\nmov ecx, 1\nrep movsb\nmov ecx, r8d',
  'a vector store':
    'movups xmm0, [rel target - 13]\nmovd eax, xmm0\nmovups [rel target - 13], xmm0\nmov [target + 2], cl',
  'a store through another mapping': `mov [target - ${CODE} + ${ALIAS} + 2], cl`,
}

for (const [what, store] of Object.entries(STORES)) {
  const setUp = (m: SystemMachine) => m.page(ALIAS, BigInt(CODE + 7))

  test(`${what} changes an instruction further down in its own block, in a loop`, () => {
    const m = alike({
      setUp,
      code: `
        mov ecx, 20
      again:
        ${store}
      target:
        add edx, 0
        dec ecx
        jnz again
        hlt`,
    })
    assert.equal(edx(m), 210)
  })

  test(`${what} changes an instruction further up in its own loop`, () => {
    const m = alike({
      setUp,
      code: `
        mov ecx, 20
      target:
        add edx, 0
        ${store}
        dec ecx
        jnz near target
        hlt`,
    })
    assert.equal(edx(m), 209)
  })

  test(`${what} changes the block that follows`, () => {
    const m = alike({
      setUp,
      code: `
        mov ecx, 20
      again:
        ${store}
        test ecx, 1
        jz near target
        inc ebx
      target:
        add edx, 0
        dec ecx
        jnz near again
        hlt`,
    })
    assert.equal(edx(m), 210)
    assert.equal(m.cpu.registerLow(S.RBX), 10)
  })

  test(`${what} changes a function that a loop calls`, () => {
    const m = alike({
      setUp,
      code: `
        mov ecx, 20
      again:
        ${store}
        call target
        dec ecx
        jnz near again
        hlt
        align 32
      target:
        add edx, 0
        ret`,
    })
    assert.equal(edx(m), 210)
  })
}

test('a loop goes on to where it leads when that was changed from afar', () => {
  const m = alike({
    code: {
      [CODE]: `
        mov ecx, 60
      again:
        test ecx, 15
        jz short rarely
      back:
        inc edx
        dec ecx
        jnz again
        hlt
      rarely:
        mov eax, ${FAR}
        call rax
        jmp near target
        align 64
      target:
        add edx, 0
        jmp near back`,
      [FAR]: `
        lea rax, [${CODE}]
        inc byte [rax + 64 + 2]
        inc ebx
        ret`,
    },
  })
  // 48, 32 and 16 come there: 1, 2 and 3 more.
  assert.equal(edx(m), 60 + 6)
})

test('an instruction that overwrites itself is executed as it was', () => {
  const m = alike({
    code: `
      mov ecx, 20
    again:
      mov byte [rel again + 6], 7
      inc edx
      dec ecx
      jnz again
      hlt`,
  })
  assert.equal(edx(m), 20)
})

test('a loop that turns its branch round ends', () => {
  const m = alike({
    code: `
      mov ecx, 20
    again:
      inc edx
      cmp ecx, 15
      jne skip
      mov byte [rel branch], 0x74
    skip:
      dec ecx
    branch:
      jnz again
      hlt`,
  })
  assert.equal(edx(m), 6)
})

test('a device that writes over the running loop is noticed after the instruction that asked', () => {
  const m = alike({
    setUp: (machine) => {
      machine.onPortWrite = (_port, value) => machine.load(CODE + 9, Uint8Array.of(value))
    },
    code: `
      mov ecx, 20
    again:
      nop
    target:
      add edx, 0
      mov eax, ecx
      out 0x10, al
      dec ecx
      jnz again
      hlt`,
  })
  // What the device wrote last is added the next time.
  assert.equal(edx(m), 0)
})

test('decoded code that is forgotten in the middle of a loop is decoded again', () => {
  const m = alike({
    slices: [50],
    before: (machine, slice) => {
      if (slice % 3 === 1) machine.engine.code.flush()
      if (slice % 3 === 2) machine.cpu.flushTlb()
    },
    setUp: (machine) => {
      machine.onPortWrite = () => machine.engine.code.flush()
    },
    code: `
      mov ecx, 300
    again:
      add edx, ecx
      test cl, 31
      jnz near skip
      out 0x10, al
    skip:
      adc ebx, 0
      dec ecx
      jnz near again
      hlt`,
  })
  assert.equal(edx(m), (300 * 301) / 2)
})

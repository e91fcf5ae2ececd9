// Calls that regions make as calls of WebAssembly: functions too large to be copied to where they are
// called, and all that can happen between the CALL and the RET (SDM vol. 1, 6.4; vol. 2, CALL, RET).

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import { CODE, type SystemMachine, TABLES } from '../../src/x86/testing/system-machine.ts'
import { alike } from './alike.ts'
import type { DeepCalls } from './deep-calls.ts'

/** More instructions than a function has that is copied. */
const LARGE = 'times 20 inc ebx'
const ALIAS = 0x48000
const OTHER_PAGE = 0x30000
const HANDLER = 0x38000
const OTHER_CALLER = 0x31000
/** Where the page table has the page of CODE. */
const ENTRY = TABLES + 0x3000 + (CODE >> 12) * 8

function ebx(m: SystemMachine): number {
  return m.cpu.registerLow(S.RBX)
}

/** A loop of ten calls of a function, which starts with `body`; EDX counts what comes behind. */
function calling(body: string, behind = ''): string {
  return `
      mov ecx, 10
    again:
      call function
    back:
      add edx, 3
      ${behind}
      dec ecx
      jnz near again
      hlt
    function:
      ${LARGE}
      ${body}
      ret`
}

test('a large function comes back to each of its callers, budgets of all sizes', () => {
  const code = `
      mov ecx, 10
    again:
      call function
      add edx, 3
      call function
      add edx, 5
      mov rax, function
      call rax
      add edx, 7
      dec ecx
      jnz again
      hlt
    function:
      ${LARGE}
      ret`
  for (const slices of [[100_000], [1], [2, 3], [19, 20, 21, 22, 23], [7, 40]]) {
    const m = alike({ code, slices, total: 1000 })
    assert.equal(ebx(m), 600)
    assert.equal(m.cpu.registerLow(S.RDX), 150)
  }
})

test('a function on another page comes back, and so does one that calls a third', () => {
  const m = alike({
    code: {
      [CODE]: `
          mov ecx, 10
        again:
          call ${OTHER_PAGE}
          add edx, 3
          dec ecx
          jnz again
          hlt`,
      [OTHER_PAGE]: `
          push rcx
          mov ecx, 3
        again:
          call function
          dec ecx
          jnz again
          ${LARGE}
          pop rcx
          ret 0
        function:
          ${LARGE}
          ret`,
    },
    total: 5000,
  })
  assert.equal(ebx(m), 800)
})

test('recursion goes deeper than the engine nests calls', () => {
  const depth = S.MOST_CALLS * 5 + 7
  const m = alike({
    code: `
        mov ecx, ${depth}
        call function
        add edx, 3
        hlt
      function:
        ${LARGE}
        dec ecx
        jz bottom
        call function
        add edx, 1
      bottom:
        inc ebp
        ret`,
    slices: [100_000],
    total: 20_000,
  })
  assert.equal(ebx(m), depth * 20)
  assert.equal(m.cpu.registerLow(S.RDX), depth - 1 + 3)
  assert.equal(m.cpu.registerLow(S.RBP), depth)
})

test('a fifth of the usual stack has room for as many of the largest regions as call each other', () => {
  const program = join(import.meta.dirname, 'deep-calls.ts')
  // The quickest compiler of the engine makes the largest frames.
  const flags = ['--disable-warning=ExperimentalWarning', '--stack-size=200', '--liftoff-only']
  const printed = execFileSync(process.execPath, [...flags, program], { encoding: 'utf8' })
  const seen = JSON.parse(printed) as DeepCalls
  assert.equal(seen.deepest, S.MOST_CALLS)
  assert.ok(seen.instructions > 0.95 * seen.most, `regions of ${seen.instructions} instructions`)
  assert.ok(seen.translated > 0.4, `${seen.translated} of all instructions`)
  assert.equal(seen.returns, seen.calls)
})

test('what the callee leaves in flags and registers, vectors included, is what its caller finds', () => {
  const m = alike({
    code: `
        mov ecx, 10
      again:
        call function
        adc esi, 0
        paddd xmm6, xmm4
        movd edi, xmm6
        dec ecx
        jnz again
        hlt
      function:
        ${LARGE}
        movd xmm4, ecx
        cmp ecx, 5
        ret`,
  })
  assert.equal(m.cpu.registerLow(S.RSI), 4)
  assert.equal(m.cpu.registerLow(S.RDI), 55)
})

test('the flags of the caller are those that the callee starts with', () => {
  const m = alike({
    code: `
        mov ecx, 10
      again:
        cmp ecx, 5
        mov r8d, ecx
        call function
        dec ecx
        jnz again
        hlt
      function:
        adc esi, 0
        pushfq
        pop rax
        and eax, 0x8d5
        add rdi, rax
        ${LARGE}
        ret`,
  })
  assert.equal(m.cpu.registerLow(S.RSI), 4)
})

test('a function returns past its caller', () => {
  const m = alike({
    code: `
        mov ecx, 10
      again:
        call outer
        add edx, 3
        dec ecx
        jnz again
        hlt
      outer:
        ${LARGE}
        call inner
        add edx, 1000
        ret
      inner:
        ${LARGE}
        add rsp, 8
        ret`,
  })
  assert.equal(m.cpu.registerLow(S.RDX), 30)
})

test('a callee on another page rewrites the code behind its call', () => {
  const setUp = (m: SystemMachine) => m.page(ALIAS, BigInt(CODE + 7))
  for (const page of [CODE, ALIAS]) {
    const m = alike({
      setUp,
      code: {
        [CODE]: `
            mov ecx, 10
            jmp again
            align 32
          again:
            call ${OTHER_PAGE}
            add edx, 0
            dec ecx
            jnz again
            hlt`,
        [OTHER_PAGE]: `${LARGE}\nmov [${page + 32 + 5 + 2}], cl\nret`,
      },
    })
    assert.equal(m.cpu.registerLow(S.RDX), 55)
  }
})

test('a callee rewrites itself', () => {
  const m = alike({
    code: calling('mov [patch + 2], cl\npatch:\nadd esi, 0'),
  })
  assert.equal(m.cpu.registerLow(S.RSI), 55)
})

test('a callee maps another page where its caller lies', () => {
  const caller = (step: number) => `
      mov ecx, 10
    again:
      mov rax, ${OTHER_PAGE}
      call rax
      add edx, ${step}
      dec ecx
      jnz again
      hlt`
  const m = alike({
    code: {
      [CODE]: caller(1),
      [OTHER_CALLER]: caller(100),
      [OTHER_PAGE]: `
        ${LARGE}
        xor qword [${ENTRY}], ${CODE ^ OTHER_CALLER}
        invlpg [${CODE}]
        ret`,
    },
  })
  assert.equal(m.cpu.registerLow(S.RDX), 5 * 101)
})

for (const off of [
  'mov rax, cr0\nor eax, 8\nmov cr0, rax',
  'mov rax, cr4\nand ah, ~2\nmov cr4, rax',
]) {
  test(`a callee takes the SSE unit away: ${off.replaceAll('\n', '; ')}`, () => {
    const m = alike({
      code: {
        [CODE]: calling(`cmp ecx, 4\njne f\n${off}\nf:`, 'paddd xmm1, xmm2'),
        [HANDLER]: 'mov ebp, ecx\nhlt',
      },
      setUp: (machine) => {
        machine.gate(6, { offset: HANDLER })
        machine.gate(7, { offset: HANDLER })
      },
    })
    assert.equal(m.cpu.registerLow(S.RBP), 4)
  })
}

test('a fault in a callee is handled, and the callee goes on', () => {
  const m = alike({
    code: {
      [CODE]: calling('push rdx\nmov eax, ebx\nxor edx, edx\ndiv esi\npop rdx\nmov esi, 0'),
      [HANDLER]: 'mov esi, 2\niretq',
    },
    setUp: (machine) => machine.gate(0, { offset: HANDLER }),
  })
  assert.equal(m.cpu.registerLow(S.RDX), 30)
})

test('interrupts come at every place of a call', () => {
  for (let at = 1; at < 60; at++) {
    const m = alike({
      setUp: (machine) => machine.gate(0x40, { offset: HANDLER }),
      before: (machine, slice) => {
        if (slice !== 1) return
        machine.interrupts.push(0x40)
        machine.cpu.interruptsChanged()
      },
      code: { [CODE]: `sti\n${calling('')}`, [HANDLER]: 'inc ebp\niretq' },
      slices: [at, 100_000],
      total: 2000,
    })
    assert.equal(m.cpu.registerLow(S.RBP), 1)
    assert.equal(ebx(m), 200)
  }
})

// Functions that return elsewhere than behind the call that led to them (SDM vol. 2, RET), small ones,
// which regions copy to where they are called, and large ones, which they call.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as S from '../../src/x86/state.ts'
import { HANDLERS } from '../../src/x86/testing/system-machine.ts'
import { alike } from './alike.ts'

/** More instructions than a function has that is copied. */
const LARGE = 'times 20 inc r9d'
const ROUNDS = 20
/** The function changes its return address in the rounds that this divides. */
const CHANGED = 4
/** What a round adds to EDX: behind the call, behind that (3 bytes on), and at `other`. */
const BEHIND = 1
const NEXT = 16
const OTHER = 256
const WHOLE = BEHIND + NEXT + OTHER

interface Return {
  /** Before the RET, in the rounds that are changed. */
  readonly change: string
  /** What such a round adds. */
  readonly adds?: number
  /** The last one that comes to it faults instead. */
  readonly faults?: number
}

const RETURNS: Readonly<Record<string, Return>> = {
  'to another place than that of its call': { change: 'add qword [rsp], 3', adds: NEXT + OTHER },
  'to where another call would': { change: 'lea rax, [rel other]\nmov [rsp], rax', adds: OTHER },
  'to a place that was pushed': { change: 'lea rax, [rel other]\npush rax', adds: OTHER },
  'past its caller': { change: 'add rsp, 8\nlea rax, [rel other]\npush rax', adds: OTHER },
  'with another stack': { change: 'pop rax\nmov rsp, 0xaf00\npush rax', adds: WHOLE },
  'to a place that is not canonical': {
    change: `mov rax, 1 << 63\ncmp ecx, ${CHANGED}\njne keep\nmov [rsp], rax\nkeep:`,
    adds: WHOLE,
    faults: 13,
  },
  'to the last byte of memory': {
    change: `cmp ecx, ${CHANGED}\njne keep\nmov qword [rsp], -1\nkeep:`,
    adds: WHOLE,
    faults: 14,
  },
}

for (const [where, { change, adds = 0, faults }] of Object.entries(RETURNS)) {
  for (const [size, body] of [
    ['small', ''],
    ['large', LARGE],
  ] as const) {
    test(`a ${size} function returns ${where}`, () => {
      for (const slices of [[100_000], [11, 300], [13, 50]]) {
        const m = alike({
          code: `
            mov ecx, ${ROUNDS}
          again:
            mov rbx, rsp
            call function
            add edx, ${BEHIND}
            add edx, ${NEXT}
            call plain
          other:
            add edx, ${OTHER}
            mov rsp, rbx
            dec ecx
            jnz again
            hlt
          function:
            ${body}
            test ecx, ${CHANGED - 1}
            jz change
            ret
          change:
            ${change}
            ret
          plain:
            ${body}
            ret`,
          slices,
          total: 3000,
        })
        const rounds = faults === undefined ? ROUNDS : ROUNDS - CHANGED
        const changed = rounds / CHANGED
        assert.equal(m.cpu.registerLow(S.RDX), (rounds - changed) * WHOLE + changed * adds)
        if (faults === undefined) continue
        assert.equal(m.cpu.rip, BigInt(HANDLERS + faults * 16 + 1))
        assert.equal(m.cpu.registerLow(S.RCX), CHANGED)
      }
    })
  }
}

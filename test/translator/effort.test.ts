// A turn that makes the host work too much ends early (Processor.exert), and in virtual time that
// changes what comes after it: so it ends at the same instruction however the code is executed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CODE, type SystemMachine, TABLES } from '../../src/x86/testing/system-machine.ts'
import { alike } from './alike.ts'

/** Memory once more at 8 and at 16 MiB: pages that far apart share a set of the TLB. */
function mapAgain(m: SystemMachine): void {
  for (const megabytes of [8, 16]) {
    m.write(TABLES + 0x2000 + (megabytes / 2) * 8, BigInt(TABLES + 0x3007), 8)
  }
}

test('what the TLB has to be filled with anew all the time is no effort', () => {
  const m = alike({
    code: `
      mov ebp, 30000
      mov esi, 0x30000
    again:
      mov rax, [rsi]
      add rbx, [rsi + 0x800000]
      add rcx, [rsi + 0x1000000]
      mov [rsi + 0x800008], ebp
      add [rsi + 0x1000008], ebp
      dec ebp
      jnz again
      hlt`,
    setUp: mapAgain,
    slices: [250_000],
    total: 250_000,
  })
  assert.ok(!m.cpu.isExhausted)
  assert.ok(m.cpu.counters.slowAccesses > 50_000, 'the TLB has not been filled so often')
})

test('what TypeScript does for an instruction is no effort: some instructions have a quick way besides', () => {
  const m = alike({
    code: `
      mov ebp, 30000
    again:
      mov ecx, 0xc0000080
      rdmsr
      cpuid
      str ax
      mov rax, cr0
      dec ebp
      jnz again
      hlt`,
    slices: [250_000],
    total: 250_000,
  })
  assert.ok(!m.cpu.isExhausted)
})

/** What is too much in a turn, and which part of its loop is how much effort. */
const TOO_MUCH: Readonly<Record<string, readonly [code: string, effort: number]>> = {
  'a device': ['mov ecx, 100\n mov edi, 0x60000\n rep stosb', 100],
  'accesses that go on in another page': ['mov rax, [0x31fff]', 1],
  'stores beside code': [`mov byte [${CODE + 0xf00}], 7`, 1],
  'forgetting pages': ['invlpg [0x30000]', 20],
}

for (const [what, [code, effort]] of Object.entries(TOO_MUCH)) {
  test(`a turn ends early with ${what}, at the same instruction in every execution`, () => {
    const m = alike({
      code: `
        mov ebp, 60000
      again:
        ${code}
        inc ebx
        dec ebp
        jnz again
        hlt`,
      setUp: (machine) => {
        machine.device = { gfn: 0x60, read: () => 0n, write: () => {} }
      },
      slices: [1_000_000],
      total: 1_000_000,
    })
    assert.ok(m.cpu.isExhausted)
    const rounds = 50_000 / effort
    assert.ok(Math.abs(m.cpu.registerLow(3) - rounds) <= 2, `${m.cpu.registerLow(3)} rounds`)
  })
}

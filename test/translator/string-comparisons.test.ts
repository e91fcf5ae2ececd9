// REPE and REPNE CMPS and SCAS in every execution, against what the manual says they do, element by
// element (SDM vol. 2, CMPS, SCAS, REP; vol. 1, appendix A for the flags of a subtraction). What they
// compare lies on several pages, with elements that go on from one to the next.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FLAG_AF, FLAG_CF, FLAG_OF, FLAG_PF, FLAG_SF, FLAG_ZF } from '../../src/x86/registers.ts'
import * as S from '../../src/x86/state.ts'
import {
  ACCESS_DATA,
  descriptor,
  FREE,
  type SystemMachine,
} from '../../src/x86/testing/system-machine.ts'
import { alike } from './alike.ts'

const SOURCE = 0x30000
const TARGET = 0x34000
const RESULTS = 0x38000
/** Elements that are compared at most. */
const COUNT = 100
/** For each place of the element that ends it: rCX, flags, rSI, rDI. */
const RESULT_BYTES = 32

const SIZES = [
  ['b', 1, 'bl', 'dl'],
  ['w', 2, 'bx', 'dx'],
  ['d', 4, 'ebx', 'edx'],
  ['q', 8, 'rbx', 'rdx'],
] as const

/** Flags of a - b. */
function flagsOf(bits: number, a: bigint, b: bigint): number {
  const r = BigInt.asUintN(bits, a - b)
  const top = (value: bigint) => (value >> BigInt(bits - 1)) & 1n
  let ones = 0
  for (let i = 0n; i < 8n; i++) ones += Number((r >> i) & 1n)
  return (
    (a < b ? FLAG_CF : 0) |
    (ones % 2 === 0 ? FLAG_PF : 0) |
    ((a & 15n) < (b & 15n) ? FLAG_AF : 0) |
    (r === 0n ? FLAG_ZF : 0) |
    (top(r) ? FLAG_SF : 0) |
    (top((a ^ b) & (a ^ r)) ? FLAG_OF : 0)
  )
}

for (const [suffix, bytes, usual, odd] of SIZES) {
  for (const operation of ['cmps', 'scas']) {
    for (const prefix of ['repe', 'repne']) {
      for (const isDown of [false, true]) {
        const where = isDown ? 'downwards' : 'upwards'
        test(`${prefix} ${operation}${suffix} ${where} ends with the element that it looks for`, () => {
          const isEqualWanted = prefix === 'repne'
          // The accumulator and the source are zero.
          const common = isEqualWanted ? 0x0101010101010101n : 0n
          const special = isEqualWanted ? 0n : 0x80n
          const step = isDown ? -bytes : bytes
          const back = isDown ? (COUNT - 1) * bytes : 0
          const from = SOURCE + 4096 - 10 * bytes - 1 + back
          const to = TARGET + 4096 - 60 * bytes + back
          const m = alike({
            code: `
              mov ebp, ${COUNT}
              mov rbx, ${common}
              mov rdx, ${special}
              ${isDown ? 'std' : 'cld'}
            again:
              lea r8, [rbp * ${bytes}]
              ${isDown ? 'neg r8' : ''}
              mov esi, ${from}
              mov edi, ${to}
              mov [rdi + r8], ${odd}
              xor eax, eax
              mov ecx, ${COUNT}
              ${prefix} ${operation}${suffix}
              mov r10, rsi
              mov r11, rdi
              pushfq
              pop rax
              mov edi, ${to}
              mov [rdi + r8], ${usual}
              mov edi, ebp
              shl edi, 5
              mov [rdi + ${RESULTS}], rcx
              mov [rdi + ${RESULTS + 8}], rax
              mov [rdi + ${RESULTS + 16}], r10
              mov [rdi + ${RESULTS + 24}], r11
              dec ebp
              jns again
              hlt`,
            setUp: (machine) => {
              const fill = isEqualWanted ? 1 : 0
              machine.load(TARGET, new Uint8Array(0x3000).fill(fill))
            },
            slices: [100_000, 7],
          })
          for (let k = 0; k <= COUNT; k++) {
            const at = RESULTS + k * RESULT_BYTES
            const done = Math.min(k + 1, COUNT)
            const last = BigInt.asUintN(bytes * 8, k < COUNT ? special : common)
            const found = [0, 8, 16, 24].map((offset) => Number(m.read(at + offset, 8)))
            found[1] = (found[1] as number) & 0x8d5
            const source = operation === 'cmps' ? from + done * step : from
            const flags = flagsOf(bytes * 8, 0n, last)
            assert.deepEqual(found, [COUNT - done, flags, source, to + done * step], `at ${k}`)
          }
        })
      }
    }
  }
}

test('a count of zero leaves the flags, the pointers and the memory that they point to alone', () => {
  const m = alike({
    code: `
      mov ebp, 3
    again:
      mov rsi, 0x123456789abcdef0
      mov rdi, rsi
      xor ecx, ecx
      mov al, 0x7f
      add al, 1
      repe cmpsb
      repne scasd
      pushfq
      pop rbx
      dec ebp
      jnz again
      hlt`,
  })
  assert.equal(m.cpu.registerLow(S.RBX) & 0x8d5, FLAG_AF | FLAG_SF | FLAG_OF)
  assert.equal(m.cpu.readRegister(S.RSI), 0x123456789abcdef0n)
})

/** Texts of 0x1800 equal bytes by way of segments that begin in the middle of pages. */
function inSegments(m: SystemMachine, limit: number): void {
  m.descriptor(FREE, descriptor(SOURCE + 0x123, limit, ACCESS_DATA, 4))
  m.descriptor(FREE + 8, descriptor(TARGET + 0x456, 0x1ffff, ACCESS_DATA, 4))
}

const IN_SEGMENTS = `
      mov eax, ${FREE}
      mov ds, ax
      mov eax, ${FREE + 8}
      mov es, ax`

test('segments have bases, and a comparison ends where a segment does', () => {
  for (const [limit, count] of [
    [0xffff, 0x500],
    [0x1204, 0x500],
    [0x8f, 0x30],
  ] as const) {
    const m = alike({
      bits: 32,
      code: `${IN_SEGMENTS}
        mov ebp, 3
      again:
        mov esi, 0x10
        mov edi, 0x20
        mov ecx, ${count}
        repe cmpsd
        mov ebx, ecx
        dec ebp
        jnz again
        hlt`,
      setUp: (machine) => inSegments(machine, limit),
    })
    const whole = Math.floor((limit + 1 - 0x10) / 4)
    const done = Math.min(count, whole)
    assert.equal(m.cpu.registerLow(S.RCX), count - done)
    assert.equal(m.cpu.registerLow(S.RSI), 0x10 + done * 4)
    assert.equal(m.cpu.registerLow(S.RDI), 0x20 + done * 4)
  }
})

test('16-bit offsets begin anew behind the last one', () => {
  const m = alike({
    bits: 32,
    code: `${IN_SEGMENTS}
      mov ebp, 3
    again:
      mov esi, 0x5550ff80
      mov edi, 0x6660ffff
      mov ecx, 0x77700101
      xor eax, eax
      a16 repe cmpsb
      dec ebp
      jnz again
      hlt`,
    setUp: (machine) => {
      inSegments(machine, 0x1ffff)
      // What lies behind them in the segments is something else.
      machine.write(SOURCE + 0x10123, 1n, 1)
      machine.write(TARGET + 0x10456, 2n, 1)
    },
  })
  assert.equal(m.cpu.registerLow(S.RCX), 0x77700000)
  assert.equal(m.cpu.registerLow(S.RSI), 0x55500081)
  assert.equal(m.cpu.registerLow(S.RDI), 0x66600100)
})

// DIV and IDIV of 128 by 64 bits, interpreted and translated. Expected values: BigInt's division,
// and SDM vol. 2, DIV and IDIV, for when #DE is raised.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../../test/x86/assemble.ts'
import { DE } from '../emit/emitter.ts'
import type { Translation } from '../translator/options.ts'
import * as S from '../state.ts'
import { ALL_FEATURES, BareMachine } from '../testing/bare-machine.ts'
import { CODE as HANDLED_CODE, SystemMachine } from '../testing/system-machine.ts'

const CODE = 0x1000
const CASES_AT = 0x20000
const CASE_BYTES = 40
const CASES = 3000
const MASK = (1n << 64n) - 1n

interface Case {
  readonly dividend: bigint
  readonly divisor: bigint
}

/** Numbers of up to 64 bits that are the same each time; many are near powers of two. */
function numbers(seed: number): () => bigint {
  let state = seed
  const below = (limit: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * limit)
  }
  const any = () => (BigInt(below(2 ** 32)) << 32n) | BigInt(below(2 ** 32))
  return () => {
    const value = below(2) === 0 ? any() : (1n << BigInt(below(65))) - BigInt(below(4)) + 1n
    return (value & MASK) >> BigInt(below(3) === 0 ? below(64) : 0)
  }
}

/** Divisions of a kind that fit. */
function fitting(isSigned: boolean): Case[] {
  const next = numbers(isSigned ? 7 : 1)
  const cases: Case[] = []
  while (cases.length < CASES) {
    const [high, low, raw] = [next(), next(), next()]
    const whole = (high << 64n) | low
    const dividend = isSigned ? BigInt.asIntN(128, whole) >> (next() & 63n) : whole
    const divisor = isSigned ? BigInt.asIntN(64, raw) : raw
    if (divisor === 0n) continue
    const quotient = dividend / divisor
    const back = isSigned ? BigInt.asIntN(64, quotient) : BigInt.asUintN(64, quotient)
    if (back === quotient) cases.push({ dividend, divisor })
  }
  return cases
}

function check(translation: Translation, isSigned: boolean): void {
  const machine = new BareMachine(1 << 20, 64, ALL_FEATURES, translation)
  const { cpu, memory, ram } = machine
  const { view } = memory
  const cases = fitting(isSigned)
  for (const [i, { dividend, divisor }] of cases.entries()) {
    const at = ram + CASES_AT + i * CASE_BYTES
    view.setBigUint64(at, dividend & MASK, true)
    view.setBigUint64(at + 8, (dividend >> 64n) & MASK, true)
    view.setBigUint64(at + 16, divisor & MASK, true)
  }
  const source = `
    again: mov rax, [rsi]
    mov rdx, [rsi+8]
    ${isSigned ? 'idiv' : 'div'} qword [rsi+16]
    mov [rsi+24], rax
    mov [rsi+32], rdx
    add rsi, ${CASE_BYTES}
    dec ecx
    jnz again
    hlt`
  machine.load(CODE, assemble(source, 64, CODE))
  cpu.writeRegister(S.RSI, BigInt(CASES_AT))
  cpu.writeRegister(S.RCX, BigInt(CASES))
  cpu.rip = BigInt(CODE)
  cpu.run(CASES * 10)
  assert.ok(cpu.isHalted)
  for (const [i, { dividend, divisor }] of cases.entries()) {
    const at = ram + CASES_AT + i * CASE_BYTES
    const found = [view.getBigUint64(at + 24, true), view.getBigUint64(at + 32, true)]
    const expected = [(dividend / divisor) & MASK, (dividend % divisor) & MASK]
    assert.deepEqual(found, expected, `${dividend} / ${divisor}`)
  }
}

for (const translation of ['off', 'always'] as const) {
  const how = translation === 'off' ? 'interpreted' : 'translated'
  test(`DIV of 128 by 64 bits gives quotient and remainder, ${how}`, () => {
    check(translation, false)
  })
  test(`IDIV of 128 by 64 bits gives quotient and remainder, ${how}`, () => {
    check(translation, true)
  })
}

test('A quotient that does not fit into 64 bits raises #DE and changes nothing', () => {
  const least = -(1n << 63n)
  for (const [instruction, dividend, divisor, fits] of [
    ['div', 1n << 64n, 1n, false],
    ['div', (5n << 64n) - 1n, 5n, true],
    ['div', 5n << 64n, 5n, false],
    ['div', 7n, 0n, false],
    ['idiv', 7n, 0n, false],
    ['idiv', least, -1n, false],
    ['idiv', least, 1n, true],
    ['idiv', least + 1n, -1n, true],
    ['idiv', -least, 1n, false],
    ['idiv', -least, -1n, true],
    ['idiv', 1n << 127n, -1n, false],
    ['idiv', least * 3n - 2n, 3n, true],
    ['idiv', least * 3n - 3n, 3n, false],
    ['idiv', least * least, least, true],
    ['idiv', -least * least, least, false],
  ] as const) {
    const m = new SystemMachine()
    m.load(HANDLED_CODE, assemble(`${instruction} rcx\nhlt`, 64, HANDLED_CODE))
    const before = [dividend & MASK, (dividend >> 64n) & MASK]
    m.cpu.writeRegister(S.RAX, before[0] as bigint)
    m.cpu.writeRegister(S.RDX, before[1] as bigint)
    m.cpu.writeRegister(S.RCX, divisor & MASK)
    const entry = m.runToHandler()
    const what = `${instruction} ${dividend} by ${divisor}`
    const after = [m.cpu.readRegister(S.RAX), m.cpu.readRegister(S.RDX)]
    assert.equal(entry?.vector, fits ? undefined : DE, what)
    const results = fits ? [(dividend / divisor) & MASK, (dividend % divisor) & MASK] : before
    assert.deepEqual(after, results, what)
  }
})

// Emitted x87 arithmetic against softfloat, which agrees with recorded results of a processor: on
// operands that make sums cancel, products carry and quotients tie, in every precision.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FloatContext, Float80, PE } from '../softfloat/context.ts'
import { add80, div80, mul80, sub80 } from '../softfloat/x87-arithmetic.ts'
import { compare80 } from '../softfloat/x87-compare.ts'
import { store32, store64, storeInt } from '../softfloat/x87-convert.ts'
import * as S from '../state.ts'
import { BareMachine } from '../testing/bare-machine.ts'

const CODE = 0x1000
const DATA = 0x2000
const CASES = 4000
const HLT = 0xf4

// The same operands at every run.
let seed = 12345
function word(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) | 0
  return seed ^ (seed >>> 15)
}

/** A significand with few ones or few zeros, so that ties and carries are common. */
function significand(): bigint {
  const kind = word() & 7
  if (kind < 2) return (BigInt(word() >>> 0) << 32n) | BigInt(word() >>> 0) | (1n << 63n)
  let value = 1n << 63n
  for (let i = word() & 3; i >= 0; i--) value |= 1n << BigInt(word() & 63)
  if (kind < 5) return value
  return kind === 7 ? 1n << 63n : BigInt.asUintN(64, ~value) | (1n << 63n)
}

function operand(into: Float80, near: number): Float80 {
  if ((word() & 31) === 0) return into.set(word() & 0x8000, 0, 0)
  const value = significand()
  const se = (near + (word() & 127) - 64) | (word() & 0x8000)
  return into.set(se, Number(value >> 32n), Number(value & 0xffffffffn))
}

class Processor {
  readonly machine = new BareMachine(1 << 20)

  put(index: number, value: Float80): void {
    const { cpu } = this.machine
    const at = S.X87 + index * S.X87_SIZE
    cpu.set32(at, value.lo)
    cpu.set32(at + 4, value.hi)
    cpu.set32(at + 8, value.se)
  }

  /** Runs one instruction with ST(0) = a, ST(1) = b. */
  run(code: readonly number[], control: number, a: Float80, b: Float80): void {
    const { cpu } = this.machine
    this.put(0, a)
    this.put(1, b)
    cpu.set32(S.FTW, 3)
    cpu.set32(S.FSW, 0)
    cpu.set32(S.FCW, control)
    cpu.isHalted = false
    cpu.writeRegister(S.RBX, BigInt(DATA))
    this.machine.load(CODE, Uint8Array.of(...code, HLT))
    cpu.rip = BigInt(CODE)
    cpu.rest()
    cpu.run(10)
  }

  /** ST(0), as text, and flags and C1. */
  get result(): string {
    const { cpu } = this.machine
    const at = S.X87 + ((cpu.getI32(S.FSW) >> 11) & 7) * S.X87_SIZE
    return describe(cpu.getI32(at + 8), cpu.getI32(at + 4), cpu.getI32(at), cpu.getI32(S.FSW))
  }
}

function describe(se: number, hi: number, lo: number, status: number): string {
  const hex = (value: number) => (value >>> 0).toString(16)
  return `${hex(se & 0xffff)}:${hex(hi)}:${hex(lo)} ${hex(status & 0x2ff)}`
}

const ctx = new FloatContext()
const a = new Float80()
const b = new Float80()
const out = new Float80()
const processor = new Processor()

/** To nearest in 24, 53 and 64 bits, and upwards, which emitted code leaves to softfloat. */
const CONTROLS = [0x07f, 0x27f, 0x37f, 0xb7f]

function forCases(run: (control: number) => void): void {
  for (let i = 0; i < CASES; i++) {
    const control = CONTROLS[i & 3] as number
    // Now and then near the ends of the range.
    const near = i % 16 === 0 ? 0x20 + ((i >> 4) & 1) * 0x7fa0 : 0x3fff
    operand(a, near)
    operand(b, i % 5 === 0 ? 0x3fff : near)
    if (i % 7 === 0) b.set(a.se ^ (word() & 0x8000), a.hi, a.lo ^ (word() & 3))
    ctx.setControlWord(control)
    ctx.flags = 0
    run(control)
  }
}

const status = () => ctx.flags | (ctx.c1 << 9)

for (const [name, code, operation] of [
  ['FADD', [0xd8, 0xc1], add80],
  ['FSUB', [0xd8, 0xe1], sub80],
  ['FMUL', [0xd8, 0xc9], mul80],
  ['FDIV', [0xd8, 0xf1], div80],
] as const) {
  test(`emitted ${name} gives what softfloat gives`, () => {
    const { counters } = processor.machine.cpu
    const before = counters.hostInstructions
    forCases((control) => {
      const text = `${describe(a.se, a.hi, a.lo, control)} ${describe(b.se, b.hi, b.lo, 0)}`
      processor.run(code, control, a, b)
      operation(ctx, a, b, out)
      assert.equal(processor.result, describe(out.se, out.hi, out.lo, status()), text)
    })
    // HLT, and few others than the quarter that rounds upwards, ran in TypeScript.
    assert.ok(counters.hostInstructions - before < CASES * 1.5)
  })
}

test('emitted FCOM gives what softfloat gives', () => {
  forCases((control) => {
    processor.run([0xd8, 0xd1], control, a, b)
    const codes = compare80(ctx, a, b, false) << 8
    assert.equal(processor.machine.cpu.getI32(S.FSW) & 0x45ff, codes | ctx.flags)
  })
})

for (const [name, code, store, size] of [
  ['FSTP of 32 bits', [0xd9, 0x1b], store32, 4],
  ['FSTP of 64 bits', [0xdd, 0x1b], store64, 8],
  ['FISTP of 32 bits', [0xdb, 0x1b], (c, x) => storeInt(c, x, 32, c.rounding), 4],
  ['FISTP of 64 bits', [0xdf, 0x3b], (c, x) => storeInt(c, x, 64, c.rounding), 8],
] as const satisfies readonly (readonly [
  string,
  readonly number[],
  (c: FloatContext, x: Float80) => boolean,
  number,
])[]) {
  test(`emitted ${name} gives what softfloat gives`, () => {
    const { machine } = processor
    forCases((control) => {
      processor.run(code, control, a, b)
      store(ctx, a)
      const at = machine.ram + DATA
      assert.equal(machine.memory.view.getInt32(at, true), ctx.lo)
      if (size === 8) assert.equal(machine.memory.view.getInt32(at + 4, true), ctx.hi)
      assert.equal(machine.cpu.getI32(S.FSW) & 0x2ff, status())
    })
  })
}

test('with PE unmasked an inexact sum still goes to the register, and the error is pending', () => {
  a.set(0x3fff, 0x80000000, 1)
  b.set(0x3fbf, 0x80000000, 1)
  processor.run([0xd8, 0xc1], 0x37f & ~PE, a, b)
  assert.equal(processor.result, describe(0x3fff, 0x80000000, 2, 0x2a0))
})

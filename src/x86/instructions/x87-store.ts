// What stores ST(0): FST and FSTP to registers and to memory of 32, 64 and 80 bits, FIST, FISTP,
// FISTTP and FBSTP. (SDM vol. 1, 8.3.3 and 4.9; vol. 2A, each page.)
//
// The value and the next status word are found first, in emitted code where that is simple, else
// in TypeScript; then memory is written, which may fault; then the status word, and the pop.

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import type { HostInstruction } from '../host-instruction.ts'
import { type FloatContext, Float80, PE, RC_ZERO } from '../softfloat/context.ts'
import { store32, store64, storeInt } from '../softfloat/x87-convert.ts'
import { storeDecimal } from '../softfloat/x87-decimal.ts'
import * as S from '../state.ts'
import { INDEFINITE, stack } from '../system/x87-stack.ts'
import * as X from '../system/x87-words.ts'
import { commonly } from './common-case.ts'
import {
  above,
  isValid,
  leaveMemoryTrace,
  leaveTrace,
  loadSignExponent,
  loadSignificand,
  locate,
  occupy,
  rotated,
  slotOf,
  storeRegister,
  storeStatus,
  topOf,
  touchForWrite,
  vacate,
  waitForErrors,
  withoutC1,
} from './x87-emit.ts'
import { type Conversion, integral, narrowed } from './x87-narrow.ts'
import { opcodeOf, registerField } from './x87-operands.ts'

/** Beside the next status word: the value is to be stored, and ST(0) popped if it is to be. */
const STORED = 0x10000

const a = new Float80()

/** Writes the status word and pops, after the value was stored. */
function settle(e: Emitter, status: Value, top: Value, pops: boolean): void {
  if (pops) vacate(e, top)
  storeStatus(e, rotated(e, status, pops ? 1 : 0))
}

/** Writes the status word and pops, if the value was stored. */
function finish(e: Emitter, outcome: Value, top: Value, pops: boolean): void {
  const { f } = e
  const status = f.and(outcome, f.i32(0xffff))
  f.if(
    f.and(outcome, f.i32(STORED)),
    () => settle(e, status, top, pops),
    () => storeStatus(e, status),
    'likely',
  )
}

/** Leaves to the slow form of the instruction what is not fast. */
function retreatUnless(e: Emitter, isFast: Value): void {
  e.f.if(e.f.eqz(isFast), () => e.retreat(), undefined, 'unlikely')
}

// Registers.

/** ST(0) is empty. */
function underflowInto(pops: boolean): HostInstruction {
  return (cpu) => {
    const i = registerField(cpu)
    stack.begin(cpu)
    if (stack.underflow()) {
      stack.put(i, INDEFINITE)
      if (pops) stack.pop()
    }
    stack.end()
  }
}

/** FSTP at D9 does not mind that ST(0) is empty (as measured on AMD processors): it only pops. */
const popEmpty: HostInstruction = (cpu) => {
  stack.begin(cpu)
  stack.pop()
  stack.end()
}

// The forms of FSTP at D9 and DF are in no manual.
for (const [name, row, pops] of [
  ['FST', 'DD /2:r', false],
  ['FSTP', 'DD /3:r', true],
  ['FSTP', 'D9 /3:r', true],
  ['FSTP', 'DF /2:r', true],
  ['FSTP', 'DF /3:r', true],
] as const) {
  const slow = row.startsWith('D9') ? popEmpty : underflowInto(pops)
  define(name, [`${row} Tt x87`], (e, register) => {
    const status = waitForErrors(e)
    const top = topOf(e, status)
    const to = above(e, top, e.registerNumber(register))
    commonly(
      e,
      isValid(e, top),
      () => {
        const slot = slotOf(e, top)
        storeRegister(e, slotOf(e, to), loadSignificand(e, slot), loadSignExponent(e, slot))
        occupy(e, to)
        if (pops) vacate(e, top)
        storeStatus(e, rotated(e, withoutC1(e, status), pops ? 1 : 0))
      },
      () => e.host(slow),
    )
    leaveTrace(e, opcodeOf(row))
  })
}

// Memory of up to 64 bits.

/** A format in memory. */
interface Format {
  readonly bits: 16 | 32 | 64
  readonly convert: (e: Emitter, significand: Value, signExponent: Value) => Conversion
  /** Leaves the value in the context's `hi` and `lo`. */
  readonly exact: (ctx: FloatContext, x: Float80) => boolean
  /** What is stored for an empty register. */
  readonly indefinite: readonly [hi: number, lo: number]
}

/** Finds value and outcome in TypeScript. */
function exactly({ exact, indefinite }: Format): HostInstruction {
  return (cpu) => {
    stack.begin(cpu)
    const { context } = stack
    let isStored = false
    if (stack.isEmpty(0)) {
      isStored = stack.underflow()
      context.hi = indefinite[0]
      context.lo = indefinite[1]
    } else isStored = exact(context, stack.get(0, a))
    cpu.set32(S.ARGUMENTS, context.lo)
    cpu.set32(S.ARGUMENTS + 4, context.hi)
    cpu.set32(S.ARGUMENTS + 8, stack.nextStatus | (isStored ? STORED : 0))
  }
}

/** i32: inexact results need no more than PE, which is masked. */
function isPrecisionMasked(e: Emitter): Value {
  return e.f.and(e.stateLoad('i32.load', S.FCW), e.f.i32(PE))
}

function storeTo(e: Emitter, opcode: number, format: Format, pops: boolean, run: HostInstruction) {
  const { f } = e
  const { bits } = format
  const status = waitForErrors(e)
  const place = locate(e, bits / 8, true)
  const top = topOf(e, status)
  const slot = slotOf(e, top)
  const converted = format.convert(e, loadSignificand(e, slot), loadSignExponent(e, slot))
  const isFree = f.or(f.eqz(converted.isInexact), isPrecisionMasked(e))
  const isFast = f.and(f.and(converted.isFast, isValid(e, top)), f.ne(isFree, f.i32(0)))
  const flags = f.or(f.mul(converted.isInexact, f.i32(PE)), f.mul(converted.isUp, f.i32(X.C1)))
  const next = f.or(withoutC1(e, status), flags)
  const store = (whole: Value) =>
    e.memory.store(bits, place.linear, bits === 64 ? whole : f.wrap(whole))
  if (e.canRetreat) {
    retreatUnless(e, isFast)
    store(converted.value)
    settle(e, next, top, pops)
    return leaveMemoryTrace(e, opcode, place)
  }
  const value = f.local('i64')
  const outcome = f.local('i32')
  f.if(
    isFast,
    () => {
      f.set(value, converted.value)
      f.set(outcome, f.or(next, f.i32(STORED)))
    },
    () => {
      e.host(run)
      f.set(value, e.hostResult())
      f.set(outcome, f.wrap(e.hostResult(1)))
    },
    'likely',
  )
  f.if(
    f.and(f.get(outcome), f.i32(STORED)),
    () => store(f.get(value)),
    // What is not stored because of an unmasked exception faults as if it were.
    () => touchForWrite(e, bits, place.linear),
    'likely',
  )
  finish(e, f.get(outcome), top, pops)
  leaveMemoryTrace(e, opcode, place)
}

const FLOAT_32: Format = {
  bits: 32,
  convert: narrowed(32),
  exact: store32,
  indefinite: [0, 0xffc00000 | 0],
}
const FLOAT_64: Format = {
  bits: 64,
  convert: narrowed(64),
  exact: store64,
  indefinite: [0xfff80000 | 0, 0],
}

function integer(bits: 16 | 32 | 64, isCut: boolean): Format {
  return {
    bits,
    convert: integral(bits, isCut),
    exact: (ctx, x) => storeInt(ctx, x, bits, isCut ? RC_ZERO : ctx.rounding),
    indefinite: bits === 64 ? [0x80000000 | 0, 0] : [0, bits === 32 ? 0x80000000 | 0 : 0x8000],
  }
}

const INTEGERS = { 16: integer(16, false), 32: integer(32, false), 64: integer(64, false) }

for (const [name, row, format, pops] of [
  ['FST', 'D9 /2:m Md x87', FLOAT_32, false],
  ['FSTP', 'D9 /3:m Md x87', FLOAT_32, true],
  ['FST', 'DD /2:m Mq x87', FLOAT_64, false],
  ['FSTP', 'DD /3:m Mq x87', FLOAT_64, true],
  ['FIST', 'DF /2:m Mw x87', INTEGERS[16], false],
  ['FISTP', 'DF /3:m Mw x87', INTEGERS[16], true],
  ['FIST', 'DB /2:m Md x87', INTEGERS[32], false],
  ['FISTP', 'DB /3:m Md x87', INTEGERS[32], true],
  ['FISTP', 'DF /7:m Mq x87', INTEGERS[64], true],
  ['FISTTP', 'DF /1:m Mw x87 +sse3', integer(16, true), true],
  ['FISTTP', 'DB /1:m Md x87 +sse3', integer(32, true), true],
  ['FISTTP', 'DD /1:m Mq x87 +sse3', integer(64, true), true],
] as const) {
  const run = exactly(format)
  const opcode = opcodeOf(row)
  define(name, [row], (e) => storeTo(e, opcode, format, pops, run))
}

// Memory of 80 bits.

/** Writes ten bytes, an i64 and an i32, if the outcome says so. */
function store10(e: Emitter, outcome: Value, linear: Value, low: Value, high: Value): void {
  const { f } = e
  f.if(
    f.and(outcome, f.i32(STORED)),
    () => write10(e, linear, low, high),
    () => {
      touchForWrite(e, 64, linear)
      touchForWrite(e, 16, f.add(linear, f.i64(8)))
    },
  )
}

function write10(e: Emitter, linear: Value, low: Value, high: Value): void {
  const { f } = e
  const at = e.memory.writableFast(linear, 10)
  commonly(
    e,
    at,
    () => {
      f.store('i64.store', at, low)
      f.store('i32.store16', at, high, 8)
    },
    () => {
      e.stateStore('i64.store', S.BOUNCE, low)
      e.stateStore('i32.store16', S.BOUNCE + 8, high)
      e.leaveIf(f.eqz(e.callSlow('slowWrite', linear, 10)))
    },
  )
}

const digits = new Uint8Array(10)
const digitsView = new DataView(digits.buffer)

/** Leaves ten bytes and the outcome as results. */
function ten(isStored: boolean, cpu: Parameters<HostInstruction>[0]): void {
  cpu.setResult(digitsView.getBigUint64(0, true), 0)
  cpu.set32(S.ARGUMENTS + 8, stack.nextStatus | (isStored ? STORED : 0))
  cpu.set32(S.ARGUMENTS + 16, digitsView.getUint16(8, true))
}

const INDEFINITE_DIGITS = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0xc0, 0xff, 0xff)

/** FBSTP, and FSTP of an empty register: both have the same indefinite. */
const decimal: HostInstruction = (cpu) => {
  stack.begin(cpu)
  let isStored = false
  if (stack.isEmpty(0)) {
    isStored = stack.underflow()
    digits.set(INDEFINITE_DIGITS)
  } else isStored = storeDecimal(stack.context, stack.get(0, a), digits)
  ten(isStored, cpu)
}

define('FBSTP', ['DF /6:m Mt x87'], (e) => {
  const { f } = e
  const top = topOf(e, waitForErrors(e))
  const place = locate(e, 10, true)
  e.host(decimal)
  const low = e.hostResult()
  const outcome = f.wrap(e.hostResult(1))
  const high = f.wrap(e.hostResult(2))
  store10(e, outcome, place.linear, low, high)
  finish(e, outcome, top, true)
  leaveMemoryTrace(e, 0xdf, place)
})

define('FSTP', ['DB /7:m Mt x87'], (e) => {
  const { f } = e
  const status = waitForErrors(e)
  const place = locate(e, 10, true)
  const top = topOf(e, status)
  const slot = slotOf(e, top)
  const store = () => write10(e, place.linear, loadSignificand(e, slot), loadSignExponent(e, slot))
  if (e.canRetreat) {
    retreatUnless(e, isValid(e, top))
    store()
    settle(e, withoutC1(e, status), top, true)
    return leaveMemoryTrace(e, 0xdb, place)
  }
  const outcome = f.local('i32')
  f.set(outcome, f.or(withoutC1(e, status), f.i32(STORED)))
  f.if(
    isValid(e, top),
    store,
    () => {
      e.host(decimal)
      const low = e.hostResult()
      f.set(outcome, f.wrap(e.hostResult(1)))
      const high = f.wrap(e.hostResult(2))
      store10(e, f.get(outcome), place.linear, low, high)
    },
    'likely',
  )
  finish(e, f.get(outcome), top, true)
  leaveMemoryTrace(e, 0xdb, place)
})

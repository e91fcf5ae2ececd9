// What pushes onto the x87 stack: FLD from a register and from memory of 32, 64 and 80 bits, FILD,
// FBLD, and the constants FLD1, FLDZ, FLDPI, FLDL2E, FLDL2T, FLDLG2 and FLDLN2. (SDM vol. 1,
// 8.3.3 and 8.3.4.)
//
// What is exact and finds the register above the top empty is done in emitted code, the rest
// (NaNs, denormals, stack faults) in TypeScript.

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import type { HostInstruction } from '../host-instruction.ts'
import { type FloatContext, Float80 } from '../softfloat/context.ts'
import { load32, load64 } from '../softfloat/x87-convert.ts'
import { loadDecimal } from '../softfloat/x87-decimal.ts'
import * as S from '../state.ts'
import { INDEFINITE, stack } from '../system/x87-stack.ts'
import * as X from '../system/x87-words.ts'
import { commonly } from './common-case.ts'
import {
  above,
  isValid,
  leaveMemoryTrace,
  leaveTrace,
  loadRegister,
  locate,
  occupy,
  rotated,
  slotOf,
  storeRegister,
  storeStatus,
  topOf,
  waitForErrors,
  withoutC1,
} from './x87-emit.ts'
import { BIAS, type Extended, fromFloat, fromInteger, INTEGER_BIT } from './x87-formats.ts'
import { argumentHigh, opcodeOf, registerField } from './x87-operands.ts'

/**
 * Pushes what `make` gives if the i32 `isFast` says so and there is room; else `slow` runs with
 * `values`.
 */
function pushOr(
  e: Emitter,
  status: Value,
  isFast: Value | undefined,
  make: () => Extended,
  slow: HostInstruction,
  ...values: Value[]
): void {
  const { f } = e
  const top = above(e, topOf(e, status), f.i32(7))
  const hasRoom = f.eqz(isValid(e, top))
  commonly(
    e,
    isFast ? f.and(hasRoom, isFast) : hasRoom,
    () => {
      const { significand, signExponent } = make()
      storeRegister(e, slotOf(e, top), significand, signExponent)
      occupy(e, top)
      storeStatus(e, rotated(e, withoutC1(e, status), 7))
    },
    () => e.host(slow, ...values),
  )
}

/** The memory operand of the running host instruction. */
const fetched = { hi: 0, lo: 0 }

/** The host instruction of a load; `load` is not asked when the stack is full. */
function pushing(load: (ctx: FloatContext, out: Float80) => boolean): HostInstruction {
  const value = new Float80()
  return (cpu) => {
    stack.begin(cpu)
    if (!stack.isEmpty(7)) {
      if (stack.overflow()) stack.push(INDEFINITE)
    } else if (load(stack.context, value)) stack.push(value)
    stack.end()
  }
}

/** The host instruction of a load that can only fail because the stack is full. */
const full = pushing(() => false)

// Registers.

const copy: HostInstruction = (cpu) => {
  stack.begin(cpu)
  const i = registerField(cpu)
  if (stack.isEmpty(i) ? stack.underflow() : stack.overflow()) stack.push(INDEFINITE)
  stack.end()
}

define('FLD', ['D9 /0:r Tt x87'], (e, src) => {
  const status = waitForErrors(e)
  const from = above(e, topOf(e, status), e.registerNumber(src))
  const slot = slotOf(e, from)
  pushOr(e, status, isValid(e, from), () => loadRegister(e, slot), copy)
  leaveTrace(e, 0xd9)
})

// Constants, as their significands cut to 64 bits: RC says whether the last bit is rounded up.

for (const [name, rm, signExponent, significand, isCloserUp] of [
  ['FLD1', 0, BIAS, INTEGER_BIT, undefined],
  ['FLDL2T', 1, BIAS + 1, 0xd49a784bcd1b8afen, false],
  ['FLDL2E', 2, BIAS, 0xb8aa3b295c17f0bbn, true],
  ['FLDPI', 3, BIAS + 1, 0xc90fdaa22168c234n, true],
  ['FLDLG2', 4, BIAS - 2, 0x9a209a84fbcff798n, true],
  ['FLDLN2', 5, BIAS - 1, 0xb17217f7d1cf79abn, true],
  ['FLDZ', 6, 0, 0n, undefined],
] as const) {
  define(name, [`D9 /5:${rm} x87`], (e) => {
    const { f } = e
    const make = () => {
      let value = f.i64(significand)
      if (isCloserUp !== undefined) {
        const rounding = f.and(e.stateLoad('i32.load', S.FCW), f.i32(X.ROUNDING))
        const isUp = f.eq(rounding, f.i32(X.ROUNDING_UP))
        const isNearest = f.eqz(rounding)
        value = f.add(value, f.extendU(isCloserUp ? f.or(isUp, isNearest) : isUp))
      }
      return { significand: value, signExponent: f.i32(signExponent) }
    }
    pushOr(e, waitForErrors(e), undefined, make, full)
    leaveTrace(e, 0xd9)
  })
}

// Memory.

for (const [opcode, size, bits, load] of [
  [0xd9, 'd', 32, pushing((ctx, out) => load32(ctx, fetched.lo, out))],
  [0xdd, 'q', 64, pushing((ctx, out) => load64(ctx, fetched.hi, fetched.lo, out))],
] as const) {
  const run: HostInstruction = (cpu) => {
    fetched.lo = cpu.argumentLow(0)
    fetched.hi = argumentHigh(cpu)
    load(cpu)
  }
  define('FLD', [`${opcode.toString(16).toUpperCase()} /0:m M${size} x87`], (e) => {
    const status = waitForErrors(e)
    const place = locate(e, bits / 8, false)
    const value = e.memory.load(bits, place.linear)
    const { isExact, make } = fromFloat(e, bits, value)
    pushOr(e, status, isExact, make, run, value)
    leaveMemoryTrace(e, opcode, place)
  })
}

define('FLD', ['DB /5:m Mt x87'], (e) => {
  const { f } = e
  const status = waitForErrors(e)
  const place = locate(e, 10, false)
  const at = e.memory.readable(place.linear, 10)
  const significand = f.loadTrapping('i64.load', at)
  const signExponent = f.loadTrapping('i32.load16_u', at, 8)
  pushOr(e, status, undefined, () => ({ significand, signExponent }), full)
  leaveMemoryTrace(e, 0xdb, place)
})

for (const [row, bits] of [
  ['DF /0:m Mw', 16],
  ['DB /0:m Md', 32],
  ['DF /5:m Mq', 64],
] as const) {
  define('FILD', [`${row} x87`], (e) => {
    const status = waitForErrors(e)
    const place = locate(e, bits / 8, false)
    const value = e.memory.load(bits, place.linear)
    pushOr(e, status, undefined, () => fromInteger(e, e.signExtend(value, bits)), full)
    leaveMemoryTrace(e, opcodeOf(row), place)
  })
}

const digits = new Uint8Array(10)
const digitsView = new DataView(digits.buffer)
const loadDigits = pushing((_ctx, out) => {
  loadDecimal(digits, out)
  return true
})

const fetchDigits: HostInstruction = (cpu) => {
  digitsView.setBigUint64(0, cpu.argument(0), true)
  digitsView.setUint16(8, cpu.argumentLow(1), true)
  loadDigits(cpu)
}

define('FBLD', ['DF /4:m Mt x87'], (e) => {
  const { f } = e
  waitForErrors(e)
  const place = locate(e, 10, false)
  const at = e.memory.readable(place.linear, 10)
  const low = f.loadTrapping('i64.load', at)
  e.host(fetchDigits, low, f.loadTrapping('i32.load16_u', at, 8))
  leaveMemoryTrace(e, 0xdf, place)
})

// Simplification of integer operations while they are recorded: constants are computed, identities
// applied, constants moved to the right. A result is undefined if there is nothing to simplify.
// Operations that would trap are left to trap.

import { constantI32, constantI64 } from './constants.ts'
import { keepsBits, significantBits } from './bits.ts'
import { compute32, compute64 } from './compute.ts'
import type { Instruction } from './opcodes.ts'
import { PURE, type Value } from './value.ts'

/** How the folder makes the nodes that replace what it was given. */
export interface Maker {
  unary(code: number, a: Value): Value
  binary(code: number, a: Value, b: Value): Value
}

const I32_EQZ = 0x45
const I32_EQ = 0x46
const I32_NE = 0x47
const I64_EQZ = 0x50
const I32_ADD = 0x6a
const I32_AND = 0x71
const I64_AND = 0x83
const I32_WRAP_I64 = 0xa7
const I64_EXTEND_I32_S = 0xac
const I64_EXTEND_I32_U = 0xad

const FIRST_INTEGER_ARITHMETIC = 0x67
const LAST_INTEGER_ARITHMETIC = 0x8a

/** The value of `what(a)`, if it is known or simpler. */
export function foldUnary(make: Maker, what: Instruction, a: Value): Value | undefined {
  const { code } = what
  if (a.constant !== undefined) return foldUnaryConstant(code, a.constant)
  const inner = a.kind === PURE ? a.instruction?.code : undefined
  if (inner === undefined || a.instruction === undefined) return undefined
  switch (code) {
    case I32_WRAP_I64:
      if (inner === I64_EXTEND_I32_U || inner === I64_EXTEND_I32_S) return a.a
      return inner === I64_AND && a.a && a.b?.constant !== undefined && keepsBits(a.b.constant, 32)
        ? make.unary(code, a.a)
        : undefined
    case I32_EQZ: {
      const opposite = oppositeOf(inner)
      if (opposite === undefined || !a.a) return undefined
      return a.b ? make.binary(opposite, a.a, a.b) : undefined
    }
  }
  return undefined
}

function foldUnaryConstant(code: number, a: number | bigint): Value | undefined {
  if (typeof a === 'number') {
    switch (code) {
      case I32_EQZ:
        return constantI32(a === 0 ? 1 : 0)
      case I64_EXTEND_I32_S:
        return constantI64(a)
      case I64_EXTEND_I32_U:
        return constantI64(a >>> 0)
    }
    const value = compute32(code, a, 0)
    return value === undefined ? undefined : constantI32(value)
  }
  switch (code) {
    case I64_EQZ:
      return constantI32(a === 0n ? 1 : 0)
    case I32_WRAP_I64:
      return constantI32(Number(BigInt.asIntN(32, a)))
  }
  return result64(code, a, 0n)
}

function result64(code: number, a: bigint, b: bigint): Value | undefined {
  const value = compute64(code, a, b)
  if (value === undefined) return undefined
  return code >= I64_EQZ && code < FIRST_INTEGER_ARITHMETIC
    ? constantI32(Number(value))
    : constantI64(value)
}

/** The value of `what(a, b)`, if it is known or simpler. */
export function foldBinary(make: Maker, what: Instruction, a: Value, b: Value): Value | undefined {
  const { code } = what
  const isCompare = code >= I32_EQZ && code <= 0x5a
  if (!isCompare && (code < FIRST_INTEGER_ARITHMETIC || code > LAST_INTEGER_ARITHMETIC)) {
    return undefined
  }
  if (a.constant !== undefined && b.constant !== undefined) {
    return typeof a.constant === 'number'
      ? known32(code, a.constant, b.constant as number)
      : result64(code, a.constant, b.constant as bigint)
  }
  if (a.constant !== undefined && isCommutative(code)) return make.binary(code, b, a)
  if (a === b) return foldSame(code, a)
  if (b.constant !== undefined) return foldRightConstant(make, code, a, b)
  return undefined
}

function known32(code: number, a: number, b: number): Value | undefined {
  const value = compute32(code, a, b)
  return value === undefined ? undefined : constantI32(value)
}

function zero(like: Value): Value {
  return like.type === 'i64' ? constantI64(0) : constantI32(0)
}

/** The same operation on i32, for those of i64. */
function narrow(code: number): number {
  if (code >= 0x79) return code - 0x12
  return code >= I64_EQZ && code < FIRST_INTEGER_ARITHMETIC ? code - 0x0b : code
}

function isCommutative(code: number): boolean {
  switch (narrow(code)) {
    case I32_EQ:
    case I32_NE:
    case I32_ADD:
    case 0x6c: // mul
    case I32_AND:
    case 0x72: // or
    case 0x73: // xor
      return true
  }
  return false
}

function foldSame(code: number, a: Value): Value | undefined {
  switch (narrow(code)) {
    case I32_EQ:
    case 0x4c: // le_s
    case 0x4d: // le_u
    case 0x4e: // ge_s
    case 0x4f: // ge_u
      return constantI32(1)
    case I32_NE:
    case 0x48: // lt_s
    case 0x49: // lt_u
    case 0x4a: // gt_s
    case 0x4b: // gt_u
      return constantI32(0)
    case 0x6b: // sub
    case 0x73: // xor
      return zero(a)
    case I32_AND:
    case 0x72: // or
      return a
  }
  return undefined
}

function foldRightConstant(make: Maker, code: number, a: Value, b: Value): Value | undefined {
  const n = Number(b.constant)
  const isWide = b.type === 'i64'
  switch (narrow(code)) {
    case I32_EQ:
      return n === 0 ? make.unary(isWide ? I64_EQZ : I32_EQZ, a) : undefined
    case 0x49: // lt_u
      return n === 0 ? constantI32(0) : undefined
    case 0x4f: // ge_u
      return n === 0 ? constantI32(1) : undefined
    case I32_ADD:
      return n === 0 ? a : regroup(make, code, a, b)
    case 0x6b: // sub
      return n === 0 ? a : undefined
    case 0x6c: // mul
    case 0x6e: // div_u
      if (n === 1) return a
      return n === 0 && narrow(code) === 0x6c ? b : undefined
    case 0x6d: // div_s
      return n === 1 ? a : undefined
    case I32_AND:
      if (n === 0) return b
      if (keepsBits(b.constant as number | bigint, significantBits(a))) return a
      return regroup(make, code, a, b)
    case 0x72: // or
      if (n === -1) return b
      return n === 0 ? a : regroup(make, code, a, b)
    case 0x73: // xor
      return n === 0 ? a : regroup(make, code, a, b)
    case 0x74: // shl
    case 0x75: // shr_s
    case 0x76: // shr_u
    case 0x77: // rotl
    case 0x78: // rotr
      return isNoShift(b.constant) ? a : undefined
  }
  return undefined
}

function isNoShift(count: number | bigint | undefined): boolean {
  return typeof count === 'bigint' ? (count & 63n) === 0n : ((count ?? 1) & 31) === 0
}

/** (x op c1) op c2 is x op (c1 op c2). */
function regroup(make: Maker, code: number, a: Value, b: Value): Value | undefined {
  if (a.kind !== PURE || a.instruction?.code !== code || !a.a || !a.b) return undefined
  const first = a.b.constant
  const second = b.constant
  if (first === undefined || second === undefined) return undefined
  const both =
    typeof first === 'number'
      ? known32(code, first, second as number)
      : result64(code, first, second as bigint)
  if (!both) return undefined
  return both.constant === first ? a : make.binary(code, a.a, both)
}

/** The comparison that holds exactly when this one does not. */
function oppositeOf(code: number): number | undefined {
  if (code === 0x5b || code === 0x61) return code + 1 // f32.eq, f64.eq
  if (code === 0x5c || code === 0x62) return code - 1
  if (code > 0x5a || code < I32_EQ || code === I64_EQZ) return undefined
  const base = code < I64_EQZ ? 0 : 0x0b
  switch (code - base) {
    case I32_EQ:
      return code + 1
    case I32_NE:
      return code - 1
    case 0x48: // lt_s, ge_s
    case 0x49:
      return code + 6
    case 0x4a: // gt_s, le_s
    case 0x4b:
      return code + 2
    case 0x4c:
    case 0x4d:
      return code - 2
    default:
      return code - 6
  }
}

/** What is zero exactly when the condition is, but may be cheaper. */
export function simplifyCondition(condition: Value): Value {
  let value = condition
  while (value.kind === PURE && value.a) {
    const code = value.instruction?.code
    if (code === I32_NE && value.b?.constant === 0) value = value.a
    else if (code === I32_EQZ && value.a.kind === PURE && value.a.instruction?.code === I32_EQZ) {
      value = value.a.a as Value
    } else break
  }
  return value
}

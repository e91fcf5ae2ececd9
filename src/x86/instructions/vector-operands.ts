// How the meanings of vector instructions read and write their operands: XMM registers, MMX
// registers and memory of any width, all as v128. (SDM vol. 1, 9.2 and 10.2.)
//
// MMX registers are the significands of the x87 registers. Every MMX instruction makes all of
// those valid and sets TOP to 0 (SDM vol. 1, 9.5.1); unmasked x87 exceptions come first (#MF).

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Value } from '../../wasm/value.ts'
import { define, type Meaning } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import * as S from '../state.ts'
import { TOP } from '../system/x87-words.ts'
import { waitForErrors } from './x87-emit.ts'

const ZERO = new Uint8Array(16)

/** A vector of 16 bytes from a function of the byte's number. */
export function bytesOf(byte: (index: number) => number): Uint8Array {
  return Uint8Array.from({ length: 16 }, (_, i) => byte(i))
}

/** A constant vector of which each element of `size` bytes has the value `element(i)`. */
export function constantOf(
  f: FunctionBuilder,
  size: 1 | 2 | 4 | 8,
  element: (index: number) => number | bigint,
): Value {
  return f.v128(
    bytesOf((i) => {
      const value = BigInt(element(Math.floor(i / size)))
      return Number((value >> BigInt(8 * (i % size))) & 255n)
    }),
  )
}

/** All bits zero. */
export function zeroVector(f: FunctionBuilder): Value {
  return f.v128(ZERO)
}

/** The same operand at another width in bits. */
export function sized(operand: Operand, bits: number): Operand {
  return { ...operand, bits } as Operand
}

/** A scalar in the lowest bits of a vector of zeros. */
export function fromScalar(f: FunctionBuilder, value: Value): Value {
  if (value.type === 'v128') return value
  const lane = value.type === 'i64' ? 'i64x2.replace_lane' : 'i32x4.replace_lane'
  return f.lane(lane, 0, zeroVector(f), value)
}

/** The lowest 32 or 64 bits of a vector, as i32 or i64. */
export function toScalar(f: FunctionBuilder, vector: Value, bits: number): Value {
  return f.lane(bits === 64 ? 'i64x2.extract_lane' : 'i32x4.extract_lane', 0, vector)
}

/** A vector operand: a register whole, memory of the operand's width with zeros above it. */
export function readVector(e: Emitter, operand: Operand): Value {
  if (operand.kind === 'vector') return e.read(sized(operand, 128))
  return fromScalar(e.f, e.read(operand))
}

/** Writes all 128 bits of an XMM register. */
export function writeVector(e: Emitter, operand: Operand, value: Value): void {
  e.write(sized(operand, 128), value)
}

/** An MMX operand in the low half of a vector. */
export function readMmx(e: Emitter, operand: Operand): Value {
  const value = e.read(operand)
  return e.f.op('i64x2.splat', value.type === 'i32' ? e.f.extendU(value) : value)
}

/** Writes the low half of a vector to an MMX operand. */
export function writeMmx(e: Emitter, operand: Operand, value: Value): void {
  e.write(operand, toScalar(e.f, value, 64))
}

/** The x87 registers serve MMX now: all valid, TOP zero. */
export function enterMmx(e: Emitter): void {
  const { f } = e
  e.stateStore('i32.store', S.FSW, f.and(e.stateLoad('i32.load', S.FSW), f.i32(~TOP)))
  e.stateStore('i32.store', S.FTW, f.i32(0xff))
}

/** Defines an instruction that uses MMX registers; its rows have the attribute `mmx`. */
export function defineMmx(name: string, rows: readonly string[], meaning: Meaning): void {
  define(name, rows, (e, ...operands) => {
    waitForErrors(e)
    meaning(e, ...operands)
    enterMmx(e)
  })
}

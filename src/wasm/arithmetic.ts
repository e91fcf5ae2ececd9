// What computes without effects: constants, pure instructions, and methods that choose the
// instruction by the type of their operands.

import { Bug } from '../base/errors.ts'
import {
  constantF32,
  constantF32Bits,
  constantF64,
  constantF64Bits,
  constantI32,
  constantI64,
  constantV128,
} from './constants.ts'
import { foldBinary, foldUnary, type Maker, simplifyCondition } from './fold.ts'
import { Graph } from './graph.ts'
import {
  CONTROL,
  type Instruction,
  instruction,
  instructions,
  type LaneOp,
  type PureOp,
  type Type,
} from './opcodes.ts'
import { PURE, Value } from './value.ts'

/** Pure instructions of one byte by their opcode. */
const byCode: Instruction[] = []
for (const what of instructions()) if (what.group === 'pure' && what.code < 0x100) byCode[what.code] = what

/** From an opcode of i32 to that of i64: comparisons, and arithmetic. */
const WIDE_COMPARE = 0x0b
const WIDE_ARITHMETIC = 0x12

/** Expressions deeper than this are cut by a local, so that recursion over them is bounded. */
const MAX_HEIGHT = 200

/** Values and what can be computed from them. */
export class Arithmetic extends Graph implements Maker {
  i32(n: number): Value {
    return constantI32(n)
  }

  i64(n: bigint | number): Value {
    return constantI64(n)
  }

  f32(n: number): Value {
    return constantF32(n)
  }

  f64(n: number): Value {
    return constantF64(n)
  }

  /** An f32 by its bits: keeps the payload of a NaN. */
  f32Bits(bits: number): Value {
    return constantF32Bits(bits)
  }

  /** An f64 by its bits: keeps the payload of a NaN. */
  f64Bits(bits: bigint): Value {
    return constantF64Bits(bits)
  }

  /** A vector by its 16 bytes, the lowest first. */
  v128(bytes: Uint8Array): Value {
    return constantV128(bytes)
  }

  /** Any instruction without immediates and effects. Integer operations are simplified. */
  op(name: PureOp, ...args: Value[]): Value {
    const what = instruction('pure', name)
    const [a, b, c] = args
    if (args.length !== what.operands.length || !a) {
      throw new Bug(`${name} takes ${what.operands.length} values, not ${args.length}`)
    }
    if (!b) return this.#unary(what, a)
    return c ? this.#pure(what, what.result as Type, a, b, c) : this.#binary(what, a, b)
  }

  /** Extracts or replaces a lane. */
  lane(name: LaneOp, lane: number, ...args: Value[]): Value {
    const what = instruction('lane', name)
    const [a, b] = args
    if (args.length !== what.operands.length || !a) {
      throw new Bug(`${name} takes ${what.operands.length} values, not ${args.length}`)
    }
    if (!(lane >= 0 && lane < what.size)) throw new Bug(`${name} has no lane ${lane}`)
    const value = this.#pure(what, what.result as Type, a, b)
    value.immediate2 = lane
    return value
  }

  /** i8x16.shuffle: each of 16 lanes is a lane of `a` (0-15) or of `b` (16-31). */
  shuffle(lanes: readonly number[], a: Value, b: Value): Value {
    if (lanes.length !== 16 || lanes.some((lane) => !(lane >= 0 && lane < 32))) {
      throw new Bug(`i8x16.shuffle takes 16 lanes of 0 to 31, not ${lanes.join()}`)
    }
    this.check(a, 'v128', 'i8x16.shuffle')
    this.check(b, 'v128', 'i8x16.shuffle')
    const value = this.#node(CONTROL.shuffle, 'v128', a, b)
    value.list = lanes
    return value
  }

  /** Both values are computed (or may be); one is chosen. For anything costly use `choose`. */
  select(condition: Value, whenTrue: Value, whenFalse: Value): Value {
    this.check(condition, 'i32', 'select')
    this.check(whenTrue, whenTrue.type, 'select')
    this.check(whenFalse, whenTrue.type, 'select')
    const test = simplifyCondition(condition)
    if (test.constant !== undefined) return test.constant === 0 ? whenFalse : whenTrue
    if (whenTrue === whenFalse) return whenTrue
    return this.#node(CONTROL.select, whenTrue.type, whenTrue, whenFalse, test)
  }

  add(a: Value, b: Value): Value {
    return this.#integer(0x6a, a, b)
  }

  sub(a: Value, b: Value): Value {
    return this.#integer(0x6b, a, b)
  }

  mul(a: Value, b: Value): Value {
    return this.#integer(0x6c, a, b)
  }

  /** Traps if `b` is 0, or if the quotient does not fit. */
  divS(a: Value, b: Value): Value {
    return this.#integer(0x6d, a, b)
  }

  /** Traps if `b` is 0. */
  divU(a: Value, b: Value): Value {
    return this.#integer(0x6e, a, b)
  }

  /** Traps if `b` is 0. */
  remS(a: Value, b: Value): Value {
    return this.#integer(0x6f, a, b)
  }

  /** Traps if `b` is 0. */
  remU(a: Value, b: Value): Value {
    return this.#integer(0x70, a, b)
  }

  and(a: Value, b: Value): Value {
    return this.#integer(0x71, a, b)
  }

  or(a: Value, b: Value): Value {
    return this.#integer(0x72, a, b)
  }

  xor(a: Value, b: Value): Value {
    return this.#integer(0x73, a, b)
  }

  /** The count is of the same type as the value, and taken modulo its width; so for all shifts. */
  shl(a: Value, b: Value): Value {
    return this.#integer(0x74, a, b)
  }

  shrS(a: Value, b: Value): Value {
    return this.#integer(0x75, a, b)
  }

  shrU(a: Value, b: Value): Value {
    return this.#integer(0x76, a, b)
  }

  rotl(a: Value, b: Value): Value {
    return this.#integer(0x77, a, b)
  }

  rotr(a: Value, b: Value): Value {
    return this.#integer(0x78, a, b)
  }

  clz(a: Value): Value {
    return this.unary(0x67 + this.#wide(a, WIDE_ARITHMETIC), a)
  }

  ctz(a: Value): Value {
    return this.unary(0x68 + this.#wide(a, WIDE_ARITHMETIC), a)
  }

  popcnt(a: Value): Value {
    return this.unary(0x69 + this.#wide(a, WIDE_ARITHMETIC), a)
  }

  /** 1 if the value is 0, else 0; an i32, as all comparisons. */
  eqz(a: Value): Value {
    return this.unary(0x45 + this.#wide(a, WIDE_COMPARE), a)
  }

  eq(a: Value, b: Value): Value {
    return this.#compare(0x46, a, b)
  }

  ne(a: Value, b: Value): Value {
    return this.#compare(0x47, a, b)
  }

  ltS(a: Value, b: Value): Value {
    return this.#compare(0x48, a, b)
  }

  ltU(a: Value, b: Value): Value {
    return this.#compare(0x49, a, b)
  }

  gtS(a: Value, b: Value): Value {
    return this.#compare(0x4a, a, b)
  }

  gtU(a: Value, b: Value): Value {
    return this.#compare(0x4b, a, b)
  }

  leS(a: Value, b: Value): Value {
    return this.#compare(0x4c, a, b)
  }

  leU(a: Value, b: Value): Value {
    return this.#compare(0x4d, a, b)
  }

  geS(a: Value, b: Value): Value {
    return this.#compare(0x4e, a, b)
  }

  geU(a: Value, b: Value): Value {
    return this.#compare(0x4f, a, b)
  }

  /** All bits inverted. */
  not(a: Value): Value {
    return this.xor(a, this.integer(a.type, -1))
  }

  /** 0 - a. */
  neg(a: Value): Value {
    return this.sub(this.integer(a.type, 0), a)
  }

  /** i32 to i64, with zeros above. */
  extendU(a: Value): Value {
    return this.unary(0xad, a)
  }

  /** i32 to i64, with the sign above. */
  extendS(a: Value): Value {
    return this.unary(0xac, a)
  }

  /** The low half of an i64. */
  wrap(a: Value): Value {
    return this.unary(0xa7, a)
  }

  /** Copies bit 7 into the bits above it. */
  sextend8(a: Value): Value {
    return this.unary(this.#wide(a, 1) ? 0xc2 : 0xc0, a)
  }

  /** Copies bit 15 into the bits above it. */
  sextend16(a: Value): Value {
    return this.unary(this.#wide(a, 1) ? 0xc3 : 0xc1, a)
  }

  /** Copies bit 31 of an i64 into the bits above it. */
  sextend32(a: Value): Value {
    return this.unary(0xc4, a)
  }

  /** @internal By opcode, for the folder. */
  unary(code: number, a: Value): Value {
    return this.#unary(byCode[code] as Instruction, a)
  }

  /** @internal By opcode, for the folder. */
  binary(code: number, a: Value, b: Value): Value {
    return this.#binary(byCode[code] as Instruction, a, b)
  }

  #integer(code: number, a: Value, b: Value): Value {
    return this.#binary(byCode[code + this.#wide(a, WIDE_ARITHMETIC)] as Instruction, a, b)
  }

  #compare(code: number, a: Value, b: Value): Value {
    return this.#binary(byCode[code + this.#wide(a, WIDE_COMPARE)] as Instruction, a, b)
  }

  #wide(a: Value, distance: number): number {
    return a.type === 'i64' ? distance : 0
  }

  #unary(what: Instruction, a: Value): Value {
    this.check(a, what.operands[0] as Type, what.name)
    return foldUnary(this, what, a) ?? this.#node(what, what.result as Type, a)
  }

  #binary(what: Instruction, a: Value, b: Value): Value {
    this.check(a, what.operands[0] as Type, what.name)
    this.check(b, what.operands[1] as Type, what.name)
    return foldBinary(this, what, a, b) ?? this.#node(what, what.result as Type, a, b)
  }

  #pure(what: Instruction, type: Type, a: Value, b?: Value, c?: Value): Value {
    this.check(a, what.operands[0] as Type, what.name)
    if (b) this.check(b, what.operands[1] as Type, what.name)
    if (c) this.check(c, what.operands[2] as Type, what.name)
    return this.#node(what, type, a, b, c)
  }

  #node(what: Instruction, type: Type, a: Value, b?: Value, c?: Value): Value {
    const node = this.node(PURE, type, what, a, b)
    node.c = c
    node.height = heightAbove(a, b, c)
    return node
  }
}

/** The height of a node over these; 0 where an expression has become too high. */
export function heightAbove(a: Value, b?: Value, c?: Value): number {
  let height = a.height
  if (b && b.height > height) height = b.height
  if (c && c.height > height) height = c.height
  return height === MAX_HEIGHT ? 0 : height + 1
}

// What computes without effects: constants, pure instructions by name, lanes, selection. Integer
// operations are simplified as they are recorded (fold.ts).

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
import { PURE, type Value } from './value.ts'

/** Pure instructions of one byte by their opcode. */
const byCode: Instruction[] = []
for (const what of instructions())
  if (what.group === 'pure' && what.code < 0x100) byCode[what.code] = what

/** Expressions deeper than this are cut by a local, so that recursion over them is bounded. */
const MAX_HEIGHT = 200

/** Values and what can be computed from them. */
export class Pure extends Graph implements Maker {
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
    if (!b) return this.#withoutDetour(what, a) ?? this.#unary(what, a)
    return c ? this.#pure(what, what.result as Type, a, b, c) : this.#binary(what, a, b)
  }

  /**
   * Floating-point values that travel as integers: what is reinterpreted back and forth, or taken
   * from a vector as an integer, is what it was.
   */
  #withoutDetour(what: Instruction, a: Value): Value | undefined {
    if (a.kind !== PURE || !a.a) return undefined
    const inner = a.instruction?.name
    switch (what.name) {
      case 'f64.reinterpret_i64':
        if (inner === 'i64.reinterpret_f64') return a.a
        return inner === 'i64x2.extract_lane'
          ? this.lane('f64x2.extract_lane', a.immediate2, a.a)
          : undefined
      case 'f32.reinterpret_i32':
        if (inner === 'i32.reinterpret_f32') return a.a
        return inner === 'i32x4.extract_lane'
          ? this.lane('f32x4.extract_lane', a.immediate2, a.a)
          : undefined
    }
    return undefined
  }

  /** Extracts or replaces a lane. */
  lane(name: LaneOp, lane: number, ...args: Value[]): Value {
    const what = instruction('lane', name)
    const [a, b] = args
    if (a && b?.kind === PURE && b.a) {
      const inner = b.instruction?.name
      if (name === 'i64x2.replace_lane' && inner === 'i64.reinterpret_f64') {
        return this.lane('f64x2.replace_lane', lane, a, b.a)
      }
      if (name === 'i32x4.replace_lane' && inner === 'i32.reinterpret_f32') {
        return this.lane('f32x4.replace_lane', lane, a, b.a)
      }
    }
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

  /** @internal By opcode, for the folder and for arithmetic.ts. */
  unary(code: number, a: Value): Value {
    return this.#unary(byCode[code] as Instruction, a)
  }

  /** @internal By opcode, for the folder and for arithmetic.ts. */
  binary(code: number, a: Value, b: Value): Value {
    return this.#binary(byCode[code] as Instruction, a, b)
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

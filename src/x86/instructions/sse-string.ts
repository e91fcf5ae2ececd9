// PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM: comparisons of strings of bytes or words.
// (SDM vol. 1, 12.10.3 and vol. 2, 4.1: the immediate and its steps.)
//
// The immediate decides on nearly everything. It is a constant in translated code, where only one
// of the arms below is left, and read at run time by the interpreter, whose handlers serve all.

import type { Value } from '../../wasm/value.ts'
import type { PureOp } from '../../wasm/opcodes.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import * as S from '../state.ts'
import { bytesOf, constantOf, fromScalar, writeVector, zeroVector } from './vector-operands.ts'

// Fields of the immediate.
const WORDS = 1
const SIGNED = 2
/** Aggregation: 0 equal any, 4 ranges, 8 equal each, 12 equal ordered. */
const RANGES_OR_ORDERED = 4
const EACH_OR_ORDERED = 8
const NEGATIVE = 0x10
/** With NEGATIVE: only elements of the second text are negated. */
const MASKED = 0x20
/** The last index rather than the first; a mask of elements rather than of bits. */
const OTHER_OUTPUT = 0x40

/** Elements of one size. */
interface Elements {
  readonly count: 8 | 16
  readonly equal: PureOp
  readonly atLeast: PureOp
  readonly atMost: PureOp
  readonly splat: PureOp
  readonly bitmask: PureOp
  /** Lanes of bytes that make up element i: first + i * step, in each splatted element. */
  readonly first: number
  readonly step: number
  /** What SIGNED has to be shifted by to become the sign of an element. */
  readonly signShift: number
}

const BYTE_ELEMENTS: Elements = {
  count: 16,
  equal: 'i8x16.eq',
  atLeast: 'i8x16.ge_u',
  atMost: 'i8x16.le_u',
  splat: 'i8x16.splat',
  bitmask: 'i8x16.bitmask',
  first: 0,
  step: 1,
  signShift: 6,
}

const WORD_ELEMENTS: Elements = {
  count: 8,
  equal: 'i16x8.eq',
  atLeast: 'i16x8.ge_u',
  atMost: 'i16x8.le_u',
  splat: 'i16x8.splat',
  bitmask: 'i16x8.bitmask',
  first: 0x0100,
  step: 0x0202,
  signShift: 14,
}

/** One of the two texts. */
interface Text {
  readonly vector: Value
  /** i32: elements that belong to the text. */
  readonly length: Value
  /** i32: a bit for each of them. */
  readonly inside: Value
}

/** Emits the comparison of two texts under an immediate (i32). */
class Comparison {
  readonly #e: Emitter
  readonly #immediate: Value
  /** i32: elements of a vector. */
  readonly #count: Value
  readonly #a: Text
  readonly #b: Text

  /** Lengths are i32, at most 16; where there is none, a zero ends the text. */
  constructor(e: Emitter, immediate: Value, vectors: [Value, Value], lengths?: [Value, Value]) {
    const { f } = e
    this.#e = e
    this.#immediate = immediate
    this.#count = f.sub(f.i32(16), f.shl(this.#has(WORDS), f.i32(3)))
    this.#a = this.#text(vectors[0], lengths?.[0])
    this.#b = this.#text(vectors[1], lengths?.[1])
  }

  /** i32: not 0 if a field of the immediate is set. */
  #has(field: number): Value {
    return this.#e.f.and(this.#immediate, this.#e.f.i32(field))
  }

  /** An i32, or vector, that is found for elements of the size that the immediate says. */
  #bySize(type: 'i32' | 'v128', find: (elements: Elements) => Value): Value {
    return this.#e.f.choose(
      type,
      this.#has(WORDS),
      () => find(WORD_ELEMENTS),
      () => find(BYTE_ELEMENTS),
    )
  }

  #text(vector: Value, explicit: Value | undefined): Text {
    const { f } = this.#e
    const length = explicit
      ? f.select(f.gtU(explicit, this.#count), this.#count, explicit)
      : this.#bySize('i32', ({ count, equal, bitmask }) =>
          f.ctz(f.or(f.op(bitmask, f.op(equal, vector, zeroVector(f))), f.i32(1 << count))),
        )
    return { vector, length, inside: f.sub(f.shl(f.i32(1), length), f.i32(1)) }
  }

  /** i32: a bit for each element that is found, negated if the immediate says so (IntRes2). */
  result(): Value {
    const { f } = this.#e
    const all = f.sub(f.shl(f.i32(1), this.#count), f.i32(1))
    const negated = f.select(this.#has(MASKED), this.#b.inside, all)
    const found = this.#bySize('i32', (elements) =>
      f.choose(
        'i32',
        this.#has(EACH_OR_ORDERED),
        () =>
          f.choose(
            'i32',
            this.#has(RANGES_OR_ORDERED),
            () => this.#ordered(elements),
            () => this.#each(elements),
          ),
        () =>
          f.choose(
            'i32',
            this.#has(RANGES_OR_ORDERED),
            () => this.#ranges(elements),
            () => this.#any(elements),
          ),
      ),
    )
    return f.xor(found, f.select(this.#has(NEGATIVE), negated, f.i32(0)))
  }

  /** Equal elements, and what lies behind the ends of both texts. */
  #each({ count, equal, bitmask }: Elements): Value {
    const { f } = this.#e
    const [a, b] = [this.#a, this.#b]
    const isSame = f.op(bitmask, f.op(equal, a.vector, b.vector))
    const behind = f.xor(f.or(a.inside, b.inside), f.i32((1 << count) - 1))
    return f.or(f.and(f.and(a.inside, b.inside), isSame), behind)
  }

  /** Elements of `b` that are one of `a`. */
  #any(elements: Elements): Value {
    const { f } = this.#e
    return this.#gather(elements, 1, (i) =>
      f.op(elements.equal, this.#b.vector, this.#spread(elements, i)),
    )
  }

  /** Elements of `b` in one of the ranges that are the pairs of `a`. */
  #ranges(elements: Elements): Value {
    const { f } = this.#e
    // Signed order is unsigned order with the signs turned round.
    const sign = f.shl(this.#has(SIGNED), f.i32(elements.signShift))
    const turned = (vector: Value) => f.op('v128.xor', vector, f.op(elements.splat, sign))
    const b = turned(this.#b.vector)
    return this.#gather(elements, 2, (i) => {
      const [lowest, highest] = [i, f.add(i, f.i32(1))].map((n) =>
        turned(this.#spread(elements, n)),
      )
      return f.op(
        'v128.and',
        f.op(elements.atLeast, b, lowest as Value),
        f.op(elements.atMost, b, highest as Value),
      )
    })
  }

  /** A vector of which each element is element i of `a`. */
  #spread({ splat, first, step }: Elements, i: Value): Value {
    const { f } = this.#e
    const lanes = f.op(splat, f.add(f.mul(i, f.i32(step)), f.i32(first)))
    return f.op('i8x16.swizzle', this.#a.vector, lanes)
  }

  /** Elements of `b` for which `find` (a vector) holds with one of the elements of `a`. */
  #gather({ bitmask }: Elements, step: 1 | 2, find: (i: Value) => Value): Value {
    const { f } = this.#e
    const found = f.local('v128')
    f.set(found, zeroVector(f))
    this.#throughA(step, (i) => f.set(found, f.op('v128.or', f.get(found), find(i))))
    return f.and(f.op(bitmask, f.get(found)), this.#b.inside)
  }

  /** Where `a` begins in `b`, as far as both reach. */
  #ordered(elements: Elements): Value {
    const { f } = this.#e
    const { count, equal, bitmask } = elements
    const all = f.i32((1 << count) - 1)
    const found = f.local('i32')
    f.set(found, all)
    this.#throughA(1, (i) => {
      const same = f.op(bitmask, f.op(equal, this.#b.vector, this.#spread(elements, i)))
      // Whatever lies beyond the vector matches.
      const matches = f.or(f.and(same, this.#b.inside), f.not(all))
      f.set(found, f.and(f.get(found), f.shrS(matches, i)))
    })
    return f.get(found)
  }

  /** Runs `body` for each element of `a`, or for each pair of them. */
  #throughA(step: 1 | 2, body: (i: Value) => void): void {
    const { f } = this.#e
    const next = f.local('i32')
    f.set(next, f.i32(0))
    const limit = f.sub(this.#a.length, f.i32(step))
    f.block((end) => {
      f.loop((again) => {
        const i = f.get(next)
        f.brIf(end, f.gtS(i, limit))
        body(i)
        f.set(next, f.add(i, f.i32(step)))
        f.br(again)
      })
    })
  }

  /** i32: the index of the first or last bit of a result, or the number of elements. */
  index(result: Value): Value {
    const { f } = this.#e
    const last = f.sub(f.i32(31), f.clz(result))
    return f.select(result, f.select(this.#has(OTHER_OUTPUT), last, f.ctz(result)), this.#count)
  }

  /** v128: the bits of a result, or an element of ones for each. */
  mask(result: Value): Value {
    const { f } = this.#e
    return f.choose(
      'v128',
      this.#has(OTHER_OUTPUT),
      () =>
        this.#bySize('v128', ({ count, equal }) => {
          // To each element the byte of the result that has its bit.
          const spread = f.op('i8x16.swizzle', fromScalar(f, result), byteLanes(count))
          const bits =
            count === 16 ? constantOf(f, 1, (i) => 1 << (i & 7)) : constantOf(f, 2, (i) => 1 << i)
          return f.op(equal, f.op('v128.and', spread, bits), bits)
        }),
      () => fromScalar(f, result),
    )

    function byteLanes(count: 8 | 16): Value {
      return f.v128(bytesOf((i) => (count === 16 ? i >> 3 : i & 1 ? 1 : 0)))
    }
  }

  setFlags(result: Value): void {
    const { f, flags } = this.#e
    const none = f.i32(0)
    flags.assign({
      cf: f.ne(result, none),
      zf: f.ltU(this.#b.length, this.#count),
      sf: f.ltU(this.#a.length, this.#count),
      of: f.and(result, f.i32(1)),
      af: none,
      pf: none,
    })
  }
}

/** i32: the magnitude of a length in a register, at most 16. */
function explicitLength(e: Emitter, register: number): Value {
  const { f } = e
  const bits = e.shape.operandSize === 64 ? 64 : 32
  const length = e.signExtend(e.read(e.gpr(register, bits)), bits)
  const magnitude = f.select(f.ltS(length, f.i64(0)), f.neg(length), length)
  return f.select(f.gtU(magnitude, f.i64(16)), f.i32(16), f.wrap(magnitude))
}

for (const [name, opcode, isExplicit, isIndex] of [
  ['PCMPESTRM', '60', true, false],
  ['PCMPESTRI', '61', true, true],
  ['PCMPISTRM', '62', false, false],
  ['PCMPISTRI', '63', false, true],
] as const) {
  const row = `66 0F 3A ${opcode} /r Vx,Wx,Ib sse +sse4_2`
  define(name, [row], (e: Emitter, a: Operand, b: Operand, immediate: Operand) => {
    const second = e.read(b)
    const comparison = new Comparison(
      e,
      e.read(immediate),
      [e.read(a), second],
      isExplicit ? [explicitLength(e, S.RAX), explicitLength(e, S.RDX)] : undefined,
    )
    const result = comparison.result()
    if (isIndex) e.write(e.gpr(S.RCX, 32), comparison.index(result))
    else writeVector(e, { kind: 'vector', bits: 128, field: 0 }, comparison.mask(result))
    comparison.setFlags(result)
  })
}

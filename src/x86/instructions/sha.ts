// The SHA extensions: rounds and message schedules of SHA-1 and SHA-256. (FIPS 180-4; SDM vol. 2:
// SHA1MSG1 SHA1MSG2 SHA1NEXTE SHA1RNDS4 SHA256MSG1 SHA256MSG2 SHA256RNDS2.) Words of a state are
// named as in the manual: the highest element of a vector holds the first.

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'

type Words = [Value, Value, Value, Value]

/** The elements of a vector, the lowest first. */
function words(f: FunctionBuilder, vector: Value): Words {
  return [0, 1, 2, 3].map((i) => f.lane('i32x4.extract_lane', i, vector)) as Words
}

/** A vector from its elements, the lowest first. */
function vectorOf(f: FunctionBuilder, elements: Words): Value {
  const first = f.op('i32x4.splat', elements[0])
  return elements
    .slice(1)
    .reduce((v, word, i) => f.lane('i32x4.replace_lane', i + 1, v, word), first)
}

const xor = (f: FunctionBuilder, ...values: Value[]) => values.reduce((a, b) => f.xor(a, b))
const sum = (f: FunctionBuilder, ...values: Value[]) => values.reduce((a, b) => f.add(a, b))
const rotl = (f: FunctionBuilder, value: Value, n: number) => f.rotl(value, f.i32(n))
const rotr = (f: FunctionBuilder, value: Value, n: number) => f.rotr(value, f.i32(n))

/** FIPS 180-4, 4.1.1 and 4.1.2. */
const choice = (f: FunctionBuilder, b: Value, c: Value, d: Value) =>
  f.xor(f.and(b, c), f.and(f.not(b), d))
const majority = (f: FunctionBuilder, b: Value, c: Value, d: Value) =>
  xor(f, f.and(b, c), f.and(b, d), f.and(c, d))

// SHA-1.

/** FIPS 180-4, 4.2.1. */
const SHA1_CONSTANTS = [0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6]

define('SHA1RNDS4', ['NP 0F 3A CC /r Vx,Wx,Ib sse +sha'], (e, dst, src, operand) => {
  const { f } = e
  const message = words(f, e.read(src))
  let [d, c, b, a] = words(f, e.read(dst))
  const kind = f.and(e.read(operand), f.i32(3))
  const is = (n: number) => f.eq(kind, f.i32(n))
  const constant = SHA1_CONSTANTS.slice(0, 3).reduceRight(
    (otherwise, k, n) => f.select(is(n), f.i32(k | 0), otherwise),
    f.i32((SHA1_CONSTANTS[3] as number) | 0),
  )
  // E is not part of the state: it has been added to the first word of the message.
  let last: Value = f.i32(0)
  for (const word of [...message].reverse()) {
    const mixed = f.select(
      is(0),
      choice(f, b, c, d),
      f.select(is(2), majority(f, b, c, d), xor(f, b, c, d)),
    )
    const next = sum(f, mixed, rotl(f, a, 5), word, last, constant)
    last = d
    d = c
    c = rotl(f, b, 30)
    b = a
    a = next
  }
  e.write(dst, vectorOf(f, [d, c, b, a]))
})

define('SHA1NEXTE', ['NP 0F 38 C8 /r Vx,Wx sse +sha'], (e, dst, src) => {
  const { f } = e
  const message = e.read(src)
  const a = f.lane('i32x4.extract_lane', 3, e.read(dst))
  const first = f.add(f.lane('i32x4.extract_lane', 3, message), rotl(f, a, 30))
  e.write(dst, f.lane('i32x4.replace_lane', 3, message, first))
})

/** The upper half of `b` below the lower half of `a`. */
const MIDDLE = [24, 25, 26, 27, 28, 29, 30, 31, 0, 1, 2, 3, 4, 5, 6, 7]

define('SHA1MSG1', ['NP 0F 38 C9 /r Vx,Wx sse +sha'], (e, dst, src) => {
  const { f } = e
  const second = e.read(src)
  const first = e.read(dst)
  e.write(dst, f.op('v128.xor', first, f.shuffle(MIDDLE, first, second)))
})

define('SHA1MSG2', ['NP 0F 38 CA /r Vx,Wx sse +sha'], (e, dst, src) => {
  const { f } = e
  const [w15, w14, w13] = words(f, e.read(src))
  const [m3, m2, m1, m0] = words(f, e.read(dst))
  const w16 = rotl(f, f.xor(m0, w13), 1)
  const w17 = rotl(f, f.xor(m1, w14), 1)
  const w18 = rotl(f, f.xor(m2, w15), 1)
  e.write(dst, vectorOf(f, [rotl(f, f.xor(m3, w16), 1), w18, w17, w16]))
})

// SHA-256.

const SIGMA = {
  /** FIPS 180-4, (4.4) to (4.7); the third of the small ones is a shift. */
  big0: (f: FunctionBuilder, x: Value) => xor(f, rotr(f, x, 2), rotr(f, x, 13), rotr(f, x, 22)),
  big1: (f: FunctionBuilder, x: Value) => xor(f, rotr(f, x, 6), rotr(f, x, 11), rotr(f, x, 25)),
  small0: (f: FunctionBuilder, x: Value) =>
    xor(f, rotr(f, x, 7), rotr(f, x, 18), f.shrU(x, f.i32(3))),
  small1: (f: FunctionBuilder, x: Value) =>
    xor(f, rotr(f, x, 17), rotr(f, x, 19), f.shrU(x, f.i32(10))),
} as const

define('SHA256RNDS2', ['NP 0F 38 CB /r Vx,Wx,XMM0 sse +sha'], (e, dst, src, keys) => {
  const { f } = e
  let [ff, ee, bb, aa] = words(f, e.read(src))
  let [h, g, d, c] = words(f, e.read(dst))
  const [first, second] = words(f, e.read(keys))
  for (const word of [first, second]) {
    const temporary = sum(f, choice(f, ee, ff, g), SIGMA.big1(f, ee), word, h)
    const next = sum(f, temporary, majority(f, aa, bb, c), SIGMA.big0(f, aa))
    h = g
    g = ff
    ff = ee
    ee = f.add(temporary, d)
    d = c
    c = bb
    bb = aa
    aa = next
  }
  e.write(dst, vectorOf(f, [ff, ee, bb, aa]))
})

define('SHA256MSG1', ['NP 0F 38 CC /r Vx,Wx sse +sha'], (e, dst, src) => {
  const { f } = e
  const w4 = f.lane('i32x4.extract_lane', 0, e.read(src))
  const [w0, w1, w2, w3] = words(f, e.read(dst))
  const step = (w: Value, next: Value) => f.add(w, SIGMA.small0(f, next))
  e.write(dst, vectorOf(f, [step(w0, w1), step(w1, w2), step(w2, w3), step(w3, w4)]))
})

define('SHA256MSG2', ['NP 0F 38 CD /r Vx,Wx sse +sha'], (e, dst, src) => {
  const { f } = e
  const [, , w14, w15] = words(f, e.read(src))
  const [m0, m1, m2, m3] = words(f, e.read(dst))
  const step = (m: Value, w: Value) => f.add(m, SIGMA.small1(f, w))
  const w16 = step(m0, w14)
  const w17 = step(m1, w15)
  e.write(dst, vectorOf(f, [w16, w17, step(m2, w16), step(m3, w17)]))
})

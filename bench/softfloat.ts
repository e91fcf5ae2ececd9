// How long the exact floating-point operations take on ordinary operands. Prints nanoseconds an
// operation, the median of several runs; lower is better.

import { FloatContext, Float80 } from '../src/x86/softfloat/context.ts'
import {
  add32,
  add64,
  div32,
  div64,
  mul32,
  mul64,
  sqrt64,
} from '../src/x86/softfloat/sse-arithmetic.ts'
import { compare64 } from '../src/x86/softfloat/sse-compare.ts'
import { intFrom64, intTo64, narrow64 } from '../src/x86/softfloat/sse-convert.ts'
import { fma32, fma64 } from '../src/x86/softfloat/sse-fma.ts'
import { add80, div80, mul80, sqrt80 } from '../src/x86/softfloat/x87-arithmetic.ts'
import { compare80 } from '../src/x86/softfloat/x87-compare.ts'
import { load64, store64, storeInt } from '../src/x86/softfloat/x87-convert.ts'
import { exp2Minus1, yLog2 } from '../src/x86/softfloat/x87-exponential.ts'
import { roundInt80 } from '../src/x86/softfloat/x87-integer.ts'
import { remainder80 } from '../src/x86/softfloat/x87-remainder.ts'
import { atan80, sin80, tan80 } from '../src/x86/softfloat/x87-trigonometry.ts'

const COUNT = 256

const ctx = new FloatContext()
const out = new Float80()
const pushed = new Float80()

// A simple generator: the same operands at every run.
let state = 1
function word(): number {
  state = (Math.imul(state, 1664525) + 1013904223) | 0
  return state ^ (state >>> 15)
}

/** Numbers of both signs between 2^-8 and 2^8, in all formats. */
const extended = Array.from({ length: COUNT }, () => {
  const exponent = 0x3fff + (word() & 15) - 8
  return new Float80().set(exponent | (word() & 0x8000), word() | 0x80000000, word())
})
const positive = extended.map((x) => new Float80().set(x.se & 0x7fff, x.hi, x.lo))
const small = extended.map((x) => new Float80().set((x.se & 0x8000) | 0x3ffd, x.hi, x.lo))
const high = Int32Array.from(
  extended,
  (x) => ((x.se & 0x8000) << 16) | (0x3f800000 + (word() & 0x7fffff)),
)
const low = Int32Array.from(extended, () => word())

const at = (words: Int32Array, i: number): number => words[i & (COUNT - 1)] as number
const of = (numbers: readonly Float80[], i: number): Float80 => numbers[i & (COUNT - 1)] as Float80

const operations: Readonly<Record<string, (i: number) => void>> = {
  'x87 add': (i) => add80(ctx, of(extended, i), of(extended, i + 1), out),
  'x87 mul': (i) => mul80(ctx, of(extended, i), of(extended, i + 1), out),
  'x87 div': (i) => div80(ctx, of(extended, i), of(extended, i + 1), out),
  'x87 sqrt': (i) => sqrt80(ctx, of(positive, i), out),
  'x87 compare': (i) => compare80(ctx, of(extended, i), of(extended, i + 1), true),
  'x87 load binary64': (i) => load64(ctx, at(high, i), at(low, i), out),
  'x87 store binary64': (i) => store64(ctx, of(extended, i)),
  'x87 store int32': (i) => storeInt(ctx, of(extended, i), 32, 0),
  'x87 round to integer': (i) => roundInt80(ctx, of(extended, i), out),
  'x87 remainder': (i) => remainder80(ctx, of(extended, i), of(extended, i + 1), false, out),
  'x87 sine': (i) => sin80(ctx, of(extended, i), out),
  'x87 tangent': (i) => tan80(ctx, of(extended, i), out, pushed),
  'x87 arc tangent': (i) => atan80(ctx, of(extended, i), of(extended, i + 1), out),
  'x87 2^x - 1': (i) => exp2Minus1(ctx, of(small, i), out),
  'x87 y log2 x': (i) => yLog2(ctx, of(positive, i), of(extended, i + 1), out),
  'binary32 add': (i) => add32(ctx, at(high, i), at(high, i + 1)),
  'binary32 mul': (i) => mul32(ctx, at(high, i), at(high, i + 1)),
  'binary32 div': (i) => div32(ctx, at(high, i), at(high, i + 1)),
  'binary32 fma': (i) => fma32(ctx, at(high, i), at(high, i + 1), at(high, i + 2), 0),
  'binary64 add': (i) => add64(ctx, at(high, i), at(low, i), at(high, i + 1), at(low, i + 1)),
  'binary64 mul': (i) => mul64(ctx, at(high, i), at(low, i), at(high, i + 1), at(low, i + 1)),
  'binary64 div': (i) => div64(ctx, at(high, i), at(low, i), at(high, i + 1), at(low, i + 1)),
  'binary64 sqrt': (i) => sqrt64(ctx, at(high, i) & 0x7fffffff, at(low, i)),
  'binary64 fma': (i) =>
    fma64(
      ctx,
      at(high, i),
      at(low, i),
      at(high, i + 1),
      at(low, i + 1),
      at(high, i + 2),
      at(low, i + 2),
      0,
    ),
  'binary64 compare': (i) =>
    compare64(ctx, at(high, i), at(low, i), at(high, i + 1), at(low, i + 1), false),
  'binary64 to binary32': (i) => narrow64(ctx, at(high, i), at(low, i)),
  'binary64 to int32': (i) => intFrom64(ctx, at(high, i), at(low, i), 32, false),
  'int64 to binary64': (i) => intTo64(ctx, at(high, i), at(low, i)),
}

for (const [name, operation] of Object.entries(operations)) {
  const times: number[] = []
  for (let run = 0; run < 7; run++) {
    let count = 0
    const start = performance.now()
    let elapsed = 0
    while (elapsed < 30) {
      for (let i = 0; i < 1000; i++) operation(i)
      count += 1000
      elapsed = performance.now() - start
    }
    times.push((elapsed * 1e6) / count)
  }
  const median = times.toSorted((a, b) => a - b)[3] as number
  console.log(`${name.padEnd(24)} ${median.toFixed(0).padStart(6)} ns`)
}

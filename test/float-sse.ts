// Our SSE operations in the shape of the oracle's: one record in, one result out, every bit of it.
// xmm0 is the record's a and xmm1 its b; a trap leaves both, and the general register, as they were.

import { FloatContext } from '../src/x86/softfloat/context.ts'
import * as arithmetic from '../src/x86/softfloat/sse-arithmetic.ts'
import * as compare from '../src/x86/softfloat/sse-compare.ts'
import * as convert from '../src/x86/softfloat/sse-convert.ts'
import { fma32, fma64, NEGATE_ADDEND, NEGATE_PRODUCT } from '../src/x86/softfloat/sse-fma.ts'
import { settlePacked } from '../src/x86/softfloat/sse-operands.ts'
import { putDouble, putFloat, putInteger, relateAddend, relateNarrow } from './float-operands.ts'
import type { FloatOperation } from './float-x87.ts'

const ctx = new FloatContext()

// What an instruction leaves: xmm0 in four words, the general register in two, EFLAGS.
interface Outcome {
  readonly xmm: Int32Array
  readonly general: Int32Array
  eflags: number
}

const outcome: Outcome = { xmm: new Int32Array(4), general: new Int32Array(2), eflags: 4 }

type Meaning = (a: Int32Array, b: Int32Array, c: Int32Array) => void

const a = new Int32Array(4)
const b = new Int32Array(4)
const c = new Int32Array(4)

function operation(operands: FloatOperation['operands'], meaning: Meaning): FloatOperation {
  const run: FloatOperation['run'] = (view, at, out) => {
    const mxcsr = view.getUint32(at, true)
    ctx.setMxcsr(mxcsr)
    ctx.flags = 0
    for (let i = 0; i < 4; i++) {
      a[i] = view.getInt32(at + 8 + 4 * i, true)
      b[i] = view.getInt32(at + 24 + 4 * i, true)
      c[i] = view.getInt32(at + 40 + 4 * i, true)
    }
    outcome.xmm.set(a)
    outcome.general.fill(0xaaaaaaaa)
    outcome.eflags = 4
    meaning(a, b, c)
    const stores = settlePacked(ctx)
    if (!stores) {
      outcome.xmm.set(a)
      outcome.general.fill(0xaaaaaaaa)
      outcome.eflags = 4
    }
    out.setUint32(at, mxcsr | ctx.flags, true)
    out.setUint32(at + 4, stores ? outcome.eflags : outcome.eflags | 0x80000000, true)
    for (let i = 0; i < 4; i++) {
      out.setInt32(at + 8 + 4 * i, outcome.xmm[i] as number, true)
      out.setInt32(at + 24 + 4 * i, outcome.general[i] ?? 0, true)
      out.setInt32(at + 40 + 4 * i, b[i] as number, true)
    }
  }
  return { operands, run }
}

const floats: FloatOperation['operands'] = (view, at, random) => {
  for (let i = 8; i < 56; i += 4) putFloat(view, at + i, random)
  for (let i = 0; i < 16; i += 4) relateNarrow(view, at + 8 + i, at + 24 + i, 8, random)
}

const doubles: FloatOperation['operands'] = (view, at, random) => {
  for (let i = 8; i < 56; i += 8) putDouble(view, at + i, random)
  for (let i = 0; i < 16; i += 8) relateNarrow(view, at + 8 + i, at + 24 + i, 11, random)
}

// Addends near the product, whichever two operands are the factors.
const fmaFloats: FloatOperation['operands'] = (view, at, random) => {
  floats(view, at, random)
  relateAddend(view, at + 8, 8, random)
}

const fmaDoubles: FloatOperation['operands'] = (view, at, random) => {
  doubles(view, at, random)
  relateAddend(view, at + 8, 11, random)
}

const integers: FloatOperation['operands'] = (view, at, random) => {
  putFloat(view, at + 8, random)
  putInteger(view, at + 24, random)
}

type Words = readonly [number, number, number, number]
const words = (v: Int32Array): Words => v as unknown as Words

/** Sets element 0 of xmm0 to a binary32. */
function single(value: number): void {
  outcome.xmm[0] = value
}

/** Sets element 0 of xmm0 to the binary64 in the context. */
function double(): void {
  outcome.xmm[0] = ctx.lo
  outcome.xmm[1] = ctx.hi
}

type Binary32 = (ctx: FloatContext, a: number, b: number) => number
type Binary64 = (ctx: FloatContext, aHi: number, aLo: number, bHi: number, bLo: number) => void

function ss(f: Binary32): FloatOperation {
  return operation(floats, (a, b) => single(f(ctx, words(a)[0], words(b)[0])))
}

function sd(f: Binary64): FloatOperation {
  return operation(doubles, (a, b) => {
    f(ctx, words(a)[1], words(a)[0], words(b)[1], words(b)[0])
    double()
  })
}

function ps(f: Binary32): FloatOperation {
  return operation(floats, (a, b) => {
    for (let i = 0; i < 4; i++) outcome.xmm[i] = f(ctx, a[i] as number, b[i] as number)
  })
}

function pd(f: Binary64): FloatOperation {
  return operation(doubles, (a, b) => {
    for (let i = 0; i < 4; i += 2) {
      f(ctx, a[i + 1] as number, a[i] as number, b[i + 1] as number, b[i] as number)
      outcome.xmm[i] = ctx.lo
      outcome.xmm[i + 1] = ctx.hi
    }
  })
}

function toGeneral(bits: number): void {
  outcome.general[0] = ctx.lo
  outcome.general[1] = bits === 64 ? ctx.hi : 0
}

function single2int(bits: number, truncates: boolean): FloatOperation {
  return operation(floats, (_a, b) => {
    convert.intFrom32(ctx, words(b)[0], bits, truncates)
    toGeneral(bits)
  })
}

function double2int(bits: number, truncates: boolean): FloatOperation {
  return operation(doubles, (_a, b) => {
    convert.intFrom64(ctx, words(b)[1], words(b)[0], bits, truncates)
    toGeneral(bits)
  })
}

const table: Record<string, FloatOperation> = {
  sqrtss: operation(floats, (_a, b) => single(arithmetic.sqrt32(ctx, words(b)[0]))),
  sqrtsd: operation(doubles, (_a, b) => {
    arithmetic.sqrt64(ctx, words(b)[1], words(b)[0])
    double()
  }),
  minss: ss((ctx, a, b) => compare.select32(ctx, a, b, 0)),
  maxss: ss((ctx, a, b) => compare.select32(ctx, a, b, 1)),
  minsd: sd((ctx, aHi, aLo, bHi, bLo) => compare.select64(ctx, aHi, aLo, bHi, bLo, 0)),
  maxsd: sd((ctx, aHi, aLo, bHi, bLo) => compare.select64(ctx, aHi, aLo, bHi, bLo, 1)),
  cvtss2sd: operation(floats, (_a, b) => {
    convert.widen32(ctx, words(b)[0])
    double()
  }),
  cvtsd2ss: operation(doubles, (_a, b) => {
    single(convert.narrow64(ctx, words(b)[1], words(b)[0]))
  }),
  cvtsi2ss32: operation(integers, (_a, b) => {
    single(convert.intTo32(ctx, words(b)[0] >> 31, words(b)[0]))
  }),
  cvtsi2ss64: operation(integers, (_a, b) => {
    single(convert.intTo32(ctx, words(b)[1], words(b)[0]))
  }),
  cvtsi2sd32: operation(integers, (_a, b) => {
    convert.intTo64(ctx, words(b)[0] >> 31, words(b)[0])
    double()
  }),
  cvtsi2sd64: operation(integers, (_a, b) => {
    convert.intTo64(ctx, words(b)[1], words(b)[0])
    double()
  }),
  cvtss2si32: single2int(32, false),
  cvtss2si64: single2int(64, false),
  cvttss2si32: single2int(32, true),
  cvttss2si64: single2int(64, true),
  cvtsd2si32: double2int(32, false),
  cvtsd2si64: double2int(64, false),
  cvttsd2si32: double2int(32, true),
  cvttsd2si64: double2int(64, true),
}

for (const name of ['add', 'sub', 'mul', 'div'] as const) {
  table[`${name}ss`] = ss(arithmetic[`${name}32`])
  table[`${name}sd`] = sd(arithmetic[`${name}64`])
  table[`${name}ps`] = ps(arithmetic[`${name}32`])
  table[`${name}pd`] = pd(arithmetic[`${name}64`])
}

for (const [name, signals] of [
  ['comi', true],
  ['ucomi', false],
] as const) {
  table[`${name}ss`] = operation(floats, (a, b) => {
    outcome.eflags = compare.compare32(ctx, words(a)[0], words(b)[0], signals)
  })
  table[`${name}sd`] = operation(doubles, (a, b) => {
    const [aLo, aHi] = words(a)
    const [bLo, bHi] = words(b)
    outcome.eflags = compare.compare64(ctx, aHi, aLo, bHi, bLo, signals)
  })
}

for (let predicate = 0; predicate < 32; predicate++) {
  table[`cmpss${predicate}`] = operation(floats, (a, b) => {
    single(compare.predicate32(ctx, words(a)[0], words(b)[0], predicate) ? -1 : 0)
  })
  table[`cmpsd${predicate}`] = operation(doubles, (a, b) => {
    const [aLo, aHi] = words(a)
    const [bLo, bHi] = words(b)
    const mask = compare.predicate64(ctx, aHi, aLo, bHi, bLo, predicate) ? -1 : 0
    outcome.xmm[0] = mask
    outcome.xmm[1] = mask
  })
}

for (const immediate of [0, 1, 2, 3, 4, 8, 12]) {
  table[`roundss${immediate}`] = operation(floats, (_a, b) => {
    single(convert.round32(ctx, words(b)[0], immediate))
  })
  table[`roundsd${immediate}`] = operation(doubles, (_a, b) => {
    convert.round64(ctx, words(b)[1], words(b)[0], immediate)
    double()
  })
}

const FMA_ORDERS = {
  132: (a: Int32Array, b: Int32Array, c: Int32Array) => [a, c, b],
  213: (a: Int32Array, b: Int32Array, c: Int32Array) => [b, a, c],
  231: (a: Int32Array, b: Int32Array, c: Int32Array) => [b, c, a],
} as const

for (const [form, order] of Object.entries(FMA_ORDERS)) {
  for (const [name, negate] of [
    ['fmadd', 0],
    ['fnmsub', NEGATE_PRODUCT | NEGATE_ADDEND],
  ] as const) {
    table[`${name}${form}ss`] = operation(fmaFloats, (a, b, c) => {
      const [p, q, s] = order(a, b, c).map((v) => words(v)[0]) as [number, number, number]
      single(fma32(ctx, p, q, s, negate))
    })
    table[`${name}${form}sd`] = operation(fmaDoubles, (a, b, c) => {
      const [p, q, s] = order(a, b, c).map(words) as [Words, Words, Words]
      fma64(ctx, p[1], p[0], q[1], q[0], s[1], s[0], negate)
      double()
    })
  }
}

/** The instructions, by the oracle's names for them. */
export const SSE_OPERATIONS: Readonly<Record<string, FloatOperation>> = table

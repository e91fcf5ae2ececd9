// Our x87 operations in the shape of the oracle's: one record in, one result out, every bit of it.
// ST(0) is the record's a and ST(1) its b before each instruction; memory operands are b.

import { FloatContext, Float80, RC_ZERO } from '../src/x86/softfloat/context.ts'
import { add80, div80, mul80, sqrt80, sub80 } from '../src/x86/softfloat/x87-arithmetic.ts'
import { compare80, examine80 } from '../src/x86/softfloat/x87-compare.ts'
import {
  fromInt,
  fromInt64,
  load32,
  load64,
  store32,
  store64,
  storeInt,
  widen32,
  widen64,
} from '../src/x86/softfloat/x87-convert.ts'
import { loadDecimal, storeDecimal } from '../src/x86/softfloat/x87-decimal.ts'
import { extract80, roundInt80, scale80 } from '../src/x86/softfloat/x87-integer.ts'
import { remainder80 } from '../src/x86/softfloat/x87-remainder.ts'
import { exp2Minus1, yLog2, yLog2Plus1 } from '../src/x86/softfloat/x87-exponential.ts'
import {
  atan80,
  cos80,
  DONE,
  OUT_OF_RANGE,
  sin80,
  sinCos80,
  tan80,
} from '../src/x86/softfloat/x87-trigonometry.ts'
import {
  moderate,
  putDecimal,
  putDouble,
  putExtended,
  putFloat,
  putInteger,
  type Random,
  relateExtended,
} from './float-operands.ts'

/** An instruction: what its second operand is, and its meaning by our functions. */
export interface FloatOperation {
  /** Fills the operands of a record. */
  readonly operands: (view: DataView, at: number, random: Random) => void
  /** Computes the result of the record at `at` into the same place of `out`. */
  readonly run: (view: DataView, at: number, out: DataView) => void
}

const ctx = new FloatContext()
const a = new Float80()
const b = new Float80()
const result = new Float80()
const pushed = new Float80()
const EMPTY = new Float80()
const zero = new Float80()

// A part of the machine around an instruction: what becomes of the stack and of memory.
interface Outcome {
  /** 1 after a push, -1 after a pop. */
  stack: number
  conditions: number
  eflags: number
  st0: Float80
  st1: Float80
}

const outcome: Outcome = { stack: 0, conditions: 0, eflags: 4, st0: a, st1: b }

function get80(view: DataView, at: number, x: Float80): void {
  x.set(view.getUint16(at + 8, true), view.getInt32(at + 4, true), view.getInt32(at, true))
}

function put80(view: DataView, at: number, x: Float80): void {
  view.setInt32(at, x.lo, true)
  view.setInt32(at + 4, x.hi, true)
  view.setUint16(at + 8, x.se, true)
}

type Meaning = (memory: DataView, at: number) => void

function operation(operands: FloatOperation['operands'], stores: boolean, meaning: Meaning) {
  const run: FloatOperation['run'] = (view, at, out) => {
    const controlWord = view.getUint32(at, true)
    ctx.setControlWord(controlWord)
    ctx.flags = 0
    get80(view, at + 8, a)
    get80(view, at + 24, b)
    outcome.stack = 0
    outcome.conditions = 0
    outcome.eflags = 4
    outcome.st0 = a
    outcome.st1 = b
    for (let i = 0; i < 16; i++) {
      out.setUint8(at + 40 + i, stores ? 0xaa : view.getUint8(at + 24 + i))
    }
    meaning(out, at + 40)
    const pending = (ctx.flags & ~ctx.masks & 0x3f) !== 0 ? 0x8080 : 0
    const top = (6 - outcome.stack) << 11
    out.setUint32(at, ctx.flags | pending | top | outcome.conditions | (ctx.c1 << 9), true)
    out.setUint32(at + 4, outcome.eflags, true)
    put80(out, at + 8, outcome.st0)
    put80(out, at + 24, outcome.st1)
  }
  return { operands, run }
}

const putTwo: FloatOperation['operands'] = (view, at, random) => {
  putExtended(view, at + 8, random)
  putExtended(view, at + 24, random)
  relateExtended(view, at + 8, at + 24, random)
}

const withMemory =
  (put: (view: DataView, at: number, random: Random) => void): FloatOperation['operands'] =>
  (view, at, random) => {
    putExtended(view, at + 8, random)
    putExtended(view, at + 24, random)
    put(view, at + 24, random)
  }

function binary(compute: () => boolean): FloatOperation {
  return operation(putTwo, false, () => {
    if (compute()) outcome.st0 = result
  })
}

function fromMemory(
  put: (view: DataView, at: number, random: Random) => void,
  compute: Meaning,
): FloatOperation {
  return operation(withMemory(put), false, compute)
}

function loading(
  put: (view: DataView, at: number, random: Random) => void,
  compute: (memory: DataView, at: number) => boolean,
): FloatOperation {
  return fromMemory(put, (memory, at) => {
    if (!compute(memory, at)) return
    outcome.stack = 1
    outcome.st0 = result
    outcome.st1 = a
  })
}

function storing(pops: boolean, compute: Meaning): FloatOperation {
  return operation(putTwo, true, (memory, at) => {
    compute(memory, at)
    if (!pops || (ctx.flags & ~ctx.masks & 0x1f & ~2) !== 0) return
    outcome.stack = -1
    outcome.st0 = b
    outcome.st1 = EMPTY
  })
}

function storingInt(bits: number, pops: boolean, truncates: boolean): FloatOperation {
  return storing(pops, (memory, at) => {
    if (!storeInt(ctx, a, bits, truncates ? RC_ZERO : ctx.rounding)) return
    if (bits === 16) memory.setInt16(at, ctx.lo, true)
    else memory.setInt32(at, ctx.lo, true)
    if (bits === 64) memory.setInt32(at + 4, ctx.hi, true)
  })
}

function comparing(toEflags: boolean, quiet: boolean): FloatOperation {
  return operation(putTwo, false, () => noteOrder(compare80(ctx, a, b, quiet), toEflags))
}

function noteOrder(order: number, toEflags: boolean): void {
  if (toEflags) outcome.eflags = order
  else outcome.conditions = order << 8
}

function remainder(nearest: boolean): FloatOperation {
  return operation(putTwo, false, () => {
    result.copy(a)
    outcome.conditions = remainder80(ctx, a, b, nearest, result)
    outcome.st0 = result
  })
}

const bytesAt = (memory: DataView, at: number): Uint8Array =>
  new Uint8Array(memory.buffer, memory.byteOffset + at, 10)

const low = (memory: DataView, at: number): number => memory.getInt32(at, true)
const high = (memory: DataView, at: number): number => memory.getInt32(at + 4, true)

function withFloat(compute: () => boolean): FloatOperation {
  return fromMemory(putFloat, (memory, at) => {
    widen32(low(memory, at), pushed)
    if (compute()) outcome.st0 = result
  })
}

function withDouble(compute: () => boolean): FloatOperation {
  return fromMemory(putDouble, (memory, at) => {
    widen64(high(memory, at), low(memory, at), pushed)
    if (compute()) outcome.st0 = result
  })
}

/** The instructions, by the oracle's names for them. */
export const X87_OPERATIONS: Readonly<Record<string, FloatOperation>> = {
  fadd: binary(() => add80(ctx, a, b, result)),
  fsub: binary(() => sub80(ctx, a, b, result)),
  fsubr: binary(() => sub80(ctx, b, a, result)),
  fmul: binary(() => mul80(ctx, a, b, result)),
  fdiv: binary(() => div80(ctx, a, b, result)),
  fdivr: binary(() => div80(ctx, b, a, result)),
  fadd_m32: withFloat(() => add80(ctx, a, pushed, result)),
  fadd_m64: withDouble(() => add80(ctx, a, pushed, result)),
  fmul_m32: withFloat(() => mul80(ctx, a, pushed, result)),
  fmul_m64: withDouble(() => mul80(ctx, a, pushed, result)),
  fdiv_m64: withDouble(() => div80(ctx, a, pushed, result)),
  fsqrt: binary(() => sqrt80(ctx, a, result)),
  frndint: binary(() => roundInt80(ctx, a, result)),
  fscale: binary(() => scale80(ctx, a, b, result)),
  fxtract: operation(putTwo, false, () => {
    if (!extract80(ctx, a, result, pushed)) return
    outcome.stack = 1
    outcome.st0 = pushed
    outcome.st1 = result
  }),
  fprem: remainder(false),
  fprem1: remainder(true),
  fcom: comparing(false, false),
  fucom: comparing(false, true),
  fcomi: comparing(true, false),
  fucomi: comparing(true, true),
  fcom_m32: fromMemory(putFloat, (memory, at) => {
    widen32(low(memory, at), pushed)
    noteOrder(compare80(ctx, a, pushed, false), false)
  }),
  fcom_m64: fromMemory(putDouble, (memory, at) => {
    widen64(high(memory, at), low(memory, at), pushed)
    noteOrder(compare80(ctx, a, pushed, false), false)
  }),
  ftst: operation(putTwo, false, () => noteOrder(compare80(ctx, a, zero, false), false)),
  fxam: operation(putTwo, false, () => {
    ctx.c1 = 0
    outcome.conditions = examine80(a)
  }),
  fld_m32: loading(putFloat, (memory, at) => load32(ctx, low(memory, at), result)),
  fld_m64: loading(putDouble, (memory, at) =>
    load64(ctx, high(memory, at), low(memory, at), result),
  ),
  fild_m16: loading(putInteger, (memory, at) => {
    fromInt(memory.getInt16(at, true), result)
    return true
  }),
  fild_m32: loading(putInteger, (memory, at) => {
    fromInt(low(memory, at), result)
    return true
  }),
  fild_m64: loading(putInteger, (memory, at) => {
    fromInt64(high(memory, at), low(memory, at), result)
    return true
  }),
  fbld: loading(putDecimal, (memory, at) => {
    loadDecimal(bytesAt(memory, at), result)
    return true
  }),
  fbstp: storing(true, (memory, at) => {
    storeDecimal(ctx, a, bytesAt(memory, at))
  }),
  fst_m32: storing(false, (memory, at) => {
    if (store32(ctx, a)) memory.setInt32(at, ctx.lo, true)
  }),
  fst_m64: storing(false, (memory, at) => {
    if (!store64(ctx, a)) return
    memory.setInt32(at, ctx.lo, true)
    memory.setInt32(at + 4, ctx.hi, true)
  }),
  fist_m16: storingInt(16, false, false),
  fist_m32: storingInt(32, false, false),
  fistp_m64: storingInt(64, true, false),
  fisttp_m16: storingInt(16, true, true),
  fisttp_m32: storingInt(32, true, true),
  fisttp_m64: storingInt(64, true, true),
}

const near =
  (largest: number): FloatOperation['operands'] =>
  (view, at, random) => {
    putTwo(view, at, random)
    moderate(view, at + 8, at + 24, largest, random)
  }

// The argument of a logarithm: positive in most cases, and often close to one.
const forLogarithm: FloatOperation['operands'] = (view, at, random) => {
  near(4)(view, at, random)
  if (random.below(8) === 0) return
  view.setUint16(at + 16, view.getUint16(at + 16, true) & 0x7fff, true)
}

function unary(compute: () => number): FloatOperation {
  return operation(near(62), false, () => {
    const answer = compute()
    if (answer === DONE) outcome.st0 = result
    if (answer === OUT_OF_RANGE) outcome.conditions = answer
  })
}

function pushing(compute: () => number): FloatOperation {
  return operation(near(62), false, () => {
    const answer = compute()
    if (answer === OUT_OF_RANGE) outcome.conditions = answer
    if (answer !== DONE) return
    outcome.stack = 1
    outcome.st0 = pushed
    outcome.st1 = result
  })
}

function popping(operands: FloatOperation['operands'], compute: () => boolean): FloatOperation {
  return operation(operands, false, () => {
    if (!compute()) return
    outcome.stack = -1
    outcome.st0 = result
    outcome.st1 = EMPTY
  })
}

/** The transcendental instructions, which agree with a processor within one unit. */
export const TRANSCENDENTAL: Readonly<Record<string, FloatOperation>> = {
  f2xm1: operation(near(-1), false, () => {
    if (exp2Minus1(ctx, a, result)) outcome.st0 = result
  }),
  fyl2x: popping(forLogarithm, () => yLog2(ctx, a, b, result)),
  fyl2xp1: popping(near(0), () => yLog2Plus1(ctx, a, b, result)),
  fpatan: popping(near(20), () => atan80(ctx, a, b, result)),
  fsin: unary(() => sin80(ctx, a, result)),
  fcos: unary(() => cos80(ctx, a, result)),
  fsincos: pushing(() => sinCos80(ctx, a, result, pushed)),
  fptan: pushing(() => tan80(ctx, a, result, pushed)),
}

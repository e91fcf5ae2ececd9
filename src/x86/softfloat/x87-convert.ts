// x87: registers from and to binary32, binary64 and integers of 16, 32 and 64 bits: FLD, FST, FILD,
// FIST and FISTTP. FLD and FSTP of 80 bits copy and raise nothing. (Intel SDM vol. 1, 8.3.3, 4.9.)

import { DE, type FloatContext, type Float80, IE, OE, PE, UE } from './context.ts'
import { EXACT, pack32, pack64, ROUNDED_UP, roundNarrow, roundToInteger } from './round.ts'
import {
  FINITE,
  QNAN,
  SNAN,
  UNSUPPORTED,
  Unpacked,
  unpack32,
  unpack64,
  unpack80,
  unpackInt64,
  ZERO,
} from './unpacked.ts'
import { raiseBefore } from './x87-nan.ts'

const u = new Unpacked()

function pack80(out: Float80): void {
  const sign = u.sign << 15
  if (u.kind === ZERO) out.set(sign, 0, 0)
  else out.set(u.kind === FINITE ? sign | (u.exp + 16383) : sign | 0x7fff, u.hi, u.lo)
}

/**
 * Widens a binary32 for an arithmetic instruction with a memory operand. Raises nothing: what the
 * operand is stays visible to the operation.
 */
export function widen32(bits: number, out: Float80): void {
  unpack32(u, bits, false)
  pack80(out)
  out.wasDenormal = u.isDenormal
}

/** Widens a binary64; see `widen32`. */
export function widen64(hi: number, lo: number, out: Float80): void {
  unpack64(u, hi, lo, false)
  pack80(out)
  out.wasDenormal = u.isDenormal
}

/** FLD m32. Returns false if an unmasked exception forbids the push. */
export function load32(ctx: FloatContext, bits: number, out: Float80): boolean {
  unpack32(u, bits, false)
  return load(ctx, out)
}

/** FLD m64. Returns false if an unmasked exception forbids the push. */
export function load64(ctx: FloatContext, hi: number, lo: number, out: Float80): boolean {
  unpack64(u, hi, lo, false)
  return load(ctx, out)
}

function load(ctx: FloatContext, out: Float80): boolean {
  ctx.c1 = 0
  if (u.kind === SNAN) {
    if (!raiseBefore(ctx, IE)) return false
    u.hi |= 0x40000000
  }
  // An unmasked DE does not stop a load, only arithmetic.
  if (u.isDenormal) ctx.flags |= DE
  pack80(out)
  return true
}

/** A signed integer of at most 32 bits, exactly. */
export function fromInt(value: number, out: Float80): void {
  unpackInt64(u, value >> 31, value)
  pack80(out)
}

/** A signed integer of 64 bits, exactly. */
export function fromInt64(hi: number, lo: number, out: Float80): void {
  unpackInt64(u, hi, lo)
  pack80(out)
}

/** FST m32: the pattern is left in `ctx.lo`. Returns false if nothing may be stored. */
export function store32(ctx: FloatContext, a: Float80): boolean {
  if (!narrow(ctx, a, 24)) return false
  if (u.kind === FINITE) ctx.lo = pack32(u)
  else ctx.lo = (u.sign << 31) | (u.kind === ZERO ? 0 : 0x7f800000 | ((u.hi >>> 8) & 0x7fffff))
  return true
}

/** FST m64: the pattern is left in `ctx.hi` and `ctx.lo`. Returns false if nothing may be stored. */
export function store64(ctx: FloatContext, a: Float80): boolean {
  if (!narrow(ctx, a, 53)) return false
  if (u.kind === FINITE) pack64(ctx, u)
  else if (u.kind === ZERO) {
    ctx.hi = u.sign << 31
    ctx.lo = 0
  } else {
    ctx.hi = (u.sign << 31) | 0x7ff00000 | ((u.hi >>> 11) & 0xfffff)
    ctx.lo = (u.hi << 21) | (u.lo >>> 11)
  }
  return true
}

function narrow(ctx: FloatContext, a: Float80, precision: number): boolean {
  unpack80(u, a)
  ctx.c1 = 0
  if (u.kind === FINITE) {
    const before = ctx.flags
    if (roundNarrow(ctx, u, precision)) return true
    // Nothing is stored, so nothing was inexact.
    ctx.flags = before | (ctx.flags & (OE | UE))
    ctx.c1 = 0
    return false
  }
  if (u.kind === UNSUPPORTED) {
    u.sign = 1
    u.hi = 0xc0000000 | 0
    u.lo = 0
    return raiseBefore(ctx, IE)
  }
  const isSignalling = u.kind === SNAN
  if (u.kind >= QNAN) u.hi |= 0x40000000
  return !isSignalling || raiseBefore(ctx, IE)
}

/**
 * FIST and FISTTP: converts to a signed integer of `bits` 16, 32 or 64, left in `ctx.lo` (and
 * `ctx.hi` for 64). What does not fit raises IE and gives the least integer, the "integer
 * indefinite". Returns false if nothing may be stored.
 */
export function storeInt(ctx: FloatContext, a: Float80, bits: number, rounding: number): boolean {
  unpack80(u, a)
  ctx.c1 = 0
  if (u.kind === ZERO) {
    ctx.hi = 0
    ctx.lo = 0
    return true
  }
  if (u.kind !== FINITE || u.exp > bits - 1) return storeIndefinite(ctx, bits)
  const inexact = roundToInteger(u, rounding)
  if (!fits(bits)) return storeIndefinite(ctx, bits)
  ctx.lo = u.sign !== 0 ? -u.lo | 0 : u.lo
  ctx.hi = u.sign !== 0 ? (~u.hi + (u.lo === 0 ? 1 : 0)) | 0 : u.hi
  if (inexact !== EXACT) ctx.flags |= PE
  ctx.c1 = inexact === ROUNDED_UP ? 1 : 0
  return true
}

// Whether the magnitude in u.hi:u.lo, with its sign, is a signed integer of so many bits.
function fits(bits: number): boolean {
  const isLeast = u.sign !== 0
  if (bits === 64) return u.hi >= 0 || (isLeast && u.hi === (0x80000000 | 0) && u.lo === 0)
  const limit = bits === 32 ? 0x80000000 : 0x8000
  const magnitude = u.lo >>> 0
  return u.hi === 0 && (magnitude < limit || (isLeast && magnitude === limit))
}

function storeIndefinite(ctx: FloatContext, bits: number): boolean {
  ctx.hi = bits === 64 ? 0x80000000 | 0 : -1
  ctx.lo = bits === 64 ? 0 : bits === 32 ? 0x80000000 | 0 : -0x8000
  return raiseBefore(ctx, IE)
}

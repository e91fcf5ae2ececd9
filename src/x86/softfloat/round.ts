// Rounding a finite result into a format, with overflow and underflow as x87 and SSE report them.
// (Intel SDM vol. 1, 4.9.1.4-4.9.1.6, 8.5.4-8.5.6, 10.2.3.3; tininess is found after rounding.)

import {
  type FloatContext,
  type Float80,
  OE,
  PE,
  RC_DOWN,
  RC_NEAREST,
  RC_UP,
  UE,
} from './context.ts'
import { Unpacked } from './unpacked.ts'

/** The result was exact. */
export const EXACT = 0
/** The result was inexact and its magnitude was cut. */
export const ROUNDED_DOWN = 1
/** The result was inexact and its magnitude grew. */
export const ROUNDED_UP = 2

// By this much x87 changes the exponent of a result whose overflow or underflow is not masked.
const BIAS_ADJUSTMENT = 24576

const trial = new Unpacked()

/**
 * Rounds the significand to its upper `precision` (24, 53 or 64) bits. A carry out of the top
 * raises the exponent. Returns EXACT, ROUNDED_DOWN or ROUNDED_UP.
 */
export function roundSignificand(u: Unpacked, precision: number, rounding: number): number {
  const { ex, lo } = u
  const away = rounding === (u.sign !== 0 ? RC_DOWN : RC_UP)
  if (precision === 64) {
    if (ex === 0) return EXACT
    u.ex = 0
    const tie = ex === (0x80000000 | 0)
    if (rounding === RC_NEAREST ? ex >= 0 || (tie && (lo & 1) === 0) : !away) return ROUNDED_DOWN
    u.lo = (lo + 1) | 0
    if (u.lo === 0) carry(u, 1)
    return ROUNDED_UP
  }
  u.ex = 0
  if (precision === 53) {
    const cut = lo & 0x7ff
    if ((cut | ex) === 0) return EXACT
    u.lo = lo & ~0x7ff
    const isDown = cut < 0x400 || (cut === 0x400 && ex === 0 && (lo & 0x800) === 0)
    if (rounding === RC_NEAREST ? isDown : !away) return ROUNDED_DOWN
    u.lo = (u.lo + 0x800) | 0
    if (u.lo === 0) carry(u, 1)
    return ROUNDED_UP
  }
  const cut = u.hi & 0xff
  const low = lo | ex
  if ((cut | low) === 0) return EXACT
  const isDown = cut < 0x80 || (cut === 0x80 && low === 0 && (u.hi & 0x100) === 0)
  u.hi &= ~0xff
  u.lo = 0
  if (rounding === RC_NEAREST ? isDown : !away) return ROUNDED_DOWN
  carry(u, 0x100)
  return ROUNDED_UP
}

function carry(u: Unpacked, unit: number): void {
  u.hi = (u.hi + unit) | 0
  if (u.hi !== 0) return
  u.hi = 0x80000000 | 0
  u.exp++
}

/** True if the result, rounded as if exponents had no bound, is below the least normal number. */
function isTiny(u: Unpacked, precision: number, minExp: number, rounding: number): boolean {
  if (u.exp < minExp - 1) return true
  if (u.exp >= minExp) return false
  trial.copy(u)
  trial.ex = u.ex
  roundSignificand(trial, precision, rounding)
  return trial.exp < minExp
}

/**
 * Rounds a finite, normalised, non-zero `u` into an x87 register with `precision` bits. Raises
 * OE, UE, PE; with overflow or underflow unmasked the exponent is adjusted by 24576.
 */
export function round80(ctx: FloatContext, u: Unpacked, precision: number, out: Float80): void {
  if (u.exp < -16382) {
    underflow80(ctx, u, precision, out)
    return
  }
  const inexact = roundSignificand(u, precision, ctx.rounding)
  ctx.c1 = inexact === ROUNDED_UP ? 1 : 0
  if (inexact !== EXACT) ctx.flags |= PE
  if (u.exp > 16383) {
    overflow80(ctx, u, precision, out)
    return
  }
  out.set((u.sign << 15) | (u.exp + 16383), u.hi, u.lo)
}

function overflow80(ctx: FloatContext, u: Unpacked, precision: number, out: Float80): void {
  ctx.flags |= OE
  if ((ctx.masks & OE) === 0) {
    const exp = u.exp - BIAS_ADJUSTMENT
    if (exp <= 16383) {
      out.set((u.sign << 15) | (exp + 16383), u.hi, u.lo)
      return
    }
    // "Massive" overflow, by FSCALE only: infinity in every rounding mode.
    ctx.flags |= PE
    ctx.c1 = 1
    out.set((u.sign << 15) | 0x7fff, 0x80000000, 0)
    return
  }
  ctx.flags |= PE
  const toInfinity =
    ctx.rounding === RC_NEAREST || ctx.rounding === (u.sign !== 0 ? RC_DOWN : RC_UP)
  ctx.c1 = toInfinity ? 1 : 0
  if (toInfinity) out.set((u.sign << 15) | 0x7fff, 0x80000000, 0)
  else if (precision === 64) out.set((u.sign << 15) | 0x7ffe, -1, -1)
  else if (precision === 53) out.set((u.sign << 15) | 0x7ffe, -1, ~0x7ff)
  else out.set((u.sign << 15) | 0x7ffe, ~0xff, 0)
}

function underflow80(ctx: FloatContext, u: Unpacked, precision: number, out: Float80): void {
  const tiny = isTiny(u, precision, -16382, ctx.rounding)
  if (tiny && (ctx.masks & UE) === 0) {
    ctx.flags |= UE
    if (u.exp + BIAS_ADJUSTMENT >= -16382) {
      u.exp += BIAS_ADJUSTMENT
      const inexact = roundSignificand(u, precision, ctx.rounding)
      ctx.c1 = inexact === ROUNDED_UP ? 1 : 0
      if (inexact !== EXACT) ctx.flags |= PE
      out.set((u.sign << 15) | (u.exp + 16383), u.hi, u.lo)
      return
    }
    // "Massive" underflow, by FSCALE only: zero in every rounding mode.
    ctx.flags |= PE
    ctx.c1 = 0
    out.set(u.sign << 15, 0, 0)
    return
  }
  u.shiftRight(-16382 - u.exp)
  const inexact = roundSignificand(u, precision, ctx.rounding)
  ctx.c1 = inexact === ROUNDED_UP ? 1 : 0
  if (inexact !== EXACT) ctx.flags |= tiny ? UE | PE : PE
  out.set((u.sign << 15) | (u.hi < 0 ? 1 : 0), u.hi, u.lo)
}

/** The largest exponents, and the least of normal numbers, of binary32 and binary64. */
const MAX_EXP_32 = 127
const MAX_EXP_64 = 1023

/**
 * Rounds a finite, normalised, non-zero `u` in place to `precision` 24 (binary32) or 53 (binary64)
 * with that format's range, ready for `pack32` or `pack64`: an `exp` above the format's maximum
 * then stands for infinity, and a clear top bit of `hi` for a denormal or zero. Raises OE, UE, PE,
 * sets C1. Returns false if overflow or underflow happened and is not masked.
 */
export function roundNarrow(ctx: FloatContext, u: Unpacked, precision: number): boolean {
  const maxExp = precision === 24 ? MAX_EXP_32 : MAX_EXP_64
  const minExp = 1 - maxExp
  if (u.exp < minExp) return underflowNarrow(ctx, u, precision, minExp)
  const inexact = roundSignificand(u, precision, ctx.rounding)
  ctx.c1 = inexact === ROUNDED_UP ? 1 : 0
  if (inexact !== EXACT) ctx.flags |= PE
  if (u.exp <= maxExp) return true
  ctx.flags |= OE
  if ((ctx.masks & OE) === 0) return false
  ctx.flags |= PE
  const toInfinity =
    ctx.rounding === RC_NEAREST || ctx.rounding === (u.sign !== 0 ? RC_DOWN : RC_UP)
  ctx.c1 = toInfinity ? 1 : 0
  u.exp = toInfinity ? maxExp + 1 : maxExp
  u.hi = toInfinity ? 0x80000000 | 0 : precision === 24 ? ~0xff : -1
  u.lo = toInfinity || precision === 24 ? 0 : ~0x7ff
  return true
}

function underflowNarrow(
  ctx: FloatContext,
  u: Unpacked,
  precision: number,
  minExp: number,
): boolean {
  const tiny = isTiny(u, precision, minExp, ctx.rounding)
  if (tiny && (ctx.masks & UE) === 0) {
    ctx.flags |= UE
    const inexact = roundSignificand(u, precision, ctx.rounding)
    if (inexact !== EXACT) ctx.flags |= PE
    return false
  }
  if (tiny && ctx.ftz) {
    ctx.flags |= UE | PE
    u.hi = 0
    u.lo = 0
    u.exp = minExp
    return true
  }
  u.shiftRight(minExp - u.exp)
  u.exp = minExp
  const inexact = roundSignificand(u, precision, ctx.rounding)
  ctx.c1 = inexact === ROUNDED_UP ? 1 : 0
  if (inexact !== EXACT) ctx.flags |= tiny ? UE | PE : PE
  return true
}

/** The binary32 pattern of what `roundNarrow` left. */
export function pack32(u: Unpacked): number {
  const biased = u.hi < 0 ? u.exp + 127 : 0
  return (u.sign << 31) | (biased << 23) | ((u.hi >>> 8) & 0x7fffff)
}

/** The binary64 pattern of what `roundNarrow` left, into `ctx.hi` and `ctx.lo`. */
export function pack64(ctx: FloatContext, u: Unpacked): void {
  const biased = u.hi < 0 ? u.exp + 1023 : 0
  ctx.hi = (u.sign << 31) | (biased << 20) | ((u.hi >>> 11) & 0xfffff)
  ctx.lo = (u.hi << 21) | (u.lo >>> 11)
}

/**
 * Rounds to an integer: afterwards hi:lo is the magnitude. The exponent must be at most 63.
 * Returns EXACT, ROUNDED_DOWN or ROUNDED_UP. Sets no flags.
 */
export function roundToInteger(u: Unpacked, rounding: number): number {
  u.shiftRight(63 - u.exp)
  u.exp = 63
  return roundSignificand(u, 64, rounding)
}

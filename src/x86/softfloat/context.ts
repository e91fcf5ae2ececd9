// What every exact floating-point operation reads and writes: the rounding and precision control,
// the exception masks, and the flags raised. (Intel SDM vol. 1, 4.8-4.9, 8.1, 10.2.3.)
//
// How to call: keep one FloatContext per virtual processor. Before an instruction call
// `setControlWord` (x87) or `setMxcsr` (SSE) and clear `flags`; call the operation; then OR `flags`
// into the status word or MXCSR. An exception is pending when `flags & ~masks` is not zero.
//
// - x87 operations take and fill Float80 objects. They return false, and leave the destination,
//   when an unmasked exception forbids the result to be stored (then do not push or pop either).
// - binary32 values are 32-bit patterns in a number. A binary64 or a 64-bit integer is two such
//   words, high first; results of that kind are left in `hi` and `lo` of the context.
// - SSE operations work on one element and always return; an instruction on several ends with
//   `settlePacked` (sse-operands.ts), which tells whether its results are to be stored.
// - Words may be given signed or unsigned; results are signed (`| 0`), as WebAssembly's i32.

/** Invalid operation. The six exceptions have the same bits in the status word and in MXCSR. */
export const IE = 0x01
/** Denormal operand. */
export const DE = 0x02
/** Division of a finite number by zero. */
export const ZE = 0x04
/** Overflow. */
export const OE = 0x08
/** Underflow. */
export const UE = 0x10
/** Inexact result ("precision"). */
export const PE = 0x20

/** Rounding control: to nearest, ties to even. */
export const RC_NEAREST = 0
/** Rounding control: towards minus infinity. */
export const RC_DOWN = 1
/** Rounding control: towards plus infinity. */
export const RC_UP = 2
/** Rounding control: towards zero. */
export const RC_ZERO = 3

/** Control and results of floating-point operations; see the head of this file. */
export class FloatContext {
  /** One of RC_NEAREST, RC_DOWN, RC_UP, RC_ZERO. */
  rounding = RC_NEAREST
  /** Bits of significand that x87 add, subtract, multiply, divide and square root round to. */
  precision = 64
  /** Exceptions that are masked: a set bit means no trap, as in the control registers. */
  masks = 0x3f
  /** SSE: denormal operands are read as zeros of their sign. */
  daz = false
  /** SSE: tiny results become zeros of their sign while underflow is masked. */
  ftz = false
  /** Exceptions raised since the caller cleared it. */
  flags = 0
  /** x87 condition code C1 of the last operation: 1 if its result was rounded up in magnitude. */
  c1 = 0
  /** High word of a binary64 or 64-bit integer result. */
  hi = 0
  /** Low word of a binary64 or 64-bit integer result. */
  lo = 0

  /** Takes masks, precision and rounding from the x87 control word (FCW). */
  setControlWord(controlWord: number): void {
    this.masks = controlWord & 0x3f
    const precision = (controlWord >> 8) & 3
    this.precision = precision === 0 ? 24 : precision === 2 ? 53 : 64
    this.rounding = (controlWord >> 10) & 3
  }

  /** Takes masks, rounding, DAZ and FTZ from MXCSR. */
  setMxcsr(mxcsr: number): void {
    this.masks = (mxcsr >> 7) & 0x3f
    this.rounding = (mxcsr >> 13) & 3
    this.daz = (mxcsr & 0x40) !== 0
    this.ftz = (mxcsr & 0x8000) !== 0
  }
}

/** An x87 register: sign and biased exponent in 16 bits, and the significand in two words. */
export class Float80 {
  /** Bit 15 the sign, bits 14:0 the biased exponent. */
  se = 0
  /** Bits 63:32 of the significand; bit 31 is the integer bit. */
  hi = 0
  /** Bits 31:0 of the significand. */
  lo = 0
  /**
   * Set by `widen32` and `widen64` when the memory operand was denormal: an extended number has
   * room for it, but arithmetic still has to raise DE.
   */
  wasDenormal = false

  /** Sets the value and returns this. */
  set(se: number, hi: number, lo: number): this {
    this.se = se
    this.hi = hi | 0
    this.lo = lo | 0
    this.wasDenormal = false
    return this
  }

  /** Copies another register and returns this. */
  copy(from: Float80): this {
    return this.set(from.se, from.hi, from.lo)
  }
}

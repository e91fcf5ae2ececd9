// x87: FPREM and FPREM1, the exact remainder, which may take several rounds. (Intel SDM vol. 2A.)
// The manual leaves open by how much a round that cannot finish reduces the exponent (32 to 63):
// as measured on AMD processors, 32 + (difference of the exponents modulo 32).

import { setFromInteger, significand } from './big-significand.ts'
import type { FloatContext, Float80 } from './context.ts'
import { round80 } from './round.ts'
import { FINITE, INFINITE, QNAN, Unpacked, unpack80, ZERO } from './unpacked.ts'
import { invalid80, propagateNaNs, raiseDenormal } from './x87-nan.ts'

const C0 = 0x0100
const C2 = 0x0400
const C3 = 0x4000

const x = new Unpacked()
const y = new Unpacked()

/**
 * FPREM (quotient truncated) or, with `nearest`, FPREM1: out = a - quotient * b. Returns C0, C2 and
 * C3 at their places in the status word; C1 is in `ctx.c1`. C2 says that another round is needed,
 * else C0, C3, C1 are bits 2, 1 and 0 of the quotient. If an unmasked exception keeps the
 * result from being stored, `out` is left as it was and the codes are zero.
 */
export function remainder80(
  ctx: FloatContext,
  a: Float80,
  b: Float80,
  nearest: boolean,
  out: Float80,
): number {
  unpack80(x, a)
  unpack80(y, b)
  ctx.c1 = 0
  if (x.kind >= QNAN || y.kind >= QNAN) {
    propagateNaNs(ctx, x, y, out)
    return 0
  }
  if (x.kind === INFINITE || y.kind === ZERO) {
    invalid80(ctx, out)
    return 0
  }
  if (!raiseDenormal(ctx, x, y)) return 0
  if (x.kind === ZERO) {
    out.copy(a)
    return 0
  }
  const difference = y.kind === FINITE ? x.exp - y.exp : -2
  if (difference < -1 || (difference === -1 && !nearest)) {
    round80(ctx, x, 64, out)
    return 0
  }
  const isPartial = difference >= 64
  const reduced = isPartial ? 32 + (difference & 31) : difference
  // In units of the last place of the divisor (of half that, if the dividend is smaller).
  const unit = y.exp - (difference < 0 ? 1 : 0)
  const divisor = significand(y) << (difference < 0 ? 1n : 0n)
  const dividend = significand(x) << BigInt(Math.max(reduced, 0))
  let quotient = dividend / divisor
  let rest = dividend - quotient * divisor
  let sign = x.sign
  if (nearest && !isPartial) {
    const twice = rest << 1n
    if (twice > divisor || (twice === divisor && (quotient & 1n) === 1n)) {
      quotient++
      rest = divisor - rest
      sign ^= 1
    }
  }
  put(ctx, rest, rest === 0n ? x.sign : sign, unit + (isPartial ? difference - reduced : 0), out)
  if (isPartial) return C2
  const low = Number(quotient & 7n)
  ctx.c1 = low & 1
  return (low & 4 ? C0 : 0) | (low & 2 ? C3 : 0)
}

// Stores rest * 2^(exp - 63), which an x87 register holds exactly.
function put(ctx: FloatContext, rest: bigint, sign: number, exp: number, out: Float80): void {
  if (rest === 0n) {
    out.set(sign << 15, 0, 0)
    return
  }
  setFromInteger(x, sign, rest, exp - 63)
  round80(ctx, x, 64, out)
}

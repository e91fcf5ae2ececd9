// x87: FBLD and FBSTP, packed decimal integers of 18 digits in ten bytes: two digits a byte, least
// first, and the sign in the top bit of the last byte. (Intel SDM vol. 1, 4.7.)

import { type FloatContext, type Float80, IE, PE } from './context.ts'
import { EXACT, ROUNDED_UP, roundToInteger } from './round.ts'
import { FINITE, Unpacked, unpack80, unpackInt64, ZERO } from './unpacked.ts'
import { raiseBefore } from './x87-nan.ts'

const LIMIT = 10n ** 18n

const u = new Unpacked()

/**
 * FBLD: the value of ten bytes. A digit above nine, which the manual leaves undefined, counts what
 * it is worth.
 */
export function loadDecimal(bytes: Uint8Array, out: Float80): void {
  let value = 0n
  for (let i = 8; i >= 0; i--) {
    const byte = bytes[i] as number
    value = value * 100n + BigInt((byte >> 4) * 10 + (byte & 15))
  }
  unpackInt64(u, Number(value >> 32n), Number(value & 0xffffffffn))
  const sign = ((bytes[9] as number) & 0x80) << 8
  if (u.kind === ZERO) out.set(sign, 0, 0)
  else out.set(sign | (u.exp + 16383), u.hi, u.lo)
}

/**
 * FBSTP: rounds to an integer and writes ten bytes. What does not fit raises IE and gives the
 * "decimal indefinite". Returns false, and leaves `bytes`, if nothing may be stored.
 */
export function storeDecimal(ctx: FloatContext, a: Float80, bytes: Uint8Array): boolean {
  unpack80(u, a)
  ctx.c1 = 0
  if (u.kind !== ZERO && (u.kind !== FINITE || u.exp > 62)) return storeIndefinite(ctx, bytes)
  const inexact = u.kind === ZERO ? EXACT : roundToInteger(u, ctx.rounding)
  let value = (BigInt(u.hi >>> 0) << 32n) | BigInt(u.lo >>> 0)
  if (value >= LIMIT) return storeIndefinite(ctx, bytes)
  if (inexact !== EXACT) ctx.flags |= PE
  ctx.c1 = inexact === ROUNDED_UP ? 1 : 0
  for (let i = 0; i < 9; i++) {
    const pair = Number(value % 100n)
    bytes[i] = (Math.trunc(pair / 10) << 4) | (pair % 10)
    value /= 100n
  }
  bytes[9] = u.sign << 7
  return true
}

function storeIndefinite(ctx: FloatContext, bytes: Uint8Array): boolean {
  if (!raiseBefore(ctx, IE)) return false
  bytes.fill(0, 0, 7)
  bytes[7] = 0xc0
  bytes[8] = 0xff
  bytes[9] = 0xff
  return true
}

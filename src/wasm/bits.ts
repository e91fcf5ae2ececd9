// What is known of the high bits of a value without looking far: loads, comparisons, masks and
// shifts by constants leave zeros there.

import { CONST, LOAD, PURE, type Value } from './value.ts'

/** How many low bits of an integer may be set; all above are zero. */
export function significantBits(value: Value): number {
  const width = value.type === 'i64' ? 64 : 32
  const what = value.instruction
  if (value.kind === CONST) return bitLength(value.constant as number | bigint)
  if (value.kind === LOAD) return what?.name.endsWith('_u') ? what.size * 8 : width
  if (value.kind !== PURE || !what || !value.a) return width
  const constant = value.b?.constant
  switch (what.code) {
    case 0xad: // i64.extend_i32_u
      return significantBits(value.a)
    case 0x71: // i32.and
    case 0x83:
      return constant === undefined ? width : bitLength(constant)
    case 0x76: // i32.shr_u
      return constant === undefined ? width : 32 - (Number(constant) & 31)
    case 0x88:
      return constant === undefined ? width : 64 - Number((constant as bigint) & 63n)
  }
  return what.code >= 0x45 && what.code <= 0x66 ? 1 : width
}

/** Whether the mask leaves every value of so many bits as it is. */
export function keepsBits(mask: number | bigint, bits: number): boolean {
  if (typeof mask === 'number') return bits === 32 ? mask === -1 : (~mask & ((1 << bits) - 1)) === 0
  return BigInt.asUintN(bits, ~mask) === 0n
}

/** The bits of an unsigned number up to its highest one. */
function bitLength(n: number | bigint): number {
  if (typeof n === 'number') return 32 - Math.clz32(n)
  const high = Number(BigInt.asUintN(32, n >> 32n))
  return high === 0 ? 32 - Math.clz32(Number(BigInt.asUintN(32, n))) : 64 - Math.clz32(high)
}

// SSE: MIN, MAX, (U)COMIS and the 32 predicates of CMP and VCMP, on one element.
// (Intel SDM vol. 2A, CMPPD table 3-1; vol. 2A MINSS: a NaN or two zeros give the second operand.)

import { DE, type FloatContext, IE } from './context.ts'
import { loadPair32, loadPair64, x, y } from './sse-operands.ts'
import { QNAN, SNAN, type Unpacked, ZERO } from './unpacked.ts'
import { EQUAL, GREATER, LESS, order, UNORDERED } from './x87-compare.ts'

function compare(ctx: FloatContext, isSignalling: boolean): number {
  if (x.kind >= QNAN || y.kind >= QNAN) {
    if (isSignalling || x.kind === SNAN || y.kind === SNAN) ctx.flags |= IE
    return UNORDERED
  }
  if (x.isDenormal || y.isDenormal) ctx.flags |= DE
  return order(x, y)
}

/**
 * COMISS (`signalling`) and UCOMISS: CF (1), PF (4) and ZF (0x40) of EFLAGS, which are to be set
 * unless an exception is unmasked.
 */
export function compare32(ctx: FloatContext, a: number, b: number, signalling: boolean): number {
  loadPair32(ctx, a, b)
  return compare(ctx, signalling)
}

/** COMISD (`signalling`) and UCOMISD; see `compare32`. */
export function compare64(
  ctx: FloatContext,
  aHi: number,
  aLo: number,
  bHi: number,
  bLo: number,
  signalling: boolean,
): number {
  loadPair64(ctx, aHi, aLo, bHi, bLo)
  return compare(ctx, signalling)
}

// For each predicate the relations for which it holds: 1 less, 2 equal, 4 greater, 8 unordered.
const HOLDS = [2, 1, 3, 8, 13, 14, 12, 7, 10, 9, 11, 0, 5, 6, 4, 15] as const

/** CMPSS and VCMPSS: whether predicate 0-31 holds. */
export function predicate32(ctx: FloatContext, a: number, b: number, predicate: number): boolean {
  loadPair32(ctx, a, b)
  return holds(ctx, predicate)
}

/** CMPSD and VCMPSD: whether predicate 0-31 holds. */
export function predicate64(
  ctx: FloatContext,
  aHi: number,
  aLo: number,
  bHi: number,
  bLo: number,
  predicate: number,
): boolean {
  loadPair64(ctx, aHi, aLo, bHi, bLo)
  return holds(ctx, predicate)
}

function holds(ctx: FloatContext, predicate: number): boolean {
  const lowBits = predicate & 3
  const isOrdering = lowBits === 1 || lowBits === 2
  const relation = compare(ctx, isOrdering !== predicate >= 16)
  const bit = relation === LESS ? 1 : relation === EQUAL ? 2 : relation === GREATER ? 4 : 8
  return ((HOLDS[predicate & 15] as number) & bit) !== 0
}

/** MINSS (`sign` 0) and MAXSS (1). */
export function select32(ctx: FloatContext, a: number, b: number, sign: 0 | 1): number {
  loadPair32(ctx, a, b)
  if (takesFirst(ctx, sign)) return isFlushed(x) ? a & 0x80000000 : a | 0
  return isFlushed(y) ? b & 0x80000000 : b | 0
}

/** MINSD (`sign` 0) and MAXSD (1), into `ctx.hi` and `ctx.lo`. */
export function select64(
  ctx: FloatContext,
  aHi: number,
  aLo: number,
  bHi: number,
  bLo: number,
  sign: 0 | 1,
): void {
  loadPair64(ctx, aHi, aLo, bHi, bLo)
  const first = takesFirst(ctx, sign)
  const flushed = isFlushed(first ? x : y)
  const hi = first ? aHi : bHi
  ctx.hi = flushed ? hi & 0x80000000 : hi | 0
  ctx.lo = flushed ? 0 : (first ? aLo : bLo) | 0
}

function takesFirst(ctx: FloatContext, sign: 0 | 1): boolean {
  return compare(ctx, true) === (sign === 0 ? LESS : GREATER)
}

// A zero, or a denormal that DAZ made one.
function isFlushed(u: Unpacked): boolean {
  return u.kind === ZERO
}

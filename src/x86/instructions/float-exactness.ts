// Whether a result is exact, found with a few operations: then it needs no PE, and WebAssembly's
// result is right although PE is still clear. (Programs that only compute integers in floating
// point never set it.) No is not always true: then softfloat finds out.

import type { Value } from '../../wasm/value.ts'
import type { FloatLanes } from './float-lanes.ts'

const SIGNIFICAND_BITS = { 32: 24, 64: 53 } as const

/** The error of a rounded sum is a number itself (Knuth, TAOCP vol. 2, 4.2.2, theorem B). */
function isExactSum(lanes: FloatLanes, a: Value, b: Value, r: Value, isDifference: boolean): Value {
  const other = lanes.compute('sub', r, a)
  const errorOfA = lanes.compute('sub', a, lanes.compute('sub', r, other))
  const errorOfB = isDifference ? lanes.compute('add', b, other) : lanes.compute('sub', b, other)
  // The two errors cancel, or are both zero.
  const isRounded = lanes.compute('ne', errorOfA, isDifference ? errorOfB : lanes.negated(errorOfB))
  return lanes.f.eqz(lanes.any(isRounded))
}

/** i32: a product of so many significant bits fits. Only for scalars. */
function fits(lanes: FloatLanes, a: Value, b: Value): Value {
  const { f, bits } = lanes
  const width = SIGNIFICAND_BITS[bits]
  const one = lanes.pattern(1n << BigInt(width - 1))
  const zeros = f.add(f.ctz(f.or(a, one)), f.ctz(f.or(b, one)))
  return f.geU(bits === 64 ? f.wrap(zeros) : zeros, f.i32(width))
}

/** i32: r, rounded from `a op b`, is exact. Nothing is denormal, infinite or NaN. */
export function isExact(
  lanes: FloatLanes,
  op: 'add' | 'sub' | 'mul' | 'div',
  a: Value,
  b: Value,
  r: Value,
): Value {
  const { f } = lanes
  if (op === 'add' || op === 'sub') return isExactSum(lanes, a, b, r, op === 'sub')
  if (!lanes.isScalar) return f.i32(0)
  if (op === 'mul') return fits(lanes, a, b)
  return f.and(fits(lanes, r, b), lanes.compute('eq', lanes.compute('mul', r, b), a))
}

/** i32: r, rounded from the square root of a, is exact. */
export function isExactRoot(lanes: FloatLanes, a: Value, r: Value): Value {
  const { f } = lanes
  if (!lanes.isScalar) return f.i32(0)
  return f.and(fits(lanes, r, r), lanes.compute('eq', lanes.compute('mul', r, r), a))
}

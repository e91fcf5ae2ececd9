// Constants: nodes that belong to no function and are emitted at each use.

import { Bug } from '../base/errors.ts'
import { CONST, type Scope, Value } from './value.ts'

const NOWHERE: Scope = {
  parent: undefined,
  owner: undefined,
  level: 0,
  depth: 0,
  loop: undefined,
  end: 0,
  isOpen: true,
  isTarget: false,
}

const scratch = new DataView(new ArrayBuffer(8))

const SMALLEST = -128
const small32: (Value | undefined)[] = []
const small64: (Value | undefined)[] = []

export function constantI32(value: number): Value {
  const n = value | 0
  const slot = n - SMALLEST
  if (slot < 0 || slot > 0x200) return new Value(CONST, 'i32', NOWHERE, undefined, n)
  return (small32[slot] ??= new Value(CONST, 'i32', NOWHERE, undefined, n))
}

export function constantI64(value: bigint | number): Value {
  const n = Number(value)
  const slot = n - SMALLEST
  if (slot >= 0 && slot <= 0x200 && Number.isInteger(n)) {
    return (small64[slot] ??= new Value(CONST, 'i64', NOWHERE, undefined, BigInt(n)))
  }
  return new Value(CONST, 'i64', NOWHERE, undefined, BigInt.asIntN(64, BigInt(value)))
}

/** An f32 by its 32 bits: keeps the payload of a signalling NaN. */
export function constantF32Bits(bits: number): Value {
  scratch.setInt32(0, bits, true)
  const value = new Value(CONST, 'f32', NOWHERE, undefined, scratch.getFloat32(0, true))
  value.immediate = bits | 0
  return value
}

export function constantF32(n: number): Value {
  scratch.setFloat32(0, n, true)
  return constantF32Bits(scratch.getInt32(0, true))
}

/** An f64 by its 64 bits: keeps the payload of a signalling NaN. */
export function constantF64Bits(bits: bigint): Value {
  scratch.setBigInt64(0, BigInt.asIntN(64, bits), true)
  return f64InScratch()
}

export function constantF64(n: number): Value {
  scratch.setFloat64(0, n, true)
  return f64InScratch()
}

function f64InScratch(): Value {
  const value = new Value(CONST, 'f64', NOWHERE, undefined, scratch.getFloat64(0, true))
  value.immediate = scratch.getInt32(0, true)
  value.immediate2 = scratch.getInt32(4, true)
  return value
}

export function constantV128(bytes: Uint8Array): Value {
  if (bytes.length !== 16) throw new Bug(`a v128 has 16 bytes, not ${bytes.length}`)
  const value = new Value(CONST, 'v128', NOWHERE, undefined, undefined)
  value.list = bytes.slice()
  return value
}

// Shifts of packed integers, by a count in a register, in memory or in the instruction. A count
// beyond the element gives zero, or copies of the sign. (SDM vol. 2: PSLL* PSRA* PSRL* PSLLDQ PSRLDQ.)

import type { PureOp } from '../../wasm/opcodes.ts'
import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import {
  constantOf,
  defineMmx,
  readMmx,
  readVector,
  toScalar,
  writeMmx,
  writeVector,
  zeroVector,
} from './vector-operands.ts'

interface Shift {
  readonly name: string
  /** Last opcode byte of the form with a count in a register or memory. */
  readonly opcode: string
  /** Last opcode byte and ModRM.reg of the form with an immediate. */
  readonly immediate: readonly [opcode: string, digit: number]
  readonly bits: 16 | 32 | 64
  readonly op: PureOp
}

const shift = (
  name: string,
  opcode: string,
  immediate: readonly [string, number],
  bits: 16 | 32 | 64,
  op: PureOp,
): Shift => ({ name, opcode, immediate, bits, op })

export const PACKED_SHIFTS: readonly Shift[] = [
  shift('PSRLW', 'D1', ['71', 2], 16, 'i16x8.shr_u'),
  shift('PSRAW', 'E1', ['71', 4], 16, 'i16x8.shr_s'),
  shift('PSLLW', 'F1', ['71', 6], 16, 'i16x8.shl'),
  shift('PSRLD', 'D2', ['72', 2], 32, 'i32x4.shr_u'),
  shift('PSRAD', 'E2', ['72', 4], 32, 'i32x4.shr_s'),
  shift('PSLLD', 'F2', ['72', 6], 32, 'i32x4.shl'),
  shift('PSRLQ', 'D3', ['73', 2], 64, 'i64x2.shr_u'),
  shift('PSLLQ', 'F3', ['73', 6], 64, 'i64x2.shl'),
]

/** The elements of `a` shifted by `count`, an unsigned i64. */
export function shifted(e: Emitter, { op, bits }: Shift, a: Value, count: Value): Value {
  const { f } = e
  const isBeyond = f.gtU(count, f.i64(bits - 1))
  if (op.endsWith('shr_s')) {
    return f.op(op, a, f.wrap(f.select(isBeyond, f.i64(bits - 1), count)))
  }
  return f.select(isBeyond, zeroVector(f), f.op(op, a, f.wrap(count)))
}

for (const row of PACKED_SHIFTS) {
  const { name, opcode, immediate } = row
  const group = `0F ${immediate[0]} /${immediate[1]}`
  define(name, [`66 0F ${opcode} /r Vx,Wx sse align +sse2`], (e, dst, src) => {
    const count = toScalar(e.f, readVector(e, src), 64)
    e.write(dst, shifted(e, row, e.read(dst), count))
  })
  define(name, [`66 ${group} Ux,Ib sse +sse2`], (e, dst, count) =>
    e.write(dst, shifted(e, row, e.read(dst), e.f.extendU(e.read(count)))),
  )
  defineMmx(name, [`NP 0F ${opcode} /r Pq,Qq mmx +mmx`], (e, dst, src) => {
    const count = e.read(src)
    writeMmx(e, dst, shifted(e, row, readMmx(e, dst), count))
  })
  defineMmx(name, [`NP ${group} Nq,Ib mmx +mmx`], (e, dst, count) =>
    writeMmx(e, dst, shifted(e, row, readMmx(e, dst), e.f.extendU(e.read(count)))),
  )
}

/** `a` shifted by bytes to the right (left if `count` is negative); zeros come in. */
export function shiftedBytes(e: Emitter, a: Value, count: Value): Value {
  const { f } = e
  // Lanes outside of 0 to 15 are zero; counts stay within -16 to 32, so that none wraps around.
  const lanes = f.op(
    'i8x16.add',
    constantOf(f, 1, (i) => i),
    f.op('i8x16.splat', count),
  )
  return f.op('i8x16.swizzle', a, lanes)
}

for (const [name, digit, direction] of [
  ['PSRLDQ', 3, 1],
  ['PSLLDQ', 7, -1],
] as const) {
  define(name, [`66 0F 73 /${digit} Ux,Ib sse +sse2`], (e, dst, count) => {
    const { f } = e
    const n = e.read(count)
    const bytes = f.select(f.gtU(n, f.i32(16)), f.i32(16), n)
    const a = e.read(dst)
    writeVector(e, dst, shiftedBytes(e, a, direction === 1 ? bytes : f.neg(bytes)))
  })
}

// AMD's SSE4A: EXTRQ and INSERTQ, which move bit fields within the low halves of XMM registers,
// and MOVNTSS and MOVNTSD. (APM vol. 4.) A field that reaches beyond bit 63 gives undefined
// results by the manual; here it is cut off, as processors do.

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import { fromScalar, sized, toScalar, writeVector } from './vector-operands.ts'

for (const [name, row] of [
  ['MOVNTSS', 'F3 0F 2B /r Md,Vd sse +sse4a'],
  ['MOVNTSD', 'F2 0F 2B /r Mq,Vq sse +sse4a'],
] as const) {
  define(name, [row], (e, dst, src) => e.write(dst, e.read(src)))
}

interface Field {
  /** i64: where it starts, 0 to 63. */
  readonly index: Value
  /** i64: as many ones as it has bits. */
  readonly mask: Value
}

/** A field of `length` bits (0 stands for 64) from bit `index` on; both i32. */
function fieldOf(f: FunctionBuilder, length: Value, index: Value): Field {
  const unused = f.and(f.sub(f.i32(64), length), f.i32(63))
  return {
    index: f.extendU(f.and(index, f.i32(63))),
    mask: f.shrU(f.i64(-1), f.extendU(unused)),
  }
}

const extract = (f: FunctionBuilder, value: Value, { index, mask }: Field) =>
  f.and(f.shrU(value, index), mask)

function insert(f: FunctionBuilder, old: Value, value: Value, { index, mask }: Field): Value {
  const kept = f.and(old, f.not(f.shl(mask, index)))
  return f.or(kept, f.shl(f.and(value, mask), index))
}

/** Writes the low half of a register; processors clear the upper one, by the manual undefined. */
function writeLow(e: Emitter, dst: Operand, value: Value): void {
  writeVector(e, dst, fromScalar(e.f, value))
}

define('EXTRQ', ['66 0F 78 /0:r Uq,Ib,Ib sse +sse4a'], (e, dst, length, index) =>
  writeLow(e, dst, extract(e.f, e.read(dst), fieldOf(e.f, e.read(length), e.read(index)))))

define('EXTRQ', ['66 0F 79 /r Vq,Ux sse +sse4a'], (e, dst, src) => {
  const { f } = e
  const control = toScalar(f, e.read(src), 32)
  const field = fieldOf(f, control, f.shrU(control, f.i32(8)))
  writeLow(e, dst, extract(f, e.read(dst), field))
})

define('INSERTQ', ['F2 0F 78 /r Vq,Uq,Ib,Ib sse +sse4a'], (e, dst, src, length, index) =>
  writeLow(
    e,
    dst,
    insert(e.f, e.read(dst), e.read(src), fieldOf(e.f, e.read(length), e.read(index))),
  ))

define('INSERTQ', ['F2 0F 79 /r Vq,Ux sse +sse4a'], (e, dst, src) => {
  const { f } = e
  const source = e.read(sized(src, 128))
  const control = f.wrap(f.lane('i64x2.extract_lane', 1, source))
  const field = fieldOf(f, control, f.shrU(control, f.i32(8)))
  writeLow(e, dst, insert(f, e.read(dst), toScalar(f, source, 64), field))
})

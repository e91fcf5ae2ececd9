// Moves between XMM registers, memory, general and MMX registers. (SDM vol. 2: LDDQU MASKMOVDQU
// MASKMOVQ MOVAPS MOVAPD MOVD MOVDDUP MOVDQA MOVDQU MOVDQ2Q MOVHLPS MOVHPS MOVLHPS MOVLPS MOVMSKPS
// MOVNT* MOVQ MOVQ2DQ MOVSHDUP MOVSLDUP MOVSS MOVSD MOVUPS PMOVMSKB.) Non-temporal hints are
// ignored; MOVNTI is in moves.ts.

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import * as S from '../state.ts'
import { writeMasked } from './masked-store.ts'
import {
  defineMmx,
  enterMmx,
  fromScalar,
  readMmx,
  readVector,
  sized,
  writeVector,
} from './vector-operands.ts'

// Whole registers.

for (const [name, rows] of [
  ['MOVUPS', ['NP 0F 10 /r Vx,Wx sse +sse', 'NP 0F 11 /r Wx,Vx sse +sse']],
  ['MOVUPD', ['66 0F 10 /r Vx,Wx sse +sse2', '66 0F 11 /r Wx,Vx sse +sse2']],
  ['MOVDQU', ['F3 0F 6F /r Vx,Wx sse +sse2', 'F3 0F 7F /r Wx,Vx sse +sse2']],
  ['MOVAPS', ['NP 0F 28 /r Vx,Wx sse align +sse', 'NP 0F 29 /r Wx,Vx sse align +sse']],
  ['MOVAPD', ['66 0F 28 /r Vx,Wx sse align +sse2', '66 0F 29 /r Wx,Vx sse align +sse2']],
  ['MOVDQA', ['66 0F 6F /r Vx,Wx sse align +sse2', '66 0F 7F /r Wx,Vx sse align +sse2']],
  ['LDDQU', ['F2 0F F0 /r Vx,Mx sse +sse3']],
  ['MOVNTPS', ['NP 0F 2B /r Mx,Vx sse align +sse']],
  ['MOVNTPD', ['66 0F 2B /r Mx,Vx sse align +sse2']],
  ['MOVNTDQ', ['66 0F E7 /r Mx,Vx sse align +sse2']],
  ['MOVNTDQA', ['66 0F 38 2A /r Vx,Mx sse align +sse4_1']],
] as const) {
  define(name, rows, (e, dst, src) => e.write(dst, e.read(src)))
}

// Scalars: loads clear what lies above, moves between registers keep it.

for (const [name, rows] of [
  ['MOVSS', ['F3 0F 10 /r Vss,Wss sse +sse', 'F3 0F 11 /r Wss,Vss sse +sse']],
  ['MOVSD', ['F2 0F 10 /r Vsd,Wsd sse +sse2', 'F2 0F 11 /r Wsd,Vsd sse +sse2']],
] as const) {
  define(name, rows, (e, dst, src) => {
    if (src.kind === 'memory') writeVector(e, dst, readVector(e, src))
    else e.write(dst, e.read(src))
  })
}

/** Moves a scalar, with zeros above it if it goes to an XMM register. */
function moveZeroing(e: Emitter, dst: Operand, src: Operand): void {
  const value = e.read(src)
  if (dst.kind === 'vector') writeVector(e, dst, fromScalar(e.f, value))
  else e.write(dst, value)
}

define('MOVQ', ['F3 0F 7E /r Vq,Wq sse +sse2', '66 0F D6 /r Wq,Vq sse +sse2'], moveZeroing)
define('MOVD', ['66 0F 6E /r Vy,Ey sse +sse2', '66 0F 7E /r Ey,Vy sse +sse2'], moveZeroing)

defineMmx('MOVD', ['NP 0F 6E /r Pq,Ey mmx +mmx'], (e, dst, src) => {
  const value = e.read(src)
  e.write(dst, src.bits === 64 ? value : e.f.extendU(value))
})
defineMmx('MOVD', ['NP 0F 7E /r Ey,Pq mmx +mmx'], (e, dst, src) => {
  const value = e.read(src)
  e.write(dst, dst.bits === 64 ? value : e.f.wrap(value))
})
defineMmx('MOVQ', ['NP 0F 6F /r Pq,Qq mmx +mmx', 'NP 0F 7F /r Qq,Pq mmx +mmx'], (e, dst, src) =>
  e.write(dst, e.read(src)),
)
defineMmx('MOVNTQ', ['NP 0F E7 /r Mq,Pq mmx +sse'], (e, dst, src) => e.write(dst, e.read(src)))
defineMmx('MOVQ2DQ', ['F3 0F D6 /r Vq,Nq sse mmx +sse2'], moveZeroing)
defineMmx('MOVDQ2Q', ['F2 0F D6 /r Pq,Uq sse mmx +sse2'], (e, dst, src) =>
  e.write(dst, e.read(src)),
)

// Halves.

/** Replaces one half of an XMM register. */
function writeHalf(e: Emitter, dst: Operand, half: 0 | 1, value: Value): void {
  const old = e.read(sized(dst, 128))
  writeVector(e, dst, e.f.lane('i64x2.replace_lane', half, old, value))
}

function half(e: Emitter, src: Operand, which: 0 | 1): Value {
  return e.f.lane('i64x2.extract_lane', which, e.read(sized(src, 128)))
}

for (const [suffix, prefix, feature] of [
  ['PS', 'NP', 'sse'],
  ['PD', '66', 'sse2'],
] as const) {
  const move = (e: Emitter, dst: Operand, src: Operand) => e.write(dst, e.read(src))
  const rows = (load: string, store: string) => [
    `${prefix} 0F ${load} /r Vq,Mq sse +${feature}`,
    `${prefix} 0F ${store} /r Mq,Vq sse +${feature}`,
  ]
  define(`MOVLP${suffix.slice(1)}`, rows('12', '13'), move)
  define(`MOVHP${suffix.slice(1)}`, rows('16', '17'), (e, dst, src) => {
    if (dst.kind === 'memory') e.write(dst, half(e, src, 1))
    else writeHalf(e, dst, 1, e.read(src))
  })
}

define('MOVHLPS', ['NP 0F 12 /r Vx,Ux sse +sse'], (e, dst, src) =>
  e.write(sized(dst, 64), half(e, src, 1)))
define('MOVLHPS', ['NP 0F 16 /r Vx,Ux sse +sse'], (e, dst, src) =>
  writeHalf(e, dst, 1, half(e, src, 0)))

define('MOVDDUP', ['F2 0F 12 /r Vx,Wq sse +sse3'], (e, dst, src) =>
  e.write(dst, e.f.op('i64x2.splat', e.read(src))))

const EVEN_SINGLES = [0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]
for (const [name, opcode, offset] of [
  ['MOVSLDUP', '12', 0],
  ['MOVSHDUP', '16', 4],
] as const) {
  define(name, [`F3 0F ${opcode} /r Vx,Wx sse align +sse3`], (e, dst, src) => {
    const a = e.read(src)
    e.write(
      dst,
      e.f.shuffle(
        EVEN_SINGLES.map((lane) => lane + offset),
        a,
        a,
      ),
    )
  })
}

// Signs to general registers.

for (const [name, row, op] of [
  ['MOVMSKPS', 'NP 0F 50 /r Gd,Ux sse +sse', 'i32x4.bitmask'],
  ['MOVMSKPD', '66 0F 50 /r Gd,Ux sse +sse2', 'i64x2.bitmask'],
  ['PMOVMSKB', '66 0F D7 /r Gd,Ux sse +sse2', 'i8x16.bitmask'],
] as const) {
  define(name, [row], (e, dst, src) => e.write(dst, e.f.op(op, e.read(src))))
}
defineMmx('PMOVMSKB', ['NP 0F D7 /r Gd,Nq mmx +sse'], (e, dst, src) => {
  const { f } = e
  e.write(dst, f.and(f.op('i8x16.bitmask', readMmx(e, src)), f.i32(0xff)))
})

// Stores under a mask, to DS:rDI.

/** i64: linear address of `bytes` bytes at rDI, in the data segment. */
function atDestination(e: Emitter, bytes: number): Value {
  const { addressSize } = e.shape
  const offset = e.resize(e.read(e.gpr(S.RDI, addressSize)), addressSize, 64)
  return e.segmented(offset, bytes, true)
}

define('MASKMOVDQU', ['66 0F F7 /r Vx,Ux,Xb sse +sse2'], (e, src, mask) =>
  writeMasked(e, atDestination(e, 16), e.read(src), e.read(mask), 16))
defineMmx('MASKMOVQ', ['NP 0F F7 /r Pq,Nq,Xb mmx +sse'], (e, src, mask) => {
  // Unlike other stores it has entered MMX state when it faults.
  enterMmx(e)
  writeMasked(e, atDestination(e, 8), readMmx(e, src), readMmx(e, mask), 8)
})

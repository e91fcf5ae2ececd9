// Packed integers: the SSE and MMX forms of the tables, and what fits no table.
// (SDM vol. 2; see packed-integer.ts and packed-merge.ts for the names. Here besides: ANDPS ANDNPS
// ORPS XORPS and their PD forms, EMMS PMOVSX* PMOVZX* PTEST.)

import type { PureOp } from '../../wasm/opcodes.ts'
import { define } from '../decode/define.ts'
import * as S from '../state.ts'
import { PACKED_INTEGER, type PackedOperation } from './packed-integer.ts'
import { PACKED_MERGE, UNPACK_LOW } from './packed-merge.ts'
import { defineMmx, enterMmx, readMmx, readVector, writeMmx } from './vector-operands.ts'
import { waitForErrors } from './x87-emit.ts'

function defineOperation(
  { name, opcode, mmx, sse, run }: PackedOperation,
  mmxSource: string,
): void {
  define(name, [`66 ${opcode} /r Vx,Wx sse align +${sse}`], (e, dst, src) => {
    const b = e.read(src)
    e.write(dst, run(e.f, e.read(dst), b, 16))
  })
  if (mmx === '') return
  defineMmx(name, [`NP ${opcode} /r Pq,${mmxSource} mmx +${mmx}`], (e, dst, src) => {
    const b = readMmx(e, src)
    writeMmx(e, dst, run(e.f, readMmx(e, dst), b, 8))
  })
}

for (const operation of PACKED_INTEGER) defineOperation(operation, 'Qq')
for (const operation of PACKED_MERGE) defineOperation(operation, 'Qq')
for (const operation of UNPACK_LOW) defineOperation(operation, 'Qd')

for (const [name, opcode, op] of [
  ['AND', '54', 'v128.and'],
  ['ANDN', '55', 'v128.andnot'],
  ['OR', '56', 'v128.or'],
  ['XOR', '57', 'v128.xor'],
] as const) {
  for (const [suffix, row] of [
    ['PS', `NP 0F ${opcode} /r Vx,Wx sse align +sse`],
    ['PD', `66 0F ${opcode} /r Vx,Wx sse align +sse2`],
  ] as const) {
    define(name + suffix, [row], (e, dst, src) => {
      const b = e.read(src)
      const a = e.read(dst)
      e.write(dst, op === 'v128.andnot' ? e.f.op(op, b, a) : e.f.op(op, a, b))
    })
  }
}

// UNPCK of singles, which lack the 66 prefix of the other unpacking instructions.
for (const [name, opcode] of [
  ['PUNPCKLDQ', '14'],
  ['PUNPCKHDQ', '15'],
] as const) {
  const { run } = [...UNPACK_LOW, ...PACKED_MERGE].find(
    (each) => each.name === name,
  ) as PackedOperation
  const own = opcode === '14' ? 'UNPCKLPS' : 'UNPCKHPS'
  define(own, [`NP 0F ${opcode} /r Vx,Wx sse align +sse`], (e, dst, src) => {
    const b = e.read(src)
    e.write(dst, run(e.f, e.read(dst), b, 16))
  })
}

/** Widening of the lowest elements: the steps from one width to the next. */
const WIDENINGS: readonly [suffix: string, source: string, widths: readonly number[]][] = [
  ['BW', 'q', [8, 16]],
  ['BD', 'd', [8, 16, 32]],
  ['BQ', 'w', [8, 16, 32, 64]],
  ['WD', 'q', [16, 32]],
  ['WQ', 'd', [16, 32, 64]],
  ['DQ', 'q', [32, 64]],
]

for (const [i, [suffix, source, widths]] of WIDENINGS.entries()) {
  for (const [name, opcode, sign] of [
    ['PMOVSX', 0x20 + i, 's'],
    ['PMOVZX', 0x30 + i, 'u'],
  ] as const) {
    const row = `66 0F 38 ${opcode.toString(16)} /r Vx,W${source} sse +sse4_1`
    define(name + suffix, [row], (e, dst, src) => {
      let value = readVector(e, src)
      for (const width of widths.slice(1)) {
        const [to, from] = [`i${width}x${128 / width}`, `i${width / 2}x${256 / width}`]
        value = e.f.op(`${to}.extend_low_${from}_${sign}` as PureOp, value)
      }
      e.write(dst, value)
    })
  }
}

define('PTEST', ['66 0F 38 17 /r Vx,Wx sse align +sse4_1'], (e, dst, src) => {
  const { f } = e
  const b = e.read(src)
  const a = e.read(dst)
  const isNone = (v: typeof a) => f.eqz(f.op('v128.any_true', v))
  const no = f.i32(0)
  const zf = isNone(f.op('v128.and', a, b))
  const cf = isNone(f.op('v128.andnot', b, a))
  e.flags.assign({ cf, pf: no, af: no, zf, sf: no, of: no })
})

define('EMMS', ['NP 0F 77 mmx +mmx'], (e) => {
  waitForErrors(e)
  enterMmx(e)
  e.stateStore('i32.store', S.FTW, e.f.i32(0))
})

// Moves and conversions between general registers and memory.
// (SDM vol. 2: BSWAP CBW/CWDE/CDQE CMOVcc CWD/CDQ/CQO LEA MOV MOVBE MOVNTI MOVSX MOVSXD MOVZX
// NOP PREFETCH SETcc XLAT. MOV to and from segment, control and debug registers: system.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import * as S from '../state.ts'

const hex = (n: number) => n.toString(16).toUpperCase().padStart(2, '0')

define(
  'MOV',
  ['88 /r Eb,Gb', '89 /r Ev,Gv', '8A /r Gb,Eb', '8B /r Gv,Ev', 'C6 /0 Eb,Ib', 'C7 /0 Ev,Iz'].concat(
    ['B0+r Zb,Ib', 'B8+r Zv,Iv', 'A0 AL,Ob', 'A1 rAX,Ov', 'A2 Ob,AL', 'A3 Ov,rAX'],
  ),
  (e, dst, src) => e.write(dst, e.read(src, dst.bits)),
)

define('MOVZX', ['0F B6 /r Gv,Eb', '0F B7 /r Gv,Ew'], (e, dst, src) =>
  e.write(dst, e.resize(e.read(src), src.bits, dst.bits)))

define('MOVSX', ['0F BE /r Gv,Eb', '0F BF /r Gv,Ew'], (e, dst, src) => {
  const wide = e.signExtend(e.read(src), src.bits)
  e.write(dst, dst.bits === 64 ? wide : e.f.wrap(wide))
})

define('MOVSXD', ['63 /r Gv,Ed o64'], (e, dst, src) => {
  const value = e.read(src)
  e.write(dst, dst.bits === 64 ? e.f.extendS(value) : value)
})

define('LEA', ['8D /r Gv,M'], (e, dst) => {
  const address = e.effectiveAddress()
  e.write(dst, dst.bits === 64 ? address : e.f.wrap(address))
})

define('MOVNTI', ['NP 0F C3 /r My,Gy'], (e, dst, src) => e.write(dst, e.read(src)))

define(
  'MOVBE',
  ['NP 0F 38 F0 /r Gv,Mv +movbe', 'NP 0F 38 F1 /r Mv,Gv +movbe'].concat([
    '66 0F 38 F0 /r Gv,Mv +movbe',
    '66 0F 38 F1 /r Mv,Gv +movbe',
  ]),
  (e, dst, src) => e.write(dst, swapped(e, e.read(src), dst.bits)),
)

define('BSWAP', ['0F C8+r Zv'], (e, dst) => {
  // With 16-bit operands the result is undefined; processors give zero.
  const value = e.read(dst)
  e.write(dst, dst.bits === 16 ? e.f.i32(0) : swapped(e, value, dst.bits))
})

/** The value with its bytes in reverse order. */
function swapped(e: Emitter, value: Value, bits: number): Value {
  const { f } = e
  const c = (n: number, wide: bigint) => (bits === 64 ? f.i64(wide) : f.i32(n))
  const shift = (n: number) => e.constant(bits, n)
  const bytes = (v: Value) => {
    const mask = c(0x00ff00ff, 0x00ff00ff00ff00ffn)
    return f.or(f.and(f.shrU(v, shift(8)), mask), f.shl(f.and(v, mask), shift(8)))
  }
  if (bits === 16) return bytes(value)
  if (bits === 32) return f.rotl(bytes(value), f.i32(16))
  const mask = f.i64(0x0000ffff0000ffffn)
  const b = bytes(value)
  const words = f.or(f.and(f.shrU(b, shift(16)), mask), f.shl(f.and(b, mask), shift(16)))
  return f.rotl(words, f.i64(32))
}

/** Rows of an instruction with a condition in the low four bits of its opcode. */
for (let cc = 0; cc < 16; cc++) {
  define('CMOVcc', [`0F ${hex(0x40 + cc)} /r Gv,Ev`], (e, dst, src) => {
    const value = e.read(src)
    // A 32-bit destination is cleared above even when nothing is moved.
    e.write(dst, e.f.select(e.flags.condition(cc), value, e.read(dst)))
  })
  define('SETcc', [`0F ${hex(0x90 + cc)} /r Eb`], (e, dst) => e.write(dst, e.flags.condition(cc)))
}

define('CBW', ['98'], (e) => {
  const bits = e.shape.operandSize
  const half = e.read(e.gpr(S.RAX, (bits / 2) as 8))
  const wide = e.signExtend(half, bits / 2)
  e.write(e.gpr(S.RAX, bits), bits === 64 ? wide : e.f.wrap(wide))
})

define('CWD', ['99'], (e) => {
  const bits = e.shape.operandSize
  const wide = e.signExtend(e.read(e.gpr(S.RAX, bits)), bits)
  const sign = e.f.shrS(wide, e.f.i64(63))
  e.write(e.gpr(S.RDX, bits), bits === 64 ? sign : e.f.wrap(sign))
})

define('XLAT', ['D7 Xb'], (e) => {
  const { f, shape } = e
  const table = e.resize(e.read(e.gpr(S.RBX, shape.addressSize)), shape.addressSize, 64)
  const index = e.resize(e.read(e.gpr(S.RAX, 8)), 8, 64)
  const offset = e.cutAddress(f.add(table, index))
  e.write(e.gpr(S.RAX, 8), e.memory.load(8, e.segmented(offset, 1, false)))
})

define(
  'NOP',
  ['0F 1F /r Ev', '0F 19 /r Ev', '0F 1A /r Ev', '0F 1B /r Ev', '0F 1C /r Ev'].concat([
    '0F 1D /r Ev',
    '0F 1E /r Ev',
  ]),
  () => {},
)

define('PREFETCH', ['0F 18 /r Ev', '0F 0D /r Ev'], () => {})

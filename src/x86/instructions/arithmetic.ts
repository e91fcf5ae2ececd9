// Addition, subtraction, comparison and bitwise logic on general registers and memory.
// (SDM vol. 2: ADC ADD ADCX ADOX AND CMP CMPXCHG DEC INC NEG NOT OR SBB SUB TEST XADD XCHG XOR.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import { type Emitter, GP, type Operand } from '../emit/emitter.ts'
import * as S from '../state.ts'

const hex = (n: number) => n.toString(16).toUpperCase().padStart(2, '0')

/** The nine encodings that the eight classic two-operand instructions share. */
function classicRows(index: number, lock = ' lock'): string[] {
  const op = index * 8
  return [
    `${hex(op)} /r Eb,Gb${lock}`,
    `${hex(op + 1)} /r Ev,Gv${lock}`,
    `${hex(op + 2)} /r Gb,Eb`,
    `${hex(op + 3)} /r Gv,Ev`,
    `${hex(op + 4)} AL,Ib`,
    `${hex(op + 5)} rAX,Iz`,
    `80 /${index} Eb,Ib${lock}`,
    `81 /${index} Ev,Iz${lock}`,
    `82 /${index} Eb,Ib i64${lock}`,
    `83 /${index} Ev,Ib${lock}`,
  ]
}

/** DEST := DEST op SRC, and flags of it. */
function combine(
  e: Emitter,
  dst: Operand,
  src: Operand,
  compute: (a: Value, b: Value) => Value,
  flags: (bits: number, a: Value, b: Value, r: Value) => void,
): void {
  const { bits } = dst
  const b = e.read(src, bits)
  e.modify(dst, (a) => {
    const r = compute(a, b)
    flags(bits, a, b, r)
    return r
  })
}

define('ADD', classicRows(0), (e, dst, src) =>
  combine(
    e,
    dst,
    src,
    (a, b) => e.f.add(a, b),
    (n, a, b, r) => e.flags.add(n, a, b, r),
  ),
)

define('OR', classicRows(1), (e, dst, src) =>
  combine(
    e,
    dst,
    src,
    (a, b) => e.f.or(a, b),
    (n, _a, _b, r) => e.flags.logic(n, r),
  ),
)

/** CF as a value of the operand's width. */
function carryIn(e: Emitter, bits: number): Value {
  return e.resize(e.flags.carry(), 32, bits === 64 ? 64 : 32)
}

define('ADC', classicRows(2), (e, dst, src) => {
  const carry = carryIn(e, dst.bits)
  combine(
    e,
    dst,
    src,
    (a, b) => e.f.add(e.f.add(a, b), carry),
    (n, a, b, r) => e.flags.add(n, a, b, r, true),
  )
})

define('SBB', classicRows(3), (e, dst, src) => {
  const carry = carryIn(e, dst.bits)
  combine(
    e,
    dst,
    src,
    (a, b) => e.f.sub(e.f.sub(a, b), carry),
    (n, a, b, r) => e.flags.sub(n, a, b, r, true),
  )
})

define('AND', classicRows(4), (e, dst, src) =>
  combine(
    e,
    dst,
    src,
    (a, b) => e.f.and(a, b),
    (n, _a, _b, r) => e.flags.logic(n, r),
  ),
)

define('SUB', classicRows(5), (e, dst, src) =>
  combine(
    e,
    dst,
    src,
    (a, b) => e.f.sub(a, b),
    (n, a, b, r) => e.flags.sub(n, a, b, r),
  ),
)

define('XOR', classicRows(6), (e, dst, src) =>
  combine(
    e,
    dst,
    src,
    (a, b) => e.f.xor(a, b),
    (n, _a, _b, r) => e.flags.logic(n, r),
  ),
)

define('CMP', classicRows(7, ''), (e, dst, src) => {
  const b = e.read(src, dst.bits)
  const a = e.read(dst)
  e.flags.sub(dst.bits, a, b, e.f.sub(a, b))
})

define(
  'TEST',
  ['84 /r Eb,Gb', '85 /r Ev,Gv', 'A8 AL,Ib', 'A9 rAX,Iz'].concat([
    'F6 /0 Eb,Ib',
    'F7 /0 Ev,Iz',
    'F6 /1 Eb,Ib',
    'F7 /1 Ev,Iz',
  ]),
  (e, a, b) => e.flags.logic(a.bits, e.f.and(e.read(a), e.read(b, a.bits))),
)

define('INC', ['FE /0 Eb lock', 'FF /0 Ev lock', '40+r Zv i64'], (e, dst) => {
  e.modify(dst, (a) => {
    const r = e.f.add(a, e.constant(dst.bits, 1))
    e.flags.increment(dst.bits, a, r)
    return r
  })
})

define('DEC', ['FE /1 Eb lock', 'FF /1 Ev lock', '48+r Zv i64'], (e, dst) => {
  e.modify(dst, (a) => {
    const r = e.f.sub(a, e.constant(dst.bits, 1))
    e.flags.decrement(dst.bits, a, r)
    return r
  })
})

define('NEG', ['F6 /3 Eb lock', 'F7 /3 Ev lock'], (e, dst) => {
  e.modify(dst, (a) => {
    const zero = e.constant(dst.bits, 0)
    const r = e.f.sub(zero, a)
    e.flags.sub(dst.bits, zero, a, r)
    return r
  })
})

define('NOT', ['F6 /2 Eb lock', 'F7 /2 Ev lock'], (e, dst) => e.modify(dst, (a) => e.f.not(a)))

define('XADD', ['0F C0 /r Eb,Gb lock', '0F C1 /r Ev,Gv lock'], (e, dst, src) => {
  const b = e.read(src)
  if (dst.kind === 'gpr') {
    // The sum is written last: it wins when both operands are one register.
    const a = e.read(dst)
    const r = e.f.add(a, b)
    e.write(src, a)
    e.write(dst, r)
    e.flags.add(dst.bits, a, b, r)
    return
  }
  const old = e.modify(dst, (a) => {
    const r = e.f.add(a, b)
    e.flags.add(dst.bits, a, b, r)
    return r
  })
  e.write(src, old)
})

define('XCHG', ['86 /r Eb,Gb lock', '87 /r Ev,Gv lock', '90+r Zv,rAX'], (e, dst, src) => {
  const b = e.read(src)
  if (dst.kind === 'gpr') {
    const a = e.read(dst)
    e.write(src, a)
    e.write(dst, b)
    return
  }
  e.modify(dst, (a) => {
    // The memory is known to be writable: the register may change now.
    e.write(src, a)
    return b
  })
})

define('CMPXCHG', ['0F B0 /r Eb,Gb lock', '0F B1 /r Ev,Gv lock'], (e, dst, src) => {
  const { f } = e
  const { bits } = dst
  const accumulator = e.gpr(S.RAX, bits as 8)
  const expected = e.read(accumulator)
  const replacement = e.read(src)
  if (dst.kind === 'gpr') {
    // Only one of the two registers is written: the other keeps even its upper half.
    const a = e.read(dst)
    e.flags.sub(bits, expected, a, f.sub(expected, a))
    f.if(
      f.eq(a, expected),
      () => e.write(dst, replacement),
      () => e.write(accumulator, a),
    )
    return
  }
  const old = e.modify(dst, (a) => {
    e.flags.sub(bits, expected, a, f.sub(expected, a))
    return f.select(f.eq(a, expected), replacement, a)
  })
  f.if(f.ne(old, expected), () => e.write(accumulator, old))
})

define('CMPXCHG8B', ['0F C7 /1 Mq lock'], (e, dst) => {
  const { f } = e
  if (e.shape.operandSize === 64) return compareExchange16(e, dst)
  const half = (n: number) => e.read(e.gpr(n, 32))
  const pair = (low: number, high: number) =>
    f.or(f.extendU(half(low)), f.shl(f.extendU(half(high)), f.i64(32)))
  const expected = pair(S.RAX, S.RDX)
  const replacement = pair(S.RBX, S.RCX)
  const old = e.modify(dst, (a) => f.select(f.eq(a, expected), replacement, a))
  f.if(f.ne(old, expected), () => {
    e.write(e.gpr(S.RAX, 32), f.wrap(old))
    e.write(e.gpr(S.RDX, 32), f.wrap(f.shrU(old, f.i64(32))))
  })
  e.flags.setZero(f.eq(old, expected))
})

/** CMPXCHG16B, with both halves as one vector. */
function compareExchange16(e: Emitter, dst: Operand): void {
  const { f } = e
  const linear = e.linear({ ...dst, bits: 128 } as Operand, 16, true)
  e.raiseIf(f.wrap(f.and(linear, f.i64(15))), GP, 0)
  const pair = (low: number, high: number) => {
    const both = f.op('i64x2.splat', e.read(e.gpr(low, 64)))
    return f.lane('i64x2.replace_lane', 1, both, e.read(e.gpr(high, 64)))
  }
  const expected = pair(S.RAX, S.RDX)
  const replacement = pair(S.RBX, S.RCX)
  const isEqual = (a: Value) => f.op('i64x2.all_true', f.op('i64x2.eq', a, expected))
  const old = e.memory.modify(128, linear, (a) => f.select(isEqual(a), replacement, a))
  const isDone = isEqual(old)
  f.if(f.eqz(isDone), () => {
    e.write(e.gpr(S.RAX, 64), f.lane('i64x2.extract_lane', 0, old))
    e.write(e.gpr(S.RDX, 64), f.lane('i64x2.extract_lane', 1, old))
  })
  e.flags.setZero(isDone)
}

define('ADCX', ['66 0F 38 F6 /r Gy,Ey +adx'], (e, dst, src) => {
  addWithFlag(e, dst, src, e.flags.carry(), (out) => e.flags.setCarry(out))
})

define('ADOX', ['F3 0F 38 F6 /r Gy,Ey +adx'], (e, dst, src) => {
  addWithFlag(e, dst, src, e.flags.overflow(), (out) =>
    e.flags.setCarryOverflow(e.flags.carry(), out),
  )
})

/** Adds with one flag as carry in and out; the others stay. */
function addWithFlag(
  e: Emitter,
  dst: Operand,
  src: Operand,
  carry: Value,
  set: (carry: Value) => void,
): void {
  const { f } = e
  const b = e.read(src)
  const a = e.read(dst)
  const sum = f.add(a, b)
  const r = f.add(sum, e.resize(carry, 32, dst.bits))
  e.write(dst, r)
  set(f.or(f.ltU(sum, a), f.ltU(r, sum)))
}

// String instructions. (SDM vol. 2: CMPS LODS MOVS SCAS STOS; INS and OUTS: system.)
//
// A repeated one works in chunks: registers are up to date after every element, so that a fault
// or an interrupt finds them right and the instruction can go on later. MOVS and STOS upwards
// take what lies within one page on both sides in one go.

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import { access } from '../emit/memory.ts'
import { FLAG_DF, FLAG_TF } from '../registers.ts'
import * as S from '../state.ts'

/** rSI or rDI as an offset (i64). */
function offsetOf(e: Emitter, register: number): Value {
  const size = e.shape.addressSize
  return e.resize(e.read(e.gpr(register, size)), size, 64)
}

/** Linear address of the string operand's current element. */
function elementOf(e: Emitter, operand: Operand & { kind: 'string' }, isWrite: boolean): Value {
  const bytes = operand.bits / 8
  return operand.source
    ? e.segmented(offsetOf(e, S.RSI), bytes, isWrite)
    : e.segmentLinear(S.ES, offsetOf(e, S.RDI), bytes, isWrite)
}

/** Moves rSI or rDI by one element, as RFLAGS.DF says. */
function advance(e: Emitter, register: number, bytes: number): void {
  const { f } = e
  const size = e.shape.addressSize
  const down = f.and(e.stateLoad('i32.load', S.RFLAGS), f.i32(FLAG_DF))
  const step = f.select(down, e.constant(size, -bytes), e.constant(size, bytes))
  const pointer = e.gpr(register, size)
  e.write(pointer, f.add(e.read(pointer), step))
}

function counterOf(e: Emitter): Operand {
  return e.gpr(S.RCX, e.shape.addressSize)
}

/**
 * Runs `element` once, or rCX times with a REP prefix. `goesOn`, after each element, is the
 * further condition of REPE and REPNE.
 */
function repeat(e: Emitter, element: () => void, goesOn?: () => Value): void {
  const { f } = e
  if (e.shape.rep === 0) return element()
  const size = e.shape.addressSize
  const zero = e.constant(size, 0)
  f.block((end) => {
    f.brIf(end, f.eq(e.read(counterOf(e)), zero))
    const left = f.local('i32')
    f.set(left, e.stateLoad('i32.load', S.REP_CHUNK))
    f.loop((again) => {
      element()
      const count = f.sub(e.read(counterOf(e)), e.constant(size, 1))
      e.write(counterOf(e), count)
      f.brIf(end, f.eq(size === 16 ? e.zeroExtend(count, 16) : count, zero))
      if (goesOn) f.brIf(end, f.eqz(goesOn()))
      f.set(left, f.sub(f.get(left), f.i32(1)))
      f.brIf(again, f.get(left))
    })
    e.again()
  })
}

/** Bytes from a linear address to the end of its page. */
function leftOnPage(e: Emitter, linear: Value): Value {
  const { f } = e
  return f.sub(f.i32(4096), f.and(f.wrap(linear), f.i32(4095)))
}

function minimum(e: Emitter, a: Value, b: Value): Value {
  return e.f.select(e.f.ltU(a, b), a, b)
}

/** After `bytes` bytes were done at once: registers follow, and the instruction goes on. */
function advanceBy(e: Emitter, bytes: Value, shift: number, registers: readonly number[]): void {
  const { f } = e
  const size = e.shape.addressSize
  const wide = e.resize(bytes, 32, size)
  for (const register of registers) {
    const pointer = e.gpr(register, size)
    e.write(pointer, f.add(e.read(pointer), wide))
  }
  const left = f.sub(e.read(counterOf(e)), e.resize(f.shrU(bytes, f.i32(shift)), 32, size))
  e.write(counterOf(e), left)
  f.if(
    left.type === 'i64' ? f.ne(left, f.i64(0)) : left,
    () => e.again(),
    () => e.next(),
  )
}

/**
 * The bulk path of MOVS and STOS: with a REP prefix, upwards, 64-bit addresses. `work` gets the
 * number of bytes, a multiple of the element's size within one page of each address, and gives
 * an i32 that tells whether it did them.
 */
function bulk(
  e: Emitter,
  bytesOf: number,
  addresses: readonly Value[],
  registers: readonly number[],
  work: (bytes: Value) => Value,
): void {
  const { f } = e
  const shift = Math.log2(bytesOf)
  const up = f.eqz(f.and(e.stateLoad('i32.load', S.RFLAGS), f.i32(FLAG_DF | FLAG_TF)))
  const count = e.read(counterOf(e))
  f.if(f.and(up, f.gtU(count, f.i64(4))), () => {
    // Counts beyond a page's worth are cut before they could overflow.
    const wanted = f.select(f.gtU(count, f.i64(4096)), f.i64(4096), count)
    let bytes = f.shl(f.wrap(wanted), f.i32(shift))
    for (const address of addresses) bytes = minimum(e, bytes, leftOnPage(e, address))
    const whole = f.and(bytes, f.i32(-bytesOf))
    f.if(whole, () => f.if(work(whole), () => advanceBy(e, whole, shift, registers)))
  })
}

/** Bytes from which a call of memory.copy or memory.fill is quicker than a loop. */
const LEAST_CALL = 128

/**
 * A whole repeated MOVS or STOS, upwards, within one page of each address: what does not lie in one
 * is left to the slow form. `work` gets the number of bytes and the host offset of each address.
 */
function once(
  e: Emitter,
  bytesOf: number,
  addresses: readonly { readonly linear: Value; readonly isWrite: boolean }[],
  registers: readonly number[],
  work: (bytes: Value, ...at: Value[]) => void,
): void {
  const { f } = e
  const shift = Math.log2(bytesOf)
  const retreatIf = (condition: Value) => f.if(condition, () => e.retreat(), undefined, 'unlikely')
  const count = e.read(counterOf(e))
  retreatIf(f.and(e.stateLoad('i32.load', S.RFLAGS), f.i32(FLAG_DF | FLAG_TF)))
  retreatIf(f.gtU(count, f.i64(4096 / bytesOf)))
  f.if(f.ne(count, f.i64(0)), () => {
    const bytes = f.shl(f.wrap(count), f.i32(shift))
    for (const { linear } of addresses) retreatIf(f.gtU(bytes, leftOnPage(e, linear)))
    const hosts = addresses.map(({ linear, isWrite }) => {
      const host = isWrite ? e.memory.writableFast(linear, 1) : e.memory.readableFast(linear, 1)
      retreatIf(f.eqz(host))
      return host
    })
    work(bytes, ...hosts)
    for (const register of registers) {
      const pointer = e.gpr(register, 64)
      e.write(pointer, f.add(e.read(pointer), f.extendU(bytes)))
    }
    e.write(counterOf(e), f.i64(0))
  })
}

/** Runs `element` for the offsets of all elements, upwards. */
function eachElement(e: Emitter, bytes: Value, size: number, element: (at: Value) => void): void {
  const { f } = e
  const done = f.local('i32')
  f.set(done, f.i32(0))
  f.loop((again) => {
    element(f.get(done))
    f.set(done, f.add(f.get(done), f.i32(size)))
    f.brIf(again, f.ltU(f.get(done), bytes))
  })
}

const isBulk = (e: Emitter) => e.shape.rep !== 0 && e.shape.addressSize === 64

define('MOVS', ['A4 Yb,Xb rep', 'A5 Yv,Xv rep'], (e, dst, src) => {
  const { f } = e
  if (dst.kind !== 'string' || src.kind !== 'string') return
  const bytes = dst.bits / 8
  if (isBulk(e)) {
    const from = elementOf(e, src, false)
    const to = elementOf(e, dst, true)
    if (e.isOnce) {
      const addresses = [
        { linear: from, isWrite: false },
        { linear: to, isWrite: true },
      ]
      return once(e, bytes, addresses, [S.RSI, S.RDI], (n, source, target) =>
        copy(e, dst.bits, n, source, target),
      )
    }
    bulk(e, bytes, [from, to], [S.RSI, S.RDI], (n) => {
      const source = e.memory.readableFast(from, 1)
      const target = e.memory.writableFast(to, 1)
      // A target just above the source would have to see bytes that were just written.
      const isApart = f.geU(f.sub(target, source), n)
      const isDone = f.and(f.and(f.ne(source, f.i32(0)), f.ne(target, f.i32(0))), isApart)
      f.if(isDone, () => f.memoryCopy(target, source, n))
      return isDone
    })
  }
  repeat(e, () => {
    const value = e.memory.load(src.bits, elementOf(e, src, false))
    e.memory.store(dst.bits, elementOf(e, dst, true), value)
    advance(e, S.RSI, bytes)
    advance(e, S.RDI, bytes)
  })
})

/** Copies upwards, element by element where a target would see what was just written. */
function copy(e: Emitter, bits: number, n: Value, source: Value, target: Value): void {
  const { f } = e
  const { load, store } = access(bits)
  const isApart = f.geU(f.sub(target, source), n)
  f.if(
    f.and(isApart, f.geU(n, f.i32(LEAST_CALL))),
    () => f.memoryCopy(target, source, n),
    () =>
      eachElement(e, n, bits / 8, (at) =>
        f.store(store, f.add(target, at), f.load(load, f.add(source, at))),
      ),
  )
}

function fill(e: Emitter, bits: number, n: Value, value: Value, target: Value): void {
  const { f } = e
  const low = f.and(bits === 64 ? f.wrap(value) : value, f.i32(255))
  f.if(
    f.and(uniform(e, value, low, bits), f.geU(n, f.i32(LEAST_CALL))),
    () => f.memoryFill(target, low, n),
    () =>
      eachElement(e, n, bits / 8, (at) => f.store(access(bits).store, f.add(target, at), value)),
  )
}

define('STOS', ['AA Yb,AL rep', 'AB Yv,rAX rep'], (e, dst, src) => {
  const { f } = e
  if (dst.kind !== 'string') return
  const bytes = dst.bits / 8
  const value = e.read(src)
  if (isBulk(e)) {
    const to = elementOf(e, dst, true)
    if (e.isOnce) {
      const addresses = [{ linear: to, isWrite: true }]
      return once(e, bytes, addresses, [S.RDI], (n, target) => fill(e, dst.bits, n, value, target))
    }
    bulk(e, bytes, [to], [S.RDI], (n) => {
      const target = e.memory.writableFast(to, 1)
      const low = f.and(dst.bits === 64 ? f.wrap(value) : value, f.i32(255))
      const isUniform = uniform(e, value, low, dst.bits)
      const isDone = f.and(f.ne(target, f.i32(0)), isUniform)
      f.if(isDone, () => f.memoryFill(target, low, n))
      return isDone
    })
  }
  repeat(e, () => {
    e.memory.store(dst.bits, elementOf(e, dst, true), value)
    advance(e, S.RDI, bytes)
  })
})

/** i32: all bytes of a value are `low`. */
function uniform(e: Emitter, value: Value, low: Value, bits: number): Value {
  const { f } = e
  if (bits === 8) return f.i32(1)
  if (bits === 64) return f.eq(value, f.mul(f.extendU(low), f.i64(0x0101010101010101n)))
  return f.eq(value, f.mul(low, f.i32(bits === 32 ? 0x01010101 : 0x0101)))
}

define('LODS', ['AC AL,Xb rep', 'AD rAX,Xv rep'], (e, dst, src) => {
  repeat(e, () => {
    if (src.kind !== 'string') return
    e.write(dst, e.memory.load(src.bits, elementOf(e, src, false)))
    advance(e, S.RSI, src.bits / 8)
  })
})

/** REPE goes on while equal, REPNE while not. */
function whileEqual(e: Emitter): Value {
  return e.shape.rep === 0xf2 ? e.f.eqz(e.flags.zero()) : e.flags.zero()
}

define('CMPS', ['A6 Xb,Yb repz', 'A7 Xv,Yv repz'], (e, first, second) => {
  const { f } = e
  repeat(
    e,
    () => {
      if (first.kind !== 'string' || second.kind !== 'string') return
      const a = e.memory.load(first.bits, elementOf(e, first, false))
      const b = e.memory.load(second.bits, elementOf(e, second, false))
      advance(e, S.RSI, first.bits / 8)
      advance(e, S.RDI, first.bits / 8)
      e.flags.sub(first.bits, a, b, f.sub(a, b))
    },
    () => whileEqual(e),
  )
})

define('SCAS', ['AE AL,Yb repz', 'AF rAX,Yv repz'], (e, accumulator, string) => {
  const { f } = e
  const a = e.read(accumulator)
  repeat(
    e,
    () => {
      if (string.kind !== 'string') return
      const b = e.memory.load(string.bits, elementOf(e, string, false))
      advance(e, S.RDI, string.bits / 8)
      e.flags.sub(string.bits, a, b, f.sub(a, b))
    },
    () => whileEqual(e),
  )
})

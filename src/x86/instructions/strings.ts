// String instructions: CMPS LODS MOVS SCAS STOS. (SDM vol. 2; INS and OUTS: system.) What they do to
// one element, and to many that lie together; repeat.ts says when which.

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import { access } from '../emit/memory.ts'
import { elementOf, type Piece, stringInstruction, type StringOperand } from './repeat.ts'

/** Bytes from which a call of memory.copy or memory.fill is quicker than a loop. */
const LEAST_CALL = 128

/** The operand as what the rows say it is. */
function stringOf(operand: Operand): StringOperand {
  if (operand.kind !== 'string') throw new TypeError(`a string lies in no ${operand.kind}`)
  return operand
}

define('MOVS', ['A4 Yb,Xb rep', 'A5 Yv,Xv rep'], (e, first, second) => {
  const [dst, src] = [stringOf(first), stringOf(second)]
  stringInstruction(e, {
    strings: [
      { operand: src, isWrite: false },
      { operand: dst, isWrite: true },
    ],
    element: () => {
      const value = e.memory.load(src.bits, elementOf(e, src, false))
      e.memory.store(dst.bits, elementOf(e, dst, true), value)
    },
    piece: (piece) => copy(e, dst.bits, piece),
  })
})

/** Copies, element by element where a target would see what was just written. */
function copy(e: Emitter, bits: number, piece: Piece): undefined {
  const { f } = e
  const { load, store } = access(bits)
  const [source, target] = piece.hosts as [Value, Value]
  const bytes = f.mul(piece.count, f.i32(bits / 8))
  const isApart = f.and(piece.isUp, f.geU(f.sub(target, source), bytes))
  f.if(
    f.and(isApart, f.geU(bytes, f.i32(LEAST_CALL))),
    () => f.memoryCopy(target, source, bytes),
    () =>
      eachElement(e, piece, (at) =>
        f.store(store, f.add(target, at), f.load(load, f.add(source, at))),
      ),
  )
}

/** Runs `element` for the offset (i32) of each element from the first one. */
function eachElement(e: Emitter, { count, step }: Piece, element: (at: Value) => void): void {
  const { f } = e
  const at = f.local('i32')
  const end = f.mul(count, step)
  f.set(at, f.i32(0))
  f.loop((again) => {
    element(f.get(at))
    f.set(at, f.add(f.get(at), step))
    f.brIf(again, f.ne(f.get(at), end))
  })
}

define('STOS', ['AA Yb,AL rep', 'AB Yv,rAX rep'], (e, first, accumulator) => {
  const dst = stringOf(first)
  const value = e.read(accumulator)
  stringInstruction(e, {
    strings: [{ operand: dst, isWrite: true }],
    element: () => e.memory.store(dst.bits, elementOf(e, dst, true), value),
    piece: (piece) => fill(e, dst.bits, value, piece),
  })
})

function fill(e: Emitter, bits: number, value: Value, piece: Piece): undefined {
  const { f } = e
  const [target] = piece.hosts as [Value]
  const bytes = f.mul(piece.count, f.i32(bits / 8))
  const low = f.and(bits === 64 ? f.wrap(value) : value, f.i32(255))
  const isSimple = f.and(piece.isUp, isUniform(e, value, low, bits))
  f.if(
    f.and(isSimple, f.geU(bytes, f.i32(LEAST_CALL))),
    () => f.memoryFill(target, low, bytes),
    () => eachElement(e, piece, (at) => f.store(access(bits).store, f.add(target, at), value)),
  )
}

/** i32: all bytes of a value are `low`. */
function isUniform(e: Emitter, value: Value, low: Value, bits: number): Value {
  const { f } = e
  if (bits === 8) return f.i32(1)
  if (bits === 64) return f.eq(value, f.mul(f.extendU(low), f.i64(0x0101010101010101n)))
  return f.eq(value, f.mul(low, f.i32(bits === 32 ? 0x01010101 : 0x0101)))
}

define('LODS', ['AC AL,Xb rep', 'AD rAX,Xv rep'], (e, accumulator, second) => {
  const { f } = e
  const src = stringOf(second)
  stringInstruction(e, {
    strings: [{ operand: src, isWrite: false }],
    element: () => e.write(accumulator, e.memory.load(src.bits, elementOf(e, src, false))),
    piece: ({ count, step, hosts }) => {
      const [source] = hosts as [Value]
      const last = f.add(source, f.mul(f.sub(count, f.i32(1)), step))
      e.write(accumulator, f.load(access(src.bits).load, last))
      return undefined
    },
  })
})

define('CMPS', ['A6 Xb,Yb repz', 'A7 Xv,Yv repz'], (e, first, second) => {
  const { f } = e
  const [src, dst] = [stringOf(first), stringOf(second)]
  const { bits } = src
  const { load } = access(bits)
  stringInstruction(e, {
    strings: [src, dst].map((operand) => ({ operand, isWrite: false })),
    element: () => {
      const a = e.memory.load(bits, elementOf(e, src, false))
      const b = e.memory.load(bits, elementOf(e, dst, false))
      e.flags.sub(bits, a, b, f.sub(a, b))
    },
    piece: (piece) => {
      const [a, b] = piece.hosts.map((host) => ({
        element: (at: Value) => f.load(load, f.add(host, at)),
        vector: (at: Value) => f.load('v128.load', f.add(host, at)),
      })) as [Side, Side]
      return compare(e, bits, piece, a, b)
    },
    goesOn: () => goesOn(e, e.flags.zero()),
  })
})

define('SCAS', ['AE AL,Yb repz', 'AF rAX,Yv repz'], (e, accumulator, second) => {
  const { f } = e
  const dst = stringOf(second)
  const { bits } = dst
  const a = e.read(accumulator)
  stringInstruction(e, {
    strings: [{ operand: dst, isWrite: false }],
    element: () => {
      const b = e.memory.load(bits, elementOf(e, dst, false))
      e.flags.sub(bits, a, b, f.sub(a, b))
    },
    piece: (piece) => {
      const [host] = piece.hosts as [Value]
      const all = f.op(`${LANES[bits as 8]}.splat`, a)
      const accumulated = { element: () => a, vector: () => all }
      const string = {
        element: (at: Value) => f.load(access(bits).load, f.add(host, at)),
        vector: (at: Value) => f.load('v128.load', f.add(host, at)),
      }
      return compare(e, bits, piece, accumulated, string)
    },
    goesOn: () => goesOn(e, e.flags.zero()),
  })
})

/** REPE goes on while elements are equal, REPNE while they are not. */
function goesOn(e: Emitter, isEqual: Value): Value {
  return e.shape.rep === 0xf2 ? e.f.eqz(isEqual) : isEqual
}

const LANES = { 8: 'i8x16', 16: 'i16x8', 32: 'i32x4', 64: 'i64x2' } as const

/** What is compared: the element at an offset, and the 16 bytes there. */
interface Side {
  readonly element: (at: Value) => Value
  readonly vector: (at: Value) => Value
}

/**
 * Compares elements of a piece up to the last that REPE or REPNE wants, and sets the flags by that.
 * Gives how many it has compared (i32). Upwards it skips 16 bytes at a time, as long as an element
 * remains to get the flags from.
 */
function compare(e: Emitter, bits: number, piece: Piece, first: Side, second: Side): Value {
  const { f } = e
  const { count, step, isUp } = piece
  const lanes = 128 / bits
  const shape = LANES[bits as 8]
  const { type } = access(bits)
  const [done, a, b] = [f.local('i32'), f.local(type), f.local(type)]
  f.set(done, f.i32(0))
  f.if(f.and(isUp, f.gtU(count, f.i32(lanes))), () =>
    f.block((found) =>
      f.loop((again) => {
        const at = f.mul(f.get(done), step)
        const equal = f.op(
          `${shape}.bitmask`,
          f.op(`${shape}.eq`, first.vector(at), second.vector(at)),
        )
        const wanted = e.shape.rep === 0xf2 ? equal : f.xor(equal, f.i32((1 << lanes) - 1))
        f.if(wanted, () => {
          f.set(done, f.add(f.get(done), f.ctz(wanted)))
          f.br(found)
        })
        f.set(done, f.add(f.get(done), f.i32(lanes)))
        f.brIf(again, f.gtU(f.sub(count, f.get(done)), f.i32(lanes)))
      }),
    ),
  )
  f.loop((again) => {
    const at = f.mul(f.get(done), step)
    f.set(a, first.element(at))
    f.set(b, second.element(at))
    f.set(done, f.add(f.get(done), f.i32(1)))
    const isLast = f.geU(f.get(done), count)
    f.brIf(again, f.and(goesOn(e, f.eq(f.get(a), f.get(b))), f.eqz(isLast)))
  })
  e.flags.sub(bits, f.get(a), f.get(b), f.sub(f.get(a), f.get(b)))
  return f.get(done)
}

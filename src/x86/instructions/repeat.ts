// String instructions, once or repeated. (SDM vol. 2, REP; vol. 1, 7.3.9.)
//
// A repeated one is executed in pieces, each of the elements that lie on the pages of the first, or
// of one that goes on in another page; which they are depends on registers only, so that each
// execution counts the same pieces. Where the TLB knows the pages, all of a piece is done at once, by
// host addresses; elsewhere element by element, as single instructions would (faults, devices,
// decoded code). Registers and flags are up to date after every element, so that a fault or an
// interrupt finds them right and the instruction can go on later.

import type { Value } from '../../wasm/value.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import { FORM_FLAT } from '../emit/operand.ts'
import { FLAG_DF, FLAG_TF } from '../registers.ts'
import * as S from '../state.ts'

export type StringOperand = Operand & { readonly kind: 'string' }

/** Elements that are done at once: all on one page. */
export interface Piece {
  /** i32: elements, at least one. */
  readonly count: Value
  /** i32: bytes from an element to the next one, below zero with DF. */
  readonly step: Value
  /** i32: DF is clear. */
  readonly isUp: Value
  /** i32: the host address of each operand's first element. */
  readonly hosts: readonly Value[]
}

export interface StringInstruction {
  /** All of one size; `isWrite`: it is stored to. */
  readonly strings: readonly { readonly operand: StringOperand; readonly isWrite: boolean }[]
  /** Does one element, but for the registers that point to it and count. */
  readonly element: () => void
  /** Does many. Gives how many (i32), if it may end before the last one. */
  readonly piece: (piece: Piece) => Value | undefined
  /** i32: what REPE and REPNE ask for besides, after an element. */
  readonly goesOn?: () => Value
}

type Strings = StringInstruction['strings']
type OneString = Strings[number]

/** Linear address of the string operand's current element, which its segment lets be accessed. */
export function elementOf(e: Emitter, operand: StringOperand, isWrite: boolean): Value {
  const bytes = operand.bits / 8
  const offset = offsetOf(e, operand)
  return operand.source
    ? e.segmented(offset, bytes, isWrite)
    : e.segmentLinear(S.ES, offset, bytes, isWrite)
}

/** Writes a string instruction of this shape: single, or repeated. */
export function stringInstruction(e: Emitter, it: StringInstruction): void {
  if (e.shape.rep !== 0) return e.canRetreat ? atOnce(e, it) : inPieces(e, it)
  it.element()
  const { step } = directionOf(e, bytesOf(it))
  for (const { operand } of it.strings) advance(e, operand, step)
}

function bytesOf({ strings }: StringInstruction): number {
  return (strings[0] as OneString).operand.bits / 8
}

function pointerOf(e: Emitter, { source }: StringOperand): Operand {
  return e.gpr(source ? S.RSI : S.RDI, e.shape.addressSize)
}

function counterOf(e: Emitter): Operand {
  return e.gpr(S.RCX, e.shape.addressSize)
}

/** i64: rSI or rDI as an offset. */
function offsetOf(e: Emitter, operand: StringOperand): Value {
  return e.resize(e.read(pointerOf(e, operand)), e.shape.addressSize, 64)
}

function directionOf(e: Emitter, bytes: number): Pick<Piece, 'step' | 'isUp'> {
  const { f } = e
  const isUp = f.eqz(f.and(e.stateLoad('i32.load', S.RFLAGS), f.i32(FLAG_DF)))
  return { isUp, step: f.select(isUp, f.i32(bytes), f.i32(-bytes)) }
}

/** Moves rSI or rDI by some bytes (i32, signed). */
function advance(e: Emitter, operand: StringOperand, bytes: Value): void {
  const pointer = pointerOf(e, operand)
  const wide = e.shape.addressSize === 64 ? e.f.extendS(bytes) : bytes
  e.write(pointer, e.f.add(e.read(pointer), wide))
}

/** Moves the pointers and counts down by some elements (i32). */
function finish(e: Emitter, strings: Strings, step: Value, done: Value): void {
  const { f } = e
  const bytes = f.mul(done, step)
  for (const { operand } of strings) advance(e, operand, bytes)
  const wide = e.shape.addressSize === 64 ? f.extendU(done) : done
  e.write(counterOf(e), f.sub(e.read(counterOf(e)), wide))
}

/**
 * The whole instruction, if it is upwards and all in one piece on pages that the TLB knows;
 * everything else is left to the slow form.
 */
function atOnce(e: Emitter, it: StringInstruction): void {
  const { f } = e
  const { strings } = it
  const bytes = bytesOf(it)
  const retreatIf = (condition: Value) => f.if(condition, () => e.retreat(), undefined, 'unlikely')
  retreatIf(f.and(e.stateLoad('i32.load', S.RFLAGS), f.i32(FLAG_DF | FLAG_TF)))
  const count = e.resize(e.read(counterOf(e)), e.shape.addressSize, 64)
  f.if(f.ne(count, f.i64(0)), () => {
    const isUp = f.i32(1)
    const step = f.i32(bytes)
    retreatIf(f.gtU(count, f.extendU(elementsOnPages(e, strings, isUp))))
    const piece = { count: f.wrap(count), step, isUp }
    for (const string of strings) retreatIf(f.eqz(isWithinSegment(e, string, piece)))
    const hosts = strings.map((string) => {
      const host = hostOf(e, string)
      retreatIf(f.eqz(host))
      return host
    })
    const done = it.piece({ ...piece, hosts })
    finish(e, strings, step, done ?? piece.count)
  })
}

/** One piece, in the form that copes with everything; then it goes on with the next one. */
function inPieces(e: Emitter, it: StringInstruction): void {
  const { f } = e
  const { strings } = it
  const { step, isUp } = directionOf(e, bytesOf(it))
  const isDone = () => {
    const count = e.read(counterOf(e))
    return count.type === 'i64' ? f.eqz(count) : f.eqz(e.zeroExtend(count, e.shape.addressSize))
  }
  f.block((end) => {
    f.brIf(end, isDone())
    const left = f.local('i32')
    const isOnPages = f.local('i32')
    const whole = elementsOnPages(e, strings, isUp)
    f.set(isOnPages, whole)
    f.set(left, minimum(e, cutCount(e), minimum(e, whole, e.stateLoad('i32.load', S.REP_CHUNK))))
    for (const string of strings) {
      const isWithin = isWithinSegment(e, string, { count: f.get(left), step, isUp })
      f.set(isOnPages, f.select(isWithin, f.get(isOnPages), f.i32(0)))
    }
    // An element that lies on two pages is a piece.
    f.set(left, f.select(f.get(left), f.get(left), f.i32(1)))
    f.loop((again) => {
      const hosts = strings.map((string) => hostOf(e, string))
      const isKnown = hosts.reduce(
        (all, host) => f.and(all, f.ne(host, f.i32(0))),
        f.ne(f.get(isOnPages), f.i32(0)),
      )
      const done = f.choose(
        'i32',
        isKnown,
        () => it.piece({ count: f.get(left), step, isUp, hosts }) ?? f.get(left),
        () => {
          it.element()
          return f.i32(1)
        },
      )
      finish(e, strings, step, done)
      f.brIf(end, isDone())
      if (it.goesOn) f.brIf(end, f.eqz(it.goesOn()))
      f.set(left, f.sub(f.get(left), done))
      f.brIf(again, f.get(left))
    })
    e.again()
  })
}

function minimum(e: Emitter, a: Value, b: Value): Value {
  return e.f.select(e.f.ltU(a, b), a, b)
}

/** i32: rCX, or more than a page has elements. */
function cutCount(e: Emitter): Value {
  const { f } = e
  const count = e.read(counterOf(e))
  if (count.type === 'i32') return count
  return f.wrap(f.select(f.gtU(count, f.i64(4096)), f.i64(4096), count))
}

/** i32: elements from the current one on that lie on its pages; 0 if itself it does not. */
function elementsOnPages(e: Emitter, strings: Strings, isUp: Value): Value {
  let least: Value | undefined
  for (const { operand } of strings) {
    const addresses = [linearOf(e, operand)]
    // No piece passes the end of the segment's offsets either, where they begin anew.
    if (e.shape.addressSize !== 64) addresses.push(offsetOf(e, operand))
    for (const address of addresses) {
      const here = elementsOnPage(e, address, operand.bits / 8, isUp)
      least = least ? minimum(e, least, here) : here
    }
  }
  return least as Value
}

function elementsOnPage(e: Emitter, address: Value, bytes: number, isUp: Value): Value {
  const { f } = e
  const shift = f.i32(Math.log2(bytes))
  const offset = f.and(f.wrap(address), f.i32(4095))
  const up = f.shrU(f.sub(f.i32(4096), offset), shift)
  const isWhole = f.leU(offset, f.i32(4096 - bytes))
  const down = f.select(isWhole, f.add(f.shrU(offset, shift), f.i32(1)), f.i32(0))
  return f.select(isUp, up, down)
}

/** i32: number of the operand's segment. */
function segmentOf(e: Emitter, { source }: StringOperand): Value {
  return source ? e.memorySegment() : e.f.i32(S.ES)
}

/** i64: linear address of the current element, whether it may be accessed or not. */
function linearOf(e: Emitter, operand: StringOperand): Value {
  const { f, shape } = e
  const isFlat = operand.source && shape.form === FORM_FLAT
  if (shape.codeSize === 64 || isFlat) return elementOf(e, operand, false)
  const at = f.add(e.cpu, f.shl(segmentOf(e, operand), f.i32(3)))
  const base = f.load('i64.load', at, S.SEG_BASE)
  return f.and(f.add(offsetOf(e, operand), base), f.i64(0xffffffffn))
}

/** i32: no element of a piece needs a closer look at its segment. */
function isWithinSegment(
  e: Emitter,
  { operand, isWrite }: OneString,
  { count, isUp }: Pick<Piece, 'count' | 'step' | 'isUp'>,
): Value {
  const { f, shape } = e
  if (shape.codeSize === 64) return f.i32(1)
  const at = f.add(e.cpu, f.mul(segmentOf(e, operand), f.i32(S.SEGMENT_SIZE)))
  const limit = f.load('i64.load', at, S.SEGMENT + (isWrite ? S.SEG_WRITE_LIMIT : S.SEG_READ_LIMIT))
  const bytes = f.mul(f.select(isUp, count, f.i32(1)), f.i32(operand.bits / 8))
  const last = f.add(offsetOf(e, operand), f.extendS(f.sub(bytes, f.i32(1))))
  return f.leS(last, limit)
}

/** i32: host address of the current element, or 0 if the TLB does not know the page of its start. */
function hostOf(e: Emitter, { operand, isWrite }: OneString): Value {
  const linear = linearOf(e, operand)
  return isWrite ? e.memory.writableFast(linear, 1) : e.memory.readableFast(linear, 1)
}

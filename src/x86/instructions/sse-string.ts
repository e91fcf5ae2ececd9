// PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM: comparisons of strings of bytes or words, in
// TypeScript. (SDM vol. 1, 12.10.3 and vol. 2, 4.1: the immediate and its steps.)

import type { Value } from '../../wasm/value.ts'
import type { Cpu } from '../cpu.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
import { FLAG_CF, FLAG_OF, FLAG_SF, FLAG_ZF } from '../registers.ts'
import * as S from '../state.ts'
import { putVectors, takeVector, vectorBytes } from './vector-arguments.ts'
import { writeVector } from './vector-operands.ts'

// Fields of the immediate.
const WORDS = 1
const SIGNED = 2
const AGGREGATION = 0x0c
const EQUAL_ANY = 0x00
const RANGES = 0x04
const EQUAL_EACH = 0x08
const POLARITY = 0x30
const NEGATIVE = 0x10
const MASKED_NEGATIVE = 0x30
/** The last index rather than the first; a mask of elements rather than of bits. */
const OTHER_OUTPUT = 0x40

/** One of the two texts. They are made once: no instruction allocates. */
class Text {
  readonly elements = new Int32Array(16)
  /** Elements of the vector. */
  count = 0
  /** Elements that belong to the text. */
  length = 0

  /** Takes a vector at `at`; `length` is negative if a zero ends the text. */
  load(view: DataView, at: number, format: number, length: number): void {
    const isSigned = (format & SIGNED) !== 0
    const { elements } = this
    this.count = format & WORDS ? 8 : 16
    let end = this.count
    for (let i = this.count - 1; i >= 0; i--) {
      const element =
        this.count === 8
          ? view.getInt16(at + 2 * i, true) & (isSigned ? -1 : 0xffff)
          : view.getInt8(at + i) & (isSigned ? -1 : 0xff)
      elements[i] = element
      if (element === 0) end = i
    }
    this.length = length < 0 ? end : Math.min(length, this.count)
  }

  at(i: number): number {
    return this.elements[i] as number
  }
}

const first = new Text()
const second = new Text()

/** The bits of IntRes1: for each element of `b`, whether it is found in `a` as the mode says. */
function aggregate(a: Text, b: Text, mode: number): number {
  let result = 0
  for (let j = 0; j < a.count; j++) {
    let holds: boolean
    if (mode === EQUAL_EACH) holds = isSame(a, b, j)
    else if (mode === EQUAL_ANY) holds = j < b.length && isAny(a, b.at(j))
    else if (mode === RANGES) holds = j < b.length && isInRange(a, b.at(j))
    else holds = startsAt(a, b, j)
    if (holds) result |= 1 << j
  }
  return result
}

/** Equal elements, or the end of both texts. */
function isSame(a: Text, b: Text, i: number): boolean {
  if (i >= a.length || i >= b.length) return i >= a.length && i >= b.length
  return a.at(i) === b.at(i)
}

function isAny(set: Text, value: number): boolean {
  for (let i = 0; i < set.length; i++) if (set.at(i) === value) return true
  return false
}

function isInRange(ranges: Text, value: number): boolean {
  for (let i = 0; i + 1 < ranges.length; i += 2) {
    if (ranges.at(i) <= value && value <= ranges.at(i + 1)) return true
  }
  return false
}

/** Equal ordered: `a` begins in `b` at j, as far as both reach. */
function startsAt(a: Text, b: Text, j: number): boolean {
  for (let i = 0; i < a.length && i + j < a.count; i++) {
    if (i + j >= b.length || a.at(i) !== b.at(i + j)) return false
  }
  return true
}

/** IntRes2. */
function compare(a: Text, b: Text, immediate: number): number {
  const mask = aggregate(a, b, immediate & AGGREGATION)
  const polarity = immediate & POLARITY
  if (polarity === NEGATIVE) return mask ^ ((1 << a.count) - 1)
  return polarity === MASKED_NEGATIVE ? mask ^ ((1 << b.length) - 1) : mask
}

/** CF, ZF, SF and OF as an RFLAGS image; AF and PF are clear. */
function flagsOf(mask: number, a: Text, b: Text): number {
  let flags = 0
  if (mask !== 0) flags |= FLAG_CF
  if (b.length < b.count) flags |= FLAG_ZF
  if (a.length < a.count) flags |= FLAG_SF
  if (mask & 1) flags |= FLAG_OF
  return flags
}

function indexOf(mask: number, count: number, immediate: number): number {
  if (mask === 0) return count
  return immediate & OTHER_OUTPUT ? 31 - Math.clz32(mask) : 31 - Math.clz32(mask & -mask)
}

/** Replaces the first vector by the mask, as bits or as elements. */
function expand(bytes: Uint8Array, mask: number, count: number, immediate: number): void {
  bytes.fill(0)
  if (immediate & OTHER_OUTPUT) {
    const size = 16 / count
    for (let i = 0; i < count; i++) if ((mask >> i) & 1) bytes.fill(0xff, i * size, (i + 1) * size)
    return
  }
  bytes[0] = mask & 0xff
  bytes[1] = mask >> 8
}

/** Arguments: the immediate and the lengths, or -1. Results: the flags and the index. */
function run(cpu: Cpu): void {
  const { memory } = cpu.engine
  const at = cpu.state + S.BOUNCE
  const immediate = cpu.argumentLow(0)
  first.load(memory.view, at, immediate, cpu.argumentLow(1))
  second.load(memory.view, at + 16, immediate, cpu.argumentLow(2))
  const mask = compare(first, second, immediate)
  const results = (cpu.state + S.ARGUMENTS) >>> 2
  memory.i32[results] = flagsOf(mask, first, second)
  memory.i32[results + 2] = indexOf(mask, first.count, immediate)
  expand(vectorBytes(cpu, 16), mask, first.count, immediate)
}

/** i32: the magnitude of a length in a register, at most 16. */
function explicitLength(e: Emitter, register: number): Value {
  const { f } = e
  const bits = e.shape.operandSize === 64 ? 64 : 32
  const length = e.signExtend(e.read(e.gpr(register, bits)), bits)
  const magnitude = f.select(f.ltS(length, f.i64(0)), f.neg(length), length)
  return f.select(f.gtU(magnitude, f.i64(16)), f.i32(16), f.wrap(magnitude))
}

for (const [name, opcode, isExplicit, isIndex] of [
  ['PCMPESTRM', '60', true, false],
  ['PCMPESTRI', '61', true, true],
  ['PCMPISTRM', '62', false, false],
  ['PCMPISTRI', '63', false, true],
] as const) {
  const row = `66 0F 3A ${opcode} /r Vx,Wx,Ib sse +sse4_2`
  define(name, [row], (e: Emitter, a: Operand, b: Operand, immediate: Operand) => {
    const { f } = e
    const other = e.read(b)
    putVectors(e, e.read(a), other)
    const length = (register: number) => (isExplicit ? explicitLength(e, register) : f.i32(-1))
    e.host(run, e.read(immediate), length(S.RAX), length(S.RDX))
    if (isIndex) e.write(e.gpr(S.RCX, 32), f.wrap(e.hostResult(1)))
    else writeVector(e, { kind: 'vector', bits: 128, field: 0 }, takeVector(e))
    e.flags.assignImage(f.wrap(e.hostResult()))
  })
}

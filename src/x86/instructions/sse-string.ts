// PCMPESTRI, PCMPESTRM, PCMPISTRI and PCMPISTRM: comparisons of strings of bytes or words, in
// TypeScript. (SDM vol. 1, 12.10.3 and vol. 2, 4.1: the immediate and its steps.)

import type { Cpu } from '../cpu.ts'
import { define } from '../decode/define.ts'
import type { Emitter, Operand } from '../emit/emitter.ts'
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

interface Text {
  readonly elements: readonly number[]
  /** Elements that count. */
  readonly length: number
}

/** `length`: as given by a register, or undefined if a zero ends the text. */
function textOf(bytes: Uint8Array, at: number, format: number, length: number | undefined): Text {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, 16)
  const isWide = (format & WORDS) !== 0
  const isSigned = (format & SIGNED) !== 0
  const elements = Array.from({ length: isWide ? 8 : 16 }, (_, i) => {
    if (isWide) return isSigned ? view.getInt16(2 * i, true) : view.getUint16(2 * i, true)
    return isSigned ? view.getInt8(i) : view.getUint8(i)
  })
  const end = elements.indexOf(0)
  return { elements, length: length ?? (end < 0 ? elements.length : end) }
}

/** The bits of IntRes1: for each element of `b`, whether it is found in `a` as the mode says. */
function aggregate(a: Text, b: Text, mode: number): number {
  const count = a.elements.length
  const at = (text: Text, i: number) => text.elements[i] as number
  let result = 0
  for (let j = 0; j < count; j++) {
    let holds: boolean
    if (mode === EQUAL_EACH) {
      const [isIn, isInB] = [j < a.length, j < b.length]
      holds = isIn && isInB ? at(a, j) === at(b, j) : isIn === isInB
    } else if (mode === EQUAL_ANY) {
      holds = j < b.length && isAny(a, at(b, j))
    } else if (mode === RANGES) {
      holds = j < b.length && isInRange(a, at(b, j))
    } else {
      holds = startsAt(a, b, j)
    }
    if (holds) result |= 1 << j
  }
  return result
}

function isAny(set: Text, value: number): boolean {
  const place = set.elements.indexOf(value)
  return place >= 0 && place < set.length
}

function isInRange(ranges: Text, value: number): boolean {
  const { elements, length } = ranges
  for (let i = 0; i + 1 < length; i += 2) {
    if ((elements[i] as number) <= value && value <= (elements[i + 1] as number)) return true
  }
  return false
}

/** Equal ordered: `a` begins in `b` at j, as far as both reach. */
function startsAt(a: Text, b: Text, j: number): boolean {
  for (let i = 0; i < a.length && i + j < a.elements.length; i++) {
    if (i + j >= b.length || a.elements[i] !== b.elements[i + j]) return false
  }
  return true
}

/** IntRes2, and flags as an RFLAGS image. */
function compare(a: Text, b: Text, immediate: number): { mask: number; flags: number } {
  const count = a.elements.length
  const all = (1 << count) - 1
  let mask = aggregate(a, b, immediate & AGGREGATION)
  const polarity = immediate & POLARITY
  if (polarity === NEGATIVE) mask ^= all
  else if (polarity === MASKED_NEGATIVE) mask ^= (1 << b.length) - 1
  let flags = 0
  if (mask !== 0) flags |= 1
  if (b.length < count) flags |= 0x40
  if (a.length < count) flags |= 0x80
  if (mask & 1) flags |= 0x800
  return { mask, flags }
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

/** The number of elements that a register names: its magnitude, at most all. */
function explicitLength(value: bigint, count: number): number {
  const magnitude = value < 0n ? -value : value
  return magnitude > BigInt(count) ? count : Number(magnitude)
}

/** Arguments: the immediate, and the lengths if `isExplicit`. Results: the flags and the index. */
function run(cpu: Cpu, isExplicit: boolean): void {
  const bytes = vectorBytes(cpu, 32)
  const immediate = cpu.argumentLow(0)
  const count = immediate & WORDS ? 8 : 16
  const length = (i: number) =>
    isExplicit ? explicitLength(BigInt.asIntN(64, cpu.argument(i)), count) : undefined
  const a = textOf(bytes, 0, immediate, length(1))
  const b = textOf(bytes, 16, immediate, length(2))
  const { mask, flags } = compare(a, b, immediate)
  cpu.setResult(BigInt(flags))
  cpu.setResult(BigInt(indexOf(mask, count, immediate)), 1)
  expand(bytes.subarray(0, 16), mask, count, immediate)
}

const runExplicit = (cpu: Cpu) => run(cpu, true)
const runImplicit = (cpu: Cpu) => run(cpu, false)

for (const [name, opcode, isExplicit, isIndex] of [
  ['PCMPESTRM', '60', true, false],
  ['PCMPESTRI', '61', true, true],
  ['PCMPISTRM', '62', false, false],
  ['PCMPISTRI', '63', false, true],
] as const) {
  const row = `66 0F 3A ${opcode} /r Vx,Wx,Ib sse +sse4_2`
  define(name, [row], (e: Emitter, a: Operand, b: Operand, immediate: Operand) => {
    const { f } = e
    const second = e.read(b)
    putVectors(e, e.read(a), second)
    if (isExplicit) {
      const bits = e.shape.operandSize === 64 ? 64 : 32
      const length = (register: number) => e.signExtend(e.read(e.gpr(register, bits)), bits)
      e.host(runExplicit, e.read(immediate), length(S.RAX), length(S.RDX))
    } else e.host(runImplicit, e.read(immediate))
    if (isIndex) e.write(e.gpr(S.RCX, 32), f.wrap(e.hostResult(1)))
    else writeVector(e, { kind: 'vector', bits: 128, field: 0 }, takeVector(e))
    e.flags.assignImage(f.wrap(e.hostResult()))
  })
}

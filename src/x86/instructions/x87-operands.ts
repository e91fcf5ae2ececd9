// The operands of x87 instructions: stack registers by ModRM, and memory in five formats. They
// are loaded in emitted code and handed to TypeScript, which makes extended numbers of them.

import type { Value } from '../../wasm/value.ts'
import type { Cpu } from '../cpu.ts'
import type { Emitter } from '../emit/emitter.ts'
import type { HostInstruction } from '../host-instruction.ts'
import type { Float80 } from '../softfloat/context.ts'
import { fromInt, widen32, widen64 } from '../softfloat/x87-convert.ts'
import * as S from '../state.ts'
import { leaveMemoryTrace, leaveTrace, locate, waitForErrors } from './x87-emit.ts'
import { fromFloat, fromInteger, type Widened } from './x87-formats.ts'

/** A format of memory operands of arithmetic and comparisons. */
export type MemoryFormat = Kind & {
  /** Size letter in rows. */
  readonly size: 'w' | 'd' | 'q'
  /** Makes a number of a host instruction's first argument; SNaNs and denormals stay as such. */
  readonly take: (cpu: Cpu, into: Float80) => void
}

type Kind =
  | { readonly bits: 32 | 64; readonly isInteger: false }
  | { readonly bits: 16 | 32; readonly isInteger: true }

/** Upper half of a host instruction's first argument. */
export function argumentHigh(cpu: Cpu): number {
  return cpu.getI32(S.ARGUMENTS + 4)
}

const FLOAT_32: MemoryFormat = {
  bits: 32,
  size: 'd',
  isInteger: false,
  take: (cpu, into) => widen32(cpu.argumentLow(0), into),
}
const FLOAT_64: MemoryFormat = {
  bits: 64,
  size: 'q',
  isInteger: false,
  take: (cpu, into) => widen64(argumentHigh(cpu), cpu.argumentLow(0), into),
}
const INTEGER_16: MemoryFormat = {
  bits: 16,
  size: 'w',
  isInteger: true,
  take: (cpu, into) => fromInt((cpu.argumentLow(0) << 16) >> 16, into),
}
const INTEGER_32: MemoryFormat = {
  bits: 32,
  size: 'd',
  isInteger: true,
  take: (cpu, into) => fromInt(cpu.argumentLow(0), into),
}
/** ModRM.rm of the running host instruction: the i of ST(i). */
export function registerField(cpu: Cpu): number {
  return cpu.recordField('rm') & 7
}

/** First byte of a row such as `DC /0:m Mq x87`. */
export function opcodeOf(row: string): number {
  return Number.parseInt(row.slice(0, 2), 16)
}

/** What arithmetic and comparisons name their memory operands by: letter, opcode, format. */
export const MEMORY_FORMS = [
  ['F', 0xd8, FLOAT_32],
  ['F', 0xdc, FLOAT_64],
  ['FI', 0xda, INTEGER_32],
  ['FI', 0xde, INTEGER_16],
] as const satisfies readonly (readonly [string, number, MemoryFormat])[]

/** Emits an instruction on registers that runs in TypeScript. */
export function onRegisters(e: Emitter, opcode: number, run: HostInstruction): void {
  waitForErrors(e)
  e.host(run)
  leaveTrace(e, opcode)
}

/** Emits an instruction with a memory operand: `use` gets the status word and the operand. */
export function onMemory(
  e: Emitter,
  opcode: number,
  format: MemoryFormat,
  use: (status: Value, value: Value, source: Widened) => void,
): void {
  const status = waitForErrors(e)
  const place = locate(e, format.bits / 8, false)
  const value = e.memory.load(format.bits, place.linear)
  use(status, value, widen(e, format, value))
  leaveMemoryTrace(e, opcode, place)
}

function widen(e: Emitter, format: MemoryFormat, value: Value): Widened {
  if (!format.isInteger) return fromFloat(e, format.bits, value)
  return { isExact: e.f.i32(1), make: () => fromInteger(e, e.signExtend(value, format.bits)) }
}

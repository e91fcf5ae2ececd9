// The operands of x87 instructions: stack registers by ModRM, and memory in five formats. They
// are loaded in emitted code and handed to TypeScript, which makes extended numbers of them.

import type { Value } from '../../wasm/value.ts'
import type { Cpu } from '../cpu.ts'
import type { Emitter } from '../emit/emitter.ts'
import type { HostInstruction } from '../host-instruction.ts'
import type { Float80 } from '../softfloat/context.ts'
import { fromInt, fromInt64, widen32, widen64 } from '../softfloat/x87-convert.ts'
import * as S from '../state.ts'
import { leaveMemoryTrace, leaveTrace, locate, type Place, waitForErrors } from './x87-emit.ts'

/** A format of memory operands of arithmetic and comparisons. */
export interface MemoryFormat {
  readonly bits: 16 | 32 | 64
  /** Size letter in rows. */
  readonly size: 'w' | 'd' | 'q'
  readonly isInteger: boolean
  /** Makes a number of a host instruction's first argument; SNaNs and denormals stay as such. */
  readonly take: (cpu: Cpu, into: Float80) => void
}

/** Upper half of a host instruction's first argument. */
export function argumentHigh(cpu: Cpu): number {
  return cpu.getI32(S.ARGUMENTS + 4)
}

export const FLOAT_32: MemoryFormat = {
  bits: 32,
  size: 'd',
  isInteger: false,
  take: (cpu, into) => widen32(cpu.argumentLow(0), into),
}
export const FLOAT_64: MemoryFormat = {
  bits: 64,
  size: 'q',
  isInteger: false,
  take: (cpu, into) => widen64(argumentHigh(cpu), cpu.argumentLow(0), into),
}
export const INTEGER_16: MemoryFormat = {
  bits: 16,
  size: 'w',
  isInteger: true,
  take: (cpu, into) => fromInt((cpu.argumentLow(0) << 16) >> 16, into),
}
export const INTEGER_32: MemoryFormat = {
  bits: 32,
  size: 'd',
  isInteger: true,
  take: (cpu, into) => fromInt(cpu.argumentLow(0), into),
}
export const INTEGER_64: MemoryFormat = {
  bits: 64,
  size: 'q',
  isInteger: true,
  take: (cpu, into) => fromInt64(argumentHigh(cpu), cpu.argumentLow(0), into),
}

/** ModRM.rm of the running host instruction: the i of ST(i). */
export function registerField(cpu: Cpu): number {
  return cpu.recordField('rm') & 7
}

/** First opcode byte of a row such as `DC /0:m Mq x87`. */
export function opcodeOf(row: string): number {
  return Number.parseInt(row.slice(0, 2), 16)
}

/** Emits an instruction on registers that runs in TypeScript. */
export function onRegisters(e: Emitter, opcode: number, run: HostInstruction): void {
  waitForErrors(e)
  e.host(run)
  leaveTrace(e, opcode)
}

/** Emits an instruction that loads a memory operand: `use` gets its value. */
export function onMemory(
  e: Emitter,
  opcode: number,
  bits: number,
  use: (value: Value) => void,
): void {
  waitForErrors(e)
  const place: Place = locate(e, bits / 8, false)
  const value = e.memory.load(bits, place.linear)
  use(value)
  leaveMemoryTrace(e, opcode, place)
}

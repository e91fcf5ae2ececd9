// The exact way for SSE floating point: instructions in TypeScript, element by element through
// softfloat, with MXCSR's control and status and with exceptions. Emitted code comes here whenever
// it is not sure that WebAssembly gives the same. (SDM vol. 1, 11.5.)

import type { Type } from '../../wasm/opcodes.ts'
import type { Value } from '../../wasm/value.ts'
import type { Cpu } from '../cpu.ts'
import { type Emitter, UD, XM } from '../emit/emitter.ts'
import { GuestFault } from '../guest-fault.ts'
import type { HostInstruction } from '../host-instruction.ts'
import { CR4_OSXMMEXCPT } from '../mmu/walker.ts'
import { FloatContext, PE } from '../softfloat/context.ts'
import { settlePacked } from '../softfloat/sse-operands.ts'
import * as S from '../state.ts'
import { vectorWords } from './vector-arguments.ts'

/** All exceptions masked, to nearest, no DAZ, no FTZ, and PE already set. */
const USUAL = 0x1fa0
const USUAL_MASK = 0xffe0

/** One for all: instructions run one at a time, and none leaves anything in it. */
const context = new FloatContext()

/**
 * i32: MXCSR is in the state in which an inexact result to nearest changes nothing in it: what
 * WebAssembly computes is right if no other exception can occur.
 */
export function isUsual(e: Emitter): Value {
  const { f } = e
  return f.eq(f.and(e.stateLoad('i32.load', S.MXCSR), f.i32(USUAL_MASK)), f.i32(USUAL))
}

/**
 * i32: as {@link isUsual}, or PE is still clear but need not be set: the result is exact, which
 * `isExact` finds out.
 */
export function isUsualOr(e: Emitter, isExact: () => Value): Value {
  const { f } = e
  const control = f.and(e.stateLoad('i32.load', S.MXCSR), f.i32(USUAL_MASK))
  return f.choose(
    'i32',
    f.eq(control, f.i32(USUAL)),
    () => f.i32(1),
    () => f.choose('i32', f.eq(control, f.i32(USUAL & ~PE)), isExact, () => f.i32(0)),
    'likely',
  )
}

/** Puts operands (i32, i64 or v128) where {@link exact} instructions find them, 16 bytes each. */
function putOperands(e: Emitter, operands: readonly Value[]): void {
  for (const [i, operand] of operands.entries()) {
    e.stateStore(`${operand.type as 'i32'}.store`, S.BOUNCE + 16 * i, operand)
  }
}

/** Runs an exact instruction on operands; gives its result. */
export function runExact(
  e: Emitter,
  run: HostInstruction,
  type: Exclude<Type, 'f32' | 'f64'>,
  ...operands: Value[]
): Value {
  if (!e.canRetreat) putOperands(e, operands)
  e.host(run)
  return e.stateLoad(`${type as 'i32'}.load`, S.BOUNCE)
}

/**
 * An instruction that computes on words: `compute` reads its operands from `words` at `at` (the
 * second four further, and so on) and replaces the first by the result. MXCSR and exceptions are
 * taken care of around it; an unmasked exception leaves the registers alone. An instruction of
 * several {@link step}s says itself whether all its exceptions are masked.
 */
export function exact(
  compute: (ctx: FloatContext, words: Int32Array, at: number) => boolean | void,
): HostInstruction {
  return (cpu: Cpu) => {
    const mxcsr = cpu.getI32(S.MXCSR)
    context.setMxcsr(mxcsr)
    context.flags = 0
    const isSettled = compute(context, cpu.engine.memory.i32, vectorWords(cpu))
    const isMasked = isSettled ?? settlePacked(context)
    cpu.set32(S.MXCSR, mxcsr | context.flags)
    if (!isMasked) throw new GuestFault(cpu.cr4 & CR4_OSXMMEXCPT ? XM : UD)
  }
}

/** A step of an instruction, with exceptions of its own: false if one of them is unmasked. */
export function step(ctx: FloatContext, compute: () => void): boolean {
  const before = ctx.flags
  ctx.flags = 0
  compute()
  const isMasked = settlePacked(ctx)
  ctx.flags |= before
  return isMasked
}

/** One element of binary32 from two, and of binary64 into `ctx.hi` and `ctx.lo`. */
export type Element32 = (ctx: FloatContext, a: number, b: number) => number
export type Element64 = (
  ctx: FloatContext,
  aHi: number,
  aLo: number,
  bHi: number,
  bLo: number,
) => void

/** The same operation on the first `count` elements. */
export function exact32(operation: Element32, count: number): HostInstruction {
  return exact((ctx, words, at) => {
    for (let i = at; i < at + count; i++) {
      words[i] = operation(ctx, words[i] as number, words[i + 4] as number)
    }
  })
}

/** The same operation on the first `count` elements. */
export function exact64(operation: Element64, count: number): HostInstruction {
  return exact((ctx, words, at) => {
    for (let i = at; i < at + 2 * count; i += 2) {
      const [aLo, aHi] = [words[i] as number, words[i + 1] as number]
      operation(ctx, aHi, aLo, words[i + 5] as number, words[i + 4] as number)
      words[i] = ctx.lo
      words[i + 1] = ctx.hi
    }
  })
}

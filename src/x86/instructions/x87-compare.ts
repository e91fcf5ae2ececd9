// x87 comparisons: FCOM and FUCOM with their popping, integer and EFLAGS forms, FTST and FXAM.
// (SDM vol. 1, 8.3.6 and tables 8-5 to 8-7; vol. 2A, each page.)
//
// The condition codes are set even if an exception is unmasked; only the pops are left out then.

import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import type { HostInstruction } from '../host-instruction.ts'
import { Float80 } from '../softfloat/context.ts'
import { compare80, examine80, UNORDERED } from '../softfloat/x87-compare.ts'
import { stack } from '../system/x87-stack.ts'
import * as X from '../system/x87-words.ts'
import {
  FLOAT_32,
  FLOAT_64,
  INTEGER_16,
  INTEGER_32,
  type MemoryFormat,
  onMemory,
  onRegisters,
  registerField,
} from './x87-operands.ts'

const CODES = X.C0 | X.C2 | X.C3
const a = new Float80()
const b = new Float80()
const ZERO = new Float80()

function finish(order: number, pops: number): void {
  stack.setConditions(CODES, order << 8)
  if (stack.isMasked) for (let i = 0; i < pops; i++) stack.pop()
  stack.end()
}

function withMemory(format: MemoryFormat, pops: number): HostInstruction {
  return (cpu) => {
    stack.begin(cpu)
    let order = UNORDERED
    if (stack.isEmpty(0)) stack.underflow()
    else {
      format.take(cpu, b)
      order = compare80(stack.context, stack.get(0, a), b, false)
    }
    finish(order, pops)
  }
}

function orderOf(i: number, isQuiet: boolean): number {
  if (!stack.isEmpty(0) && !stack.isEmpty(i)) {
    return compare80(stack.context, stack.get(0, a), stack.get(i, b), isQuiet)
  }
  stack.underflow()
  return UNORDERED
}

function withRegister(isQuiet: boolean, pops: number): HostInstruction {
  return (cpu) => {
    stack.begin(cpu)
    finish(orderOf(registerField(cpu), isQuiet), pops)
  }
}

/** Leaves the order for EFLAGS as its result. */
function intoFlags(isQuiet: boolean, pops: number): HostInstruction {
  return (cpu) => {
    stack.begin(cpu)
    const i = registerField(cpu)
    const order = orderOf(i, isQuiet)
    // C1 stays as it was unless the stack is at fault (as measured on AMD processors).
    if (!stack.isEmpty(0) && !stack.isEmpty(i)) stack.context.c1 = (stack.status & X.C1) >> 9
    if (pops > 0 && stack.isMasked) stack.pop()
    stack.end()
    cpu.setResult(BigInt(order))
  }
}

for (const [name, pops] of [
  ['FCOM', 0],
  ['FCOMP', 1],
] as const) {
  for (const [letters, opcode, format] of [
    ['F', 0xd8, FLOAT_32],
    ['F', 0xdc, FLOAT_64],
    ['FI', 0xda, INTEGER_32],
    ['FI', 0xde, INTEGER_16],
  ] as const) {
    const run = withMemory(format, pops)
    const row = `${opcode.toString(16).toUpperCase()} /${2 + pops}:m M${format.size} x87`
    define(letters + name.slice(1), [row], (e) =>
      onMemory(e, opcode, format.bits, (value) => e.host(run, value)))
  }
}

// The forms on registers; those at DC and DE repeat others and are in no manual.
for (const [name, row, isQuiet, pops] of [
  ['FCOM', 'D8 /2:r Tt x87', false, 0],
  ['FCOM', 'DC /2:r Tt x87', false, 0],
  ['FCOMP', 'D8 /3:r Tt x87', false, 1],
  ['FCOMP', 'DC /3:r Tt x87', false, 1],
  ['FCOMP', 'DE /2:r Tt x87', false, 1],
  ['FCOMPP', 'DE /3:1 x87', false, 2],
  ['FUCOM', 'DD /4:r Tt x87', true, 0],
  ['FUCOMP', 'DD /5:r Tt x87', true, 1],
  ['FUCOMPP', 'DA /5:1 x87', true, 2],
] as const) {
  const run = withRegister(isQuiet, pops)
  define(name, [row], (e) => onRegisters(e, Number.parseInt(row.slice(0, 2), 16), run))
}

/** ZF, PF and CF from an order; OF, SF and AF become 0. */
function assignFlags(e: Emitter): void {
  const { f } = e
  const order = f.wrap(e.hostResult())
  const bit = (n: number) => f.and(f.shrU(order, f.i32(n)), f.i32(1))
  const none = f.i32(0)
  e.flags.assign({ cf: bit(0), pf: bit(2), zf: bit(6), af: none, sf: none, of: none })
}

for (const [name, row, isQuiet, pops] of [
  ['FCOMI', 'DB /6:r Tt x87 +cmov', false, 0],
  ['FCOMIP', 'DF /6:r Tt x87 +cmov', false, 1],
  ['FUCOMI', 'DB /5:r Tt x87 +cmov', true, 0],
  ['FUCOMIP', 'DF /5:r Tt x87 +cmov', true, 1],
] as const) {
  const run = intoFlags(isQuiet, pops)
  define(name, [row], (e) => {
    onRegisters(e, Number.parseInt(row.slice(0, 2), 16), run)
    assignFlags(e)
  })
}

function test(order: (isEmpty: boolean) => number): HostInstruction {
  return (cpu) => {
    stack.begin(cpu)
    finish(order(stack.isEmpty(0)), 0)
  }
}

const testZero = test((isEmpty) => {
  if (!isEmpty) return compare80(stack.context, stack.get(0, a), ZERO, false)
  stack.underflow()
  return UNORDERED
})
define('FTST', ['D9 /4:4 x87'], (e) => onRegisters(e, 0xd9, testZero))

const EMPTY = X.C3 | X.C0
const examine: HostInstruction = (cpu) => {
  stack.begin(cpu)
  const found = examine80(stack.get(0, a))
  stack.context.c1 = (found & X.C1) >> 9
  stack.setConditions(CODES, stack.isEmpty(0) ? EMPTY : found & CODES)
  stack.end()
}
define('FXAM', ['D9 /4:5 x87'], (e) => onRegisters(e, 0xd9, examine))

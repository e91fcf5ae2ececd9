// x87 comparisons: FCOM and FUCOM with their popping, integer and EFLAGS forms, FTST and FXAM.
// (SDM vol. 1, 8.3.6 and tables 8-5 to 8-7; vol. 2A, each page.)
//
// The condition codes are set even if an exception is unmasked; only the pops are left out then.

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import type { HostInstruction } from '../host-instruction.ts'
import { Float80 } from '../softfloat/context.ts'
import { compare80, examine80, UNORDERED } from '../softfloat/x87-compare.ts'
import { stack } from '../system/x87-stack.ts'
import * as X from '../system/x87-words.ts'
import { commonly } from './common-case.ts'
import {
  above,
  isValid,
  leaveTrace,
  loadRegister,
  rotated,
  slotOf,
  storeStatus,
  topOf,
  vacate,
  waitForErrors,
} from './x87-emit.ts'
import { isPlain, orderOf as orderOfPlain } from './x87-fast.ts'
import type { Extended } from './x87-formats.ts'
import {
  MEMORY_FORMS,
  type MemoryFormat,
  onMemory,
  onRegisters,
  opcodeOf,
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

/** i32: order of two numbers if emitted code can tell, i.e. if `isRight` is not 0. */
function quickOrder(e: Emitter, x: Extended, y: Extended) {
  return { isRight: e.f.and(isPlain(e, x), isPlain(e, y)), order: orderOfPlain(e, x, y) }
}

/** Sets C3, C2 and C0 and pops. */
function settle(e: Emitter, status: Value, order: Value, pops: number): void {
  const { f } = e
  const top = topOf(e, status)
  for (let i = 0; i < pops; i++) vacate(e, above(e, top, f.i32(i)))
  const kept = f.and(status, f.i32(~(CODES | X.C1)))
  storeStatus(e, rotated(e, f.or(kept, f.shl(order, f.i32(8))), pops))
}

for (const [name, pops] of [
  ['COM', 0],
  ['COMP', 1],
] as const) {
  for (const [letters, opcode, format] of MEMORY_FORMS) {
    const run = withMemory(format, pops)
    const row = `${opcode.toString(16).toUpperCase()} /${2 + pops}:m M${format.size} x87`
    define(letters + name, [row], (e) =>
      onMemory(e, opcode, format, (status, value, source) => {
        const { f } = e
        const top = topOf(e, status)
        const { isRight, order } = quickOrder(e, loadRegister(e, slotOf(e, top)), source.make())
        commonly(
          e,
          f.and(f.and(isRight, source.isExact), isValid(e, top)),
          () => settle(e, status, order, pops),
          () => e.host(run, value),
        )
      }),
    )
  }
}

/** Compares ST(0) with another register: `quick` gets status word and order, else `run` runs. */
function compareRegisters(
  e: Emitter,
  other: Value,
  quick: (status: Value, order: Value) => void,
  slow: () => void,
): void {
  const { f } = e
  const status = waitForErrors(e)
  const top = topOf(e, status)
  const second = above(e, top, other)
  const x = loadRegister(e, slotOf(e, top))
  const { isRight, order } = quickOrder(e, x, loadRegister(e, slotOf(e, second)))
  commonly(
    e,
    f.and(isRight, f.and(isValid(e, top), isValid(e, second))),
    () => quick(status, order),
    slow,
  )
}

// The forms on registers; those of FCOM and FCOMP at DC and DE are in no manual.
for (const [name, row, isQuiet, pops] of [
  ['FCOM', 'D8 /2:r', false, 0],
  ['FCOM', 'DC /2:r', false, 0],
  ['FCOMP', 'D8 /3:r', false, 1],
  ['FCOMP', 'DC /3:r', false, 1],
  ['FCOMP', 'DE /2:r', false, 1],
  ['FCOMPP', 'DE /3:1', false, 2],
  ['FUCOM', 'DD /4:r', true, 0],
  ['FUCOMP', 'DD /5:r', true, 1],
  ['FUCOMPP', 'DA /5:1', true, 2],
] as const) {
  const run = withRegister(isQuiet, pops)
  define(name, [pops === 2 ? `${row} x87` : `${row} Tt x87`], (e, register) => {
    const other = register ? e.registerNumber(register) : e.f.i32(1)
    const quick = (status: Value, order: Value) => settle(e, status, order, pops)
    compareRegisters(e, other, quick, () => e.host(run))
    leaveTrace(e, opcodeOf(row))
  })
}

/** ZF, PF and CF from an order; OF, SF and AF become 0. */
function assignFlags(e: Emitter, order: Value): void {
  const { f } = e
  const bit = (n: number) => f.and(f.shrU(order, f.i32(n)), f.i32(1))
  const none = f.i32(0)
  e.flags.assign({ cf: bit(0), pf: bit(2), zf: bit(6), af: none, sf: none, of: none })
}

for (const [name, row, isQuiet, pops] of [
  ['FCOMI', 'DB /6:r', false, 0],
  ['FCOMIP', 'DF /6:r', false, 1],
  ['FUCOMI', 'DB /5:r', true, 0],
  ['FUCOMIP', 'DF /5:r', true, 1],
] as const) {
  const run = intoFlags(isQuiet, pops)
  define(name, [`${row} Tt x87 +cmov`], (e, register) => {
    const { f } = e
    compareRegisters(
      e,
      e.registerNumber(register),
      (status, order) => {
        assignFlags(e, order)
        if (pops === 0) return
        vacate(e, topOf(e, status))
        storeStatus(e, rotated(e, status, pops))
      },
      () => {
        e.host(run)
        assignFlags(e, f.wrap(e.hostResult()))
      },
    )
    leaveTrace(e, opcodeOf(row))
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

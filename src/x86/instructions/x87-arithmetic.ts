// x87 arithmetic with two operands: FADD, FMUL, FSUB, FSUBR, FDIV and FDIVR on registers (also
// into ST(i), also popping) and with memory operands of 32 and 64 bits and 16- and 32-bit
// integers. (SDM vol. 1, 8.3.5; vol. 2A, each page.)
//
// Ordinary operands are computed in emitted code (x87-fast.ts), all others in TypeScript.

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import type { HostInstruction } from '../host-instruction.ts'
import { type FloatContext, Float80 } from '../softfloat/context.ts'
import { add80, div80, mul80, sub80 } from '../softfloat/x87-arithmetic.ts'
import { INDEFINITE, stack } from '../system/x87-stack.ts'
import { commonly } from './common-case.ts'
import {
  above,
  isValid,
  leaveTrace,
  loadRegister,
  rotated,
  slotOf,
  storeRegister,
  storeStatus,
  topOf,
  vacate,
  waitForErrors,
  withoutC1,
} from './x87-emit.ts'
import { compute, type FastOperation } from './x87-fast.ts'
import type { Extended } from './x87-formats.ts'
import { MEMORY_FORMS, type MemoryFormat, onMemory, registerField } from './x87-operands.ts'

type Operation = (ctx: FloatContext, a: Float80, b: Float80, out: Float80) => boolean

interface Arithmetic {
  readonly operation: FastOperation
  readonly isReversed: boolean
  readonly exact: Operation
}

const a = new Float80()
const b = new Float80()
const result = new Float80()

const reversed =
  (operation: Operation): Operation =>
  (ctx, x, y, out) =>
    operation(ctx, y, x, out)

/** ST(0) op memory into ST(0). */
function withMemory(operation: Operation, format: MemoryFormat): HostInstruction {
  return (cpu) => {
    stack.begin(cpu)
    if (stack.isEmpty(0)) {
      if (stack.underflow()) stack.put(0, INDEFINITE)
    } else {
      format.take(cpu, b)
      if (operation(stack.context, stack.get(0, a), b, result)) stack.put(0, result)
    }
    stack.end()
  }
}

/** ST(0) op ST(i) into ST(0), or ST(i) op ST(0) into ST(i). */
function withRegister(operation: Operation, isIntoTop: boolean, pops: boolean): HostInstruction {
  return (cpu) => {
    const i = registerField(cpu)
    const [to, other] = isIntoTop ? [0, i] : [i, 0]
    stack.begin(cpu)
    let isStored = false
    if (stack.isEmpty(0) || stack.isEmpty(i)) {
      isStored = stack.underflow()
      result.copy(INDEFINITE)
    } else {
      isStored = operation(stack.context, stack.get(to, a), stack.get(other, b), result)
    }
    if (isStored) {
      stack.put(to, result)
      if (pops) stack.pop()
    }
    stack.end()
  }
}

/** Emits a op b into the register `to` if emitted code can compute it, else runs `slow`. */
function computeOr(
  e: Emitter,
  { operation, isReversed }: Arithmetic,
  [x, y]: readonly [Extended, Extended],
  isReady: Value,
  status: Value,
  to: Value,
  pops: boolean,
  slow: () => void,
): void {
  const { f } = e
  const result = isReversed ? compute(e, operation, y, x) : compute(e, operation, x, y)
  commonly(
    e,
    f.and(result.isRight, isReady),
    () => {
      storeRegister(e, slotOf(e, to), result.significand, result.signExponent)
      const next = f.or(withoutC1(e, status), result.flags)
      if (pops) vacate(e, topOf(e, status))
      storeStatus(e, rotated(e, next, pops ? 1 : 0))
    },
    slow,
  )
}

// Digit of D8 (ST(0) op source) and of DC and DE (ST(i) op ST(0)): there the digits of the
// reversed forms are exchanged.
for (const [name, digit, intoRegister, arithmetic] of [
  ['ADD', 0, 0, { operation: 'add', isReversed: false, exact: add80 }],
  ['MUL', 1, 1, { operation: 'mul', isReversed: false, exact: mul80 }],
  ['SUB', 4, 5, { operation: 'sub', isReversed: false, exact: sub80 }],
  ['SUBR', 5, 4, { operation: 'sub', isReversed: true, exact: reversed(sub80) }],
  ['DIV', 6, 7, { operation: 'div', isReversed: false, exact: div80 }],
  ['DIVR', 7, 6, { operation: 'div', isReversed: true, exact: reversed(div80) }],
] as const satisfies readonly (readonly [string, number, number, Arithmetic])[]) {
  for (const [letter, opcode, format] of MEMORY_FORMS) {
    const run = withMemory(arithmetic.exact, format)
    define(letter + name, [`${hex(opcode)} /${digit}:m M${format.size} x87`], (e) =>
      onMemory(e, opcode, format, (status, value, source) => {
        const top = topOf(e, status)
        const operands = [loadRegister(e, slotOf(e, top)), source.make()] as const
        const isReady = e.f.and(source.isExact, isValid(e, top))
        const slow = () => e.host(run, value)
        computeOr(e, arithmetic, operands, isReady, status, top, false, slow)
      }),
    )
  }
  for (const [suffix, opcode, to, isIntoTop, pops] of [
    ['', 0xd8, digit, true, false],
    ['', 0xdc, intoRegister, false, false],
    ['P', 0xde, intoRegister, false, true],
  ] as const) {
    const run = withRegister(arithmetic.exact, isIntoTop, pops)
    define(`F${name}${suffix}`, [`${hex(opcode)} /${to}:r Tt x87`], (e, register) => {
      const status = waitForErrors(e)
      const top = topOf(e, status)
      const other = above(e, top, e.registerNumber(register))
      const [into, from] = isIntoTop ? [top, other] : [other, top]
      const operands = [loadRegister(e, slotOf(e, into)), loadRegister(e, slotOf(e, from))] as const
      const isReady = e.f.and(isValid(e, top), isValid(e, other))
      computeOr(e, arithmetic, operands, isReady, status, into, pops, () => e.host(run))
      leaveTrace(e, opcode)
    })
  }
}

function hex(opcode: number): string {
  return opcode.toString(16).toUpperCase()
}

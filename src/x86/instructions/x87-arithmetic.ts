// x87 arithmetic with two operands: FADD, FMUL, FSUB, FSUBR, FDIV and FDIVR on registers (also
// into ST(i), also popping) and with memory operands of 32 and 64 bits and 16- and 32-bit
// integers. (SDM vol. 1, 8.3.5; vol. 2A, each page.)

import { define } from '../decode/define.ts'
import type { HostInstruction } from '../host-instruction.ts'
import { type FloatContext, Float80 } from '../softfloat/context.ts'
import { add80, div80, mul80, sub80 } from '../softfloat/x87-arithmetic.ts'
import { INDEFINITE, stack } from '../system/x87-stack.ts'
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

type Operation = (ctx: FloatContext, a: Float80, b: Float80, out: Float80) => boolean

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

// Digit of D8 (ST(0) op source) and of DC and DE (ST(i) op ST(0)): there the digits of the
// reversed forms are exchanged.
for (const [name, digit, intoRegister, operation] of [
  ['ADD', 0, 0, add80],
  ['MUL', 1, 1, mul80],
  ['SUB', 4, 5, sub80],
  ['SUBR', 5, 4, reversed(sub80)],
  ['DIV', 6, 7, div80],
  ['DIVR', 7, 6, reversed(div80)],
] as const) {
  for (const [letter, opcode, format] of [
    ['F', 0xd8, FLOAT_32],
    ['F', 0xdc, FLOAT_64],
    ['FI', 0xda, INTEGER_32],
    ['FI', 0xde, INTEGER_16],
  ] as const) {
    const run = withMemory(operation, format)
    define(letter + name, [`${hex(opcode)} /${digit}:m M${format.size} x87`], (e) =>
      onMemory(e, opcode, format.bits, (value) => e.host(run, value)))
  }
  for (const [suffix, opcode, to, isIntoTop, pops] of [
    ['', 0xd8, digit, true, false],
    ['', 0xdc, intoRegister, false, false],
    ['P', 0xde, intoRegister, false, true],
  ] as const) {
    const run = withRegister(operation, isIntoTop, pops)
    define(`F${name}${suffix}`, [`${hex(opcode)} /${to}:r Tt x87`], (e) =>
      onRegisters(e, opcode, run))
  }
}

function hex(opcode: number): string {
  return opcode.toString(16).toUpperCase()
}

// From the operand forms of a row to the operands that its meaning gets, once it is known
// whether ModRM names a register or memory, and how wide the operation is.

import { Bug } from '../../base/errors.ts'
import type { OperandForm, OperandSize } from '../decode/operand.ts'
import type { Row } from '../decode/row.ts'
import { FORM_REGISTER, type Operand, type RegisterField, type Shape } from '../emit/operand.ts'

type GprBits = 8 | 16 | 32 | 64

/** The operands of a row for one shape. */
export function bindOperands(row: Row, shape: Shape): Operand[] {
  let immediates = 0
  return row.operands.map((form) => {
    const isImmediate = form.kind === 'I'
    const operand = bind(form, row, shape, isImmediate && immediates > 0)
    if (isImmediate) immediates++
    return operand
  })
}

/** Width of an operand size letter, in bits; 0 where the meaning chooses. */
function bitsOf(size: OperandSize, shape: Shape): number {
  switch (size) {
    case 'b':
      return 8
    case 'w':
      return 16
    case 'd':
    case 'ss':
      return 32
    case 'q':
    case 'sd':
      return 64
    case 'x':
      return 128
    case 't':
      return 80
    case 'v':
    case 'z':
      return shape.operandSize
    case 'y':
      return shape.operandSize === 64 ? 64 : 32
    default:
      return 0
  }
}

function bind(form: OperandForm, row: Row, shape: Shape, second: boolean): Operand {
  const bits = bitsOf(form.size, shape)
  const gpr = (field: RegisterField): Operand => ({
    kind: 'gpr',
    bits: bits as GprBits,
    field,
  })
  const memory = (): Operand => ({ kind: 'memory', bits, aligned: row.attributes.has('align') })
  const isMemory = shape.form !== FORM_REGISTER
  switch (form.kind) {
    case 'E':
      return isMemory ? memory() : gpr('rm')
    case 'R':
    case 'Z':
      return gpr('rm')
    case 'B':
      return gpr('vvvv')
    case 'G':
      return gpr('reg')
    case 'M':
      return memory()
    case 'I':
      return { kind: 'immediate', bits, second }
    case 'J':
      return { kind: 'relative', bits }
    case 'O':
      return { kind: 'offset', bits }
    case 'S':
      return { kind: 'segment', bits, field: 'reg' }
    case 'C':
      return { kind: 'control', bits, field: 'reg' }
    case 'D':
      return { kind: 'debug', bits, field: 'reg' }
    case 'V':
      return { kind: 'vector', bits, field: 'reg' }
    case 'U':
      return { kind: 'vector', bits, field: 'rm' }
    case 'W':
      return isMemory ? memory() : { kind: 'vector', bits, field: 'rm' }
    case 'P':
      return { kind: 'mmx', bits, field: 'reg' }
    case 'N':
      return { kind: 'mmx', bits, field: 'rm' }
    case 'Q':
      return isMemory ? memory() : { kind: 'mmx', bits, field: 'rm' }
    case 'T':
      return { kind: 'x87', bits, field: 'rm' }
    case 'X':
      return { kind: 'string', bits, source: true }
    case 'Y':
      return { kind: 'string', bits, source: false }
    case 'A':
      return { kind: 'far', bits: shape.operandSize }
    case 'fixed':
      return bindFixed(form, bits)
  }
}

function bindFixed(form: OperandForm, bits: number): Operand {
  if (!form.fixed) throw new Bug(`${form.text} names nothing`)
  const field = form.fixed.number
  switch (form.fixed.class) {
    case 'gpr':
      return { kind: 'gpr', bits: bits as GprBits, field }
    case 'segment':
      return { kind: 'segment', bits: 16, field }
    case 'x87':
      return { kind: 'x87', bits: 80, field }
    case 'xmm':
      return { kind: 'vector', bits: 128, field }
    case 'constant':
      return { kind: 'constant', bits, value: field }
  }
}

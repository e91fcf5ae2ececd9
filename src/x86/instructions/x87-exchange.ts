// x87 instructions that move or change registers without rounding: FXCH, FCHS, FABS and FCMOVcc.
// (SDM vol. 1, 8.3.3; vol. 2A, each page.)

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import type { HostInstruction } from '../host-instruction.ts'
import { Float80 } from '../softfloat/context.ts'
import { INDEFINITE, stack } from '../system/x87-stack.ts'
import { commonly } from './common-case.ts'
import {
  above,
  isValid,
  leaveTrace,
  loadSignExponent,
  loadSignificand,
  slotOf,
  storeRegister,
  storeStatus,
  topOf,
  waitForErrors,
  withoutC1,
} from './x87-emit.ts'
import { registerField } from './x87-operands.ts'

const a = new Float80()
const b = new Float80()

const exchangeEmpty: HostInstruction = (cpu) => {
  const i = registerField(cpu)
  stack.begin(cpu)
  const [isEmptyTop, isEmptyOther] = [stack.isEmpty(0), stack.isEmpty(i)]
  if (stack.underflow()) {
    stack.get(0, a)
    stack.get(i, b)
    stack.put(0, isEmptyOther ? INDEFINITE : b)
    stack.put(i, isEmptyTop ? INDEFINITE : a)
  }
  stack.end()
}

const underflow: HostInstruction = (cpu) => {
  stack.begin(cpu)
  if (stack.underflow()) stack.put(0, INDEFINITE)
  stack.end()
}

/**
 * Runs `change` on the slots of ST(0) and another register if neither is empty. FCMOVcc leaves C1
 * as it was (as measured on AMD processors).
 */
function onPair(
  e: Emitter,
  other: Value,
  change: (top: Value, other: Value) => void,
  slow: HostInstruction,
  keepsC1 = false,
): void {
  const { f } = e
  const status = waitForErrors(e)
  const top = topOf(e, status)
  const second = above(e, top, other)
  commonly(
    e,
    f.and(isValid(e, top), isValid(e, second)),
    () => {
      change(slotOf(e, top), slotOf(e, second))
      if (!keepsC1) storeStatus(e, withoutC1(e, status))
    },
    () => e.host(slow),
  )
}

// The forms at DD and DF are in no manual.
for (const [row, opcode] of [
  ['D9 /1:r Tt x87', 0xd9],
  ['DD /1:r Tt x87', 0xdd],
  ['DF /1:r Tt x87', 0xdf],
] as const) {
  define('FXCH', [row], (e, register) => {
    onPair(
      e,
      e.registerNumber(register),
      (top, other) => {
        const significand = loadSignificand(e, top)
        const signExponent = loadSignExponent(e, top)
        storeRegister(e, top, loadSignificand(e, other), loadSignExponent(e, other))
        storeRegister(e, other, significand, signExponent)
      },
      exchangeEmpty,
    )
    leaveTrace(e, opcode)
  })
}

for (const [name, rm] of [
  ['FCHS', 0],
  ['FABS', 1],
] as const) {
  define(name, [`D9 /4:${rm} x87`], (e) => {
    const { f } = e
    onPair(
      e,
      f.i32(0),
      (top) => {
        const old = loadSignExponent(e, top)
        const changed = rm === 0 ? f.xor(old, f.i32(0x8000)) : f.and(old, f.i32(0x7fff))
        storeRegister(e, top, loadSignificand(e, top), changed)
      },
      underflow,
    )
    leaveTrace(e, 0xd9)
  })
}

const BELOW = 2
const EQUAL = 4
const BELOW_OR_EQUAL = 6
const PARITY = 10

for (const [name, digit, condition] of [
  ['B', 0, BELOW],
  ['E', 1, EQUAL],
  ['BE', 2, BELOW_OR_EQUAL],
  ['U', 3, PARITY],
] as const) {
  for (const opcode of [0xda, 0xdb]) {
    const isNegated = opcode === 0xdb
    const row = `${opcode.toString(16).toUpperCase()} /${digit}:r Tt x87 +cmov`
    define(`FCMOV${isNegated ? 'N' : ''}${name}`, [row], (e, register) => {
      const { f } = e
      onPair(
        e,
        e.registerNumber(register),
        (top, other) => {
          const isMoved = e.flags.condition(isNegated ? condition + 1 : condition)
          const from = f.select(isMoved, other, top)
          storeRegister(e, top, loadSignificand(e, from), loadSignExponent(e, from))
        },
        underflow,
        true,
      )
      leaveTrace(e, opcode)
    })
  }
}

// x87 functions of ST(0), and of ST(0) and ST(1): FSQRT, FRNDINT, FSCALE, FXTRACT, FPREM, FPREM1,
// F2XM1, FYL2X, FYL2XP1, FSIN, FCOS, FSINCOS, FPTAN and FPATAN. (SDM vol. 2A, each page.)

import { define } from '../decode/define.ts'
import type { HostInstruction } from '../host-instruction.ts'
import { DE, type FloatContext, Float80, IE } from '../softfloat/context.ts'
import { sqrt80 } from '../softfloat/x87-arithmetic.ts'
import { exp2Minus1, yLog2, yLog2Plus1 } from '../softfloat/x87-exponential.ts'
import { extract80, roundInt80, scale80 } from '../softfloat/x87-integer.ts'
import { remainder80 } from '../softfloat/x87-remainder.ts'
import {
  atan80,
  cos80,
  DONE,
  OUT_OF_RANGE,
  sin80,
  sinCos80,
  tan80,
} from '../softfloat/x87-trigonometry.ts'
import { INDEFINITE, stack } from '../system/x87-stack.ts'
import * as X from '../system/x87-words.ts'
import { onRegisters } from './x87-operands.ts'

const a = new Float80()
const b = new Float80()
const result = new Float80()
const pushed = new Float80()

function defineFunction(name: string, row: string, run: HostInstruction): void {
  define(name, [`${row} x87`], (e) => onRegisters(e, 0xd9, run))
}

// ST(0) = f(ST(0)).
for (const [name, row, operation] of [
  ['FSQRT', 'D9 /7:2', sqrt80],
  ['FRNDINT', 'D9 /7:4', roundInt80],
  ['F2XM1', 'D9 /6:0', exp2Minus1],
] as const) {
  defineFunction(name, row, (cpu) => {
    stack.begin(cpu)
    if (stack.isEmpty(0)) {
      if (stack.underflow()) stack.put(0, INDEFINITE)
    } else if (operation(stack.context, stack.get(0, a), result)) stack.put(0, result)
    stack.end()
  })
}

// ST(1) = f(ST(0), ST(1)), and a pop; FSCALE: ST(0) without one.
for (const [name, row, operation, pops] of [
  ['FYL2X', 'D9 /6:1', yLog2, true],
  ['FYL2XP1', 'D9 /7:1', yLog2Plus1, true],
  ['FPATAN', 'D9 /6:3', atan80, true],
  ['FSCALE', 'D9 /7:5', scale80, false],
] as const) {
  defineFunction(name, row, (cpu) => {
    stack.begin(cpu)
    let isStored = false
    if (stack.isEmpty(0) || stack.isEmpty(1)) {
      isStored = stack.underflow()
      result.copy(INDEFINITE)
    } else isStored = operation(stack.context, stack.get(0, a), stack.get(1, b), result)
    if (isStored) {
      stack.put(pops ? 1 : 0, result)
      if (pops) stack.pop()
    }
    stack.end()
  })
}

// The remainder of ST(0) by ST(1).
for (const [name, row, isNearest] of [
  ['FPREM', 'D9 /7:0', false],
  ['FPREM1', 'D9 /6:5', true],
] as const) {
  defineFunction(name, row, (cpu) => {
    stack.begin(cpu)
    if (stack.isEmpty(0) || stack.isEmpty(1)) {
      if (stack.underflow()) stack.put(0, INDEFINITE)
      stack.setConditions(X.C2, 0)
    } else {
      stack.get(0, a)
      result.copy(a)
      const { context } = stack
      const codes = remainder80(context, a, stack.get(1, b), isNearest, result)
      stack.put(0, result)
      // Without a quotient C0 and C3 stay as they were (as measured on AMD processors).
      const isStopped = (context.flags & ~context.masks & (IE | DE)) !== 0
      const isNumber = (result.se & 0x7fff) !== 0x7fff
      stack.setConditions(isNumber && !isStopped ? X.C0 | X.C2 | X.C3 : X.C2, codes)
    }
    stack.end()
  })
}

// ST(0) = f(ST(0)) if that is in range.
for (const [name, row, operation] of [
  ['FSIN', 'D9 /7:6', sin80],
  ['FCOS', 'D9 /7:7', cos80],
] as const) {
  defineFunction(name, row, (cpu) => {
    stack.begin(cpu)
    if (stack.isEmpty(0)) {
      if (stack.underflow()) stack.put(0, INDEFINITE)
      stack.setConditions(X.C2, 0)
    } else {
      const answer = operation(stack.context, stack.get(0, a), result)
      if (answer === DONE) stack.put(0, result)
      stack.setConditions(X.C2, answer === OUT_OF_RANGE ? X.C2 : 0)
    }
    stack.end()
  })
}

type Pair = (ctx: FloatContext, x: Float80, replaced: Float80, pushed: Float80) => number

const extract: Pair = (ctx, x, exponent, significand) =>
  extract80(ctx, x, exponent, significand) ? DONE : -1

// ST(0) is replaced and another value pushed.
for (const [name, row, operation] of [
  ['FSINCOS', 'D9 /7:3', sinCos80],
  ['FPTAN', 'D9 /6:2', tan80],
  ['FXTRACT', 'D9 /6:4', extract],
] as const satisfies readonly (readonly [string, string, Pair])[]) {
  const hasRange = operation !== extract
  defineFunction(name, row, (cpu) => {
    stack.begin(cpu)
    let isStored = false
    let isOutOfRange = false
    if (stack.isEmpty(0) || !stack.isEmpty(7)) {
      isStored = stack.isEmpty(0) ? stack.underflow() : stack.overflow()
      result.copy(INDEFINITE)
      pushed.copy(INDEFINITE)
    } else {
      const answer = operation(stack.context, stack.get(0, a), result, pushed)
      isStored = answer === DONE
      isOutOfRange = answer === OUT_OF_RANGE
    }
    if (hasRange) stack.setConditions(X.C2, isOutOfRange ? X.C2 : 0)
    if (isStored) {
      stack.put(0, result)
      stack.push(pushed)
    }
    stack.end()
  })
}

// The registers, immediates and branch targets that our decoder read against those of iced-x86.
// A register's name tells its size, so that this compares operand sizes too.

import { type Instruction, OpKind, Register } from 'iced-x86'
import type { Decoded } from '../../src/x86/decode/decoded.ts'
import type { OperandForm } from '../../src/x86/decode/operand.ts'

const LOW = ['AL', 'CL', 'DL', 'BL']
const HIGH = ['AH', 'CH', 'DH', 'BH']
const WORD = ['AX', 'CX', 'DX', 'BX', 'SP', 'BP', 'SI', 'DI']
const WIDTHS = [16, 32, 64]
const FIXED_BITS: Readonly<Record<string, number>> = { b: 8, w: 16, d: 32, q: 64 }
const PREFIXES: Readonly<Record<string, string>> = {
  x87: 'ST',
  T: 'ST',
  xmm: 'XMM',
  V: 'XMM',
  W: 'XMM',
  U: 'XMM',
  P: 'MM',
  Q: 'MM',
  N: 'MM',
  C: 'CR',
  D: 'DR',
}
const SEGMENTS = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS']

/** Definitions whose register operands need not have iced's width, and why. */
const ANY_WIDTH: Readonly<Record<string, string>> = {
  IN: 'eAX is 16 or 32 bits by the operand size: the meaning decides',
  OUT: 'as IN',
  MOVSXD: 'with a 66 prefix it moves 16 of the 32 bits it reads',
  NOP: 'operands are not used',
}

/** The number of the first operand that the two read differently, or undefined. */
export function differingOperand(instruction: Instruction, decoded: Decoded): number | undefined {
  const { operands } = decoded.row
  // iced lists some implicit operands and leaves out others; rows need not do the same. Strings
  // are one operand here and have their place elsewhere there.
  const hasString = operands.some(({ kind }) => kind === 'X' || kind === 'Y')
  if (operands.length !== instruction.opCount || hasString) return undefined
  let immediates = 0
  for (const [i, form] of operands.entries()) {
    if (form.kind === 'I') {
      const ours = immediates++ === 0 ? first(decoded) : BigInt(decoded.imm2)
      if (differs(ours, instruction.immediate(i), immediateBits(instruction.opKind(i)))) return i
    } else if (form.kind === 'J') {
      const target = first(decoded) + BigInt(decoded.length)
      if (differs(target, instruction.nearBranchTarget, decoded.operandSize)) return i
    } else if (form.kind === 'A') {
      const isShort = instruction.opKind(i) === OpKind.FarBranch16
      const offset = isShort ? instruction.farBranch16 : instruction.farBranch32
      const isSame = !differs(first(decoded), BigInt(offset), isShort ? 16 : 32)
      if (!isSame || instruction.farBranchSelector !== decoded.imm2) return i
    } else if (instruction.opKind(i) === OpKind.Register) {
      const theirs = Register[instruction.opRegister(i)]
      // Selectors have 16 bits; iced gives their registers the operand size. A destination of 32
      // bits clears the upper half, and so is one of 64.
      const isAnyWidth =
        form.size === 'w' ||
        (form.size === 'd' && i === 0) ||
        Object.hasOwn(ANY_WIDTH, decoded.row.name)
      const names = isAnyWidth ? WIDTHS.map((bits) => registerOf(form, decoded, bits)) : []
      if (registerOf(form, decoded) !== theirs && !names.includes(theirs)) return i
    }
  }
  return undefined
}

function first({ immLo, immHi }: Decoded): bigint {
  return (BigInt(immHi) << 32n) | BigInt(immLo >>> 0)
}

function differs(a: bigint, b: bigint, bits: number): boolean {
  return BigInt.asUintN(bits, a) !== BigInt.asUintN(bits, b)
}

function immediateBits(kind: OpKind): number {
  switch (kind) {
    case OpKind.Immediate8:
    case OpKind.Immediate8_2nd:
      return 8
    case OpKind.Immediate16:
    case OpKind.Immediate8to16:
      return 16
    case OpKind.Immediate32:
    case OpKind.Immediate8to32:
      return 32
    default:
      return 64
  }
}

/** A register operand as iced names it; a general register with `bits` instead of its own. */
function registerOf(form: OperandForm, decoded: Decoded, bits?: number): string {
  const { reg, rm, vvvv } = decoded
  const field = form.kind === 'B' ? vvvv : 'GCDPSV'.includes(form.kind) ? reg : rm
  const number = form.fixed?.number ?? field
  const file = form.fixed?.class ?? form.kind
  if (file === 'segment' || file === 'S') return SEGMENTS[number] as string
  const prefix = PREFIXES[file]
  if (prefix !== undefined) return prefix + number
  return generalRegister(number, bits ?? bitsOf(form, decoded), form.fixed ? 0 : decoded.rex)
}

function bitsOf({ size }: OperandForm, { operandSize }: Decoded): number {
  const fixed = FIXED_BITS[size]
  if (fixed !== undefined) return fixed
  return size === 'y' && operandSize === 16 ? 32 : operandSize
}

function generalRegister(number: number, bits: number, rex: number): string {
  if (number > 7) return `R${number}${{ 8: 'L', 16: 'W', 32: 'D' }[bits] ?? ''}`
  if (bits !== 8) return { 16: '', 32: 'E', 64: 'R' }[bits] + (WORD[number] as string)
  if (number < 4) return LOW[number] as string
  return rex === 0 ? (HIGH[number - 4] as string) : `${WORD[number]}L`
}

// Operands as the meaning of an instruction sees them: what they are and how wide, but neither
// their values nor where an execution finds them. That is the emitter's business.

/** Where the number of a register comes from: a field of ModRM or VEX, the opcode, or fixed. */
export type RegisterField = 'reg' | 'rm' | 'vvvv' | number

export interface GprOperand {
  readonly kind: 'gpr'
  readonly bits: 8 | 16 | 32 | 64
  readonly field: RegisterField
}

export type Operand =
  | GprOperand
  | { readonly kind: 'memory'; readonly bits: number; readonly aligned: boolean }
  /** The instruction's immediate, sign-extended; `second` is that of ENTER and far pointers. */
  | { readonly kind: 'immediate'; readonly bits: number; readonly second: boolean }
  | { readonly kind: 'constant'; readonly bits: number; readonly value: number }
  /** A near branch target. */
  | { readonly kind: 'relative'; readonly bits: number }
  /** Memory at an absolute offset in the instruction (MOV AL, moffs8). */
  | { readonly kind: 'offset'; readonly bits: number }
  | { readonly kind: 'segment'; readonly bits: number; readonly field: RegisterField }
  | { readonly kind: 'control'; readonly bits: number; readonly field: RegisterField }
  | { readonly kind: 'debug'; readonly bits: number; readonly field: RegisterField }
  | { readonly kind: 'vector'; readonly bits: number; readonly field: RegisterField }
  | { readonly kind: 'mmx'; readonly bits: number; readonly field: RegisterField }
  | { readonly kind: 'x87'; readonly bits: number; readonly field: RegisterField }
  /** DS:rSI (`source`) or ES:rDI of a string instruction. */
  | { readonly kind: 'string'; readonly bits: number; readonly source: boolean }
  | { readonly kind: 'far'; readonly bits: number }

export type Size = 16 | 32 | 64

/** How a memory operand computes its address; each form is a handler of its own. */
export const FORM_REGISTER = 0
/** base + displacement, no segment base, 64-bit addresses. */
export const FORM_BASE = 1
/** base + index × scale + displacement, no segment base, 64-bit addresses. */
export const FORM_INDEX = 2
/** As FORM_INDEX, plus a segment base (FS, GS). */
export const FORM_SEGMENT_BASE = 3
/** 32-bit address arithmetic in 64-bit mode. */
export const FORM_SHORT = 4
/** Outside 64-bit mode with flat segments: 32-bit arithmetic, no base, no limit. */
export const FORM_FLAT = 5
/** Outside 64-bit mode: 16- or 32-bit arithmetic, segment base, limit and rights checked. */
export const FORM_SEGMENTED = 6

/** What is fixed about an execution of an instruction when its handler is emitted. */
export interface Shape {
  readonly operandSize: Size
  readonly addressSize: Size
  readonly codeSize: Size
  /** Width of the stack pointer. */
  readonly stackSize: Size
  readonly form: number
  readonly rep: 0 | 0xf2 | 0xf3
  /** The branch target lies on the page of the branch. */
  readonly near: boolean
}

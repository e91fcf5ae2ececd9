// The result of decoding: one object that the decoder fills and the caller reuses. All fields
// are small integers or a reference, so that filling it allocates nothing.

import { Bug } from '../../base/errors.ts'
import { parseRow, type Row } from './row.ts'

/** How decoding ended. Only after `ok` are the fields of a Decoded valid. */
export const Status = {
  ok: 0,
  /** The instruction needs more than the available bytes. */
  truncated: 1,
  /** #UD: no such instruction, or not in this mode, or with a LOCK it does not allow. */
  invalid: 2,
  /** #GP(0): longer than 15 bytes. */
  tooLong: 3,
} as const

export type Status = (typeof Status)[keyof typeof Status]

/** Segment registers, numbered as in ModRM.reg. */
export const Segment = { ES: 0, CS: 1, SS: 2, DS: 3, FS: 4, GS: 5 } as const

/** `base` of an RIP-relative operand. */
export const BASE_RIP = 16

const NO_ROW: Row = {
  ...parseRow('0F 0B'),
  id: -1,
  name: '(nothing decoded)',
  meaning: () => {
    throw new Bug('a Decoded was used before anything was decoded into it')
  },
}

/** A decoded instruction. */
export class Decoded {
  /** The matched row. */
  row: Row = NO_ROW
  /** Bytes of the instruction, 1 to 15. */
  length = 0
  operandSize: 16 | 32 | 64 = 32
  addressSize: 16 | 32 | 64 = 32
  lock = false
  /** The last F2 or F3 prefix, mandatory or not, or 0. */
  rep: 0 | 0xf2 | 0xf3 = 0
  /** The REX prefix, or 0; of a VEX prefix its bits R, X, B and W as in REX. */
  rex = 0
  /**
   * Segment of the memory operand (ModRM, moffs, DS:rSI) with defaults and overrides applied.
   * In 64-bit mode overrides other than FS and GS are ignored.
   */
  segment = 0
  hasModrm = false
  /** The rm operand is memory. */
  isMemory = false
  mod = 0
  /** ModRM.reg with REX.R; without REX.R if the operand is an MMX or segment register. */
  reg = 0
  /**
   * ModRM.rm with REX.B; without REX.B if the operand is an MMX or x87 register. For an opcode
   * with +r the register in its low bits, with REX.B.
   */
  rm = 0
  /** Register in VEX.vvvv, or 0. */
  vvvv = 0
  /** Base register 0 to 15, -1 if none, {@link BASE_RIP}. */
  base = -1
  /** Index register 0 to 15, -1 if none. */
  index = -1
  /** Logarithm of the factor of the index, 0 to 3. */
  scale = 0
  /** Displacement or moffs, sign-extended to 64 bits, as two i32. */
  dispLo = 0
  dispHi = 0
  /** First immediate, relative target or far offset, sign-extended to 64 bits, as two i32. */
  immLo = 0
  immHi = 0
  /** Second immediate or far selector, zero-extended. */
  imm2 = 0
}

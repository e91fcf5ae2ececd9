// Operand forms of a row: the letters of Intel SDM vol. 2, appendix A.2, in the dialect that
// the instruction definitions use. A form says where an operand is encoded and how wide it is;
// it knows nothing about values.

import { Bug } from '../../base/errors.ts'

/** Where an operand comes from: a letter of SDM 2, A.2.1, or `fixed` for one named outright. */
export type OperandKind =
  | 'A' // far pointer in the instruction
  | 'B' // general register, VEX.vvvv
  | 'C' // control register, ModRM.reg
  | 'D' // debug register, ModRM.reg
  | 'E' // general register or memory, ModRM.rm
  | 'G' // general register, ModRM.reg
  | 'I' // immediate
  | 'J' // relative branch target
  | 'M' // memory only, ModRM.rm
  | 'N' // MMX register, ModRM.rm
  | 'O' // memory at an address in the instruction (moffs)
  | 'P' // MMX register, ModRM.reg
  | 'Q' // MMX register or memory, ModRM.rm
  | 'R' // general register, ModRM.rm
  | 'S' // segment register, ModRM.reg
  | 'T' // x87 stack register, ModRM.rm
  | 'U' // XMM register, ModRM.rm
  | 'V' // XMM register, ModRM.reg
  | 'W' // XMM register or memory, ModRM.rm
  | 'X' // memory at DS:rSI, segment overridable
  | 'Y' // memory at ES:rDI
  | 'Z' // general register, low three bits of the opcode
  | 'fixed'

/**
 * How wide an operand is. b w d q x t: 8, 16, 32, 64, 128, 80 bits; v: the operand size;
 * z: the operand size, an immediate at most 32 bits; y: 64 bits if that is the operand size,
 * else 32; p: far pointer; s: pseudo-descriptor; ss, sd: a scalar of 32 or 64 bits in an XMM
 * register; empty: left to the meaning.
 */
export type OperandSize =
  | 'b'
  | 'w'
  | 'd'
  | 'q'
  | 'x'
  | 't'
  | 'v'
  | 'z'
  | 'y'
  | 'p'
  | 's'
  | 'ss'
  | 'sd'
  | ''

/** What a fixed operand names. */
export type FixedClass = 'gpr' | 'segment' | 'x87' | 'xmm' | 'constant'

/** A fixed operand's register file and its number there (`constant`: the value itself). */
export interface Fixed {
  readonly class: FixedClass
  readonly number: number
}

/** One operand of a row. `fixed` is present exactly if `kind` is `'fixed'`. */
export interface OperandForm {
  /** As written in the row, e.g. `Ev`. */
  readonly text: string
  readonly kind: OperandKind
  readonly size: OperandSize
  readonly fixed?: Fixed
}

const KINDS = 'ABCDEGIJMNOPQRSTUVWXYZ'
const SIZES: readonly string[] = 'b w d q x t v z y p s ss sd'.split(' ').concat('')

const FIXED = new Map<string, { size: OperandSize; fixed: Fixed }>()

function nameFixed(file: FixedClass, size: OperandSize, names: string): void {
  for (const [number, name] of names.split(' ').entries()) {
    FIXED.set(name, { size, fixed: { class: file, number } })
  }
}

nameFixed('gpr', 'b', 'AL CL DL BL AH CH DH BH')
nameFixed('gpr', 'w', 'AX CX DX BX SP BP SI DI')
nameFixed('gpr', 'd', 'eAX eCX eDX eBX eSP eBP eSI eDI')
nameFixed('gpr', 'v', 'rAX rCX rDX rBX rSP rBP rSI rDI')
nameFixed('segment', 'w', 'ES CS SS DS FS GS')
nameFixed('x87', 't', 'ST0 ST1')
nameFixed('xmm', 'x', 'XMM0')
FIXED.set('1', { size: 'b', fixed: { class: 'constant', number: 1 } })

/** Parses one operand such as `Ev`, `Ib` or `rAX`. Throws a Bug that quotes it. */
export function parseOperand(text: string): OperandForm {
  const known = FIXED.get(text)
  if (known) return { text, kind: 'fixed', ...known }
  const kind = text.charAt(0)
  const size = text.slice(1)
  if (kind === '' || !KINDS.includes(kind)) throw new Bug(`operand '${text}': unknown kind`)
  if (!SIZES.includes(size)) throw new Bug(`operand '${text}': unknown size '${size}'`)
  return { text, kind: kind as OperandKind, size: size as OperandSize }
}

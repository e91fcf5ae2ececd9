// What the records of a row hold in their fields. It depends on the row's operands alone, and is found
// once for each row: blocks are decoded by the ten thousand while a system boots.

import type { OperandForm } from '../decode/operand.ts'
import type { Row } from '../decode/row.ts'

/** What a register field has: a number, a general register, or one of which bytes are used. */
export type RegisterField = 'number' | 'general' | 'byte'

export interface RecordKind {
  readonly reg: RegisterField
  readonly rm: RegisterField
  /** The register in VEX.vvvv is a general one. */
  readonly isVvvvGeneral: boolean
  /** The immediate is a branch target, or the address of a memory operand. */
  readonly isBranch: boolean
  readonly isOffset: boolean
  /** A memory operand that the ModRM byte does not name. */
  readonly isImplicit: boolean
  readonly isRepeatable: boolean
  /** Blocks end behind it. */
  readonly isEnd: boolean
}

const kinds = new Map<Row, RecordKind>()

export function recordKind(row: Row): RecordKind {
  const known = kinds.get(row)
  if (known) return known
  const kind = kindOf(row)
  kinds.set(row, kind)
  return kind
}

function kindOf({ operands, attributes }: Row): RecordKind {
  const has = (...letters: readonly OperandForm['kind'][]) =>
    operands.some(({ kind }) => letters.includes(kind))
  const field = (...letters: readonly OperandForm['kind'][]): RegisterField => {
    const operand = operands.find(({ kind }) => letters.includes(kind))
    if (!operand) return 'number'
    return operand.size === 'b' ? 'byte' : 'general'
  }
  return {
    reg: field('G'),
    rm: field('E', 'R', 'Z'),
    isVvvvGeneral: has('B'),
    isBranch: has('J'),
    isOffset: has('O'),
    isImplicit: has('O', 'X'),
    isRepeatable: attributes.has('rep') || attributes.has('repz'),
    isEnd: attributes.has('end'),
  }
}

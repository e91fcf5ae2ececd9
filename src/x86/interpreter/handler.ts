// A handler: what executes a row of the opcode table in one shape. Its code is the meaning of the
// row, written by a RecordEmitter.

import type { Row } from '../decode/row.ts'
import type { Operand, Shape } from '../emit/operand.ts'
import { bindOperands } from './bind.ts'
import { isGuarded, preamble } from './preamble.ts'
import type { RecordEmitter } from './record-emitter.ts'

export interface Handler {
  /** Its place in the table. */
  readonly index: number
  /** Which of the shapes it is for. */
  readonly key: number
  readonly row: Row
  readonly shape: Shape
  /** What the meaning gets. */
  readonly operands: readonly Operand[]
  /** The preamble has something to check. */
  readonly isGuarded: boolean
  /**
   * Does it transfer control to a place that the instruction names, or to a computed one; or does
   * it end a block and goes on behind itself.
   */
  readonly branch: 'none' | 'direct' | 'indirect' | 'next'
  /** Instructions that were decoded for it. */
  uses: number
  /** Place in the table of its slow form, which copes with everything; 0 if it has none. */
  slow: number
  /** Another place of its fast form in the table, where it stays when a core takes the first. */
  readonly alone: number
  /** It calls nothing that comes back: all of that happens in the slow form. */
  isPlain: boolean
  /** It was seen to change arithmetic flags. */
  setsFlags: boolean
  /** In regions it wants them in two variables before it, since it only changes them sometimes. */
  wantsStoredFlags: boolean
  /** The translator cannot do without calls here. */
  isUntranslatable: boolean
}

/** What tells one handler from all others, and its places in the table, as data. */
export interface HandlerPlace {
  /** Number of its row. */
  readonly row: number
  readonly shape: Shape
  readonly index: number
  readonly alone: number
  readonly slow: number
}

/** A handler that has not been emitted yet. */
export function newHandler(row: Row, shape: Shape, index: number, alone: number): Handler {
  return {
    index,
    key: keyOf(shape),
    row,
    shape,
    operands: bindOperands(row, shape),
    isGuarded: isGuarded(row),
    branch: branchOf(row),
    uses: 1,
    slow: 0,
    alone,
    isPlain: false,
    setsFlags: false,
    wantsStoredFlags: false,
    isUntranslatable: false,
  }
}

const SIZE_CODE = { 16: 0, 32: 1, 64: 2 } as const
const REP_CODE = { 0: 0, 0xf2: 1, 0xf3: 2 } as const

/** A number for each shape. */
export function keyOf(shape: Shape): number {
  let key = shape.form
  key = key * 3 + SIZE_CODE[shape.operandSize]
  key = key * 3 + SIZE_CODE[shape.addressSize]
  key = key * 3 + SIZE_CODE[shape.codeSize]
  key = key * 3 + SIZE_CODE[shape.stackSize]
  key = key * 3 + REP_CODE[shape.rep]
  return key * 2 + (shape.near ? 1 : 0)
}

function branchOf({ name, operands, attributes }: Row): Handler['branch'] {
  if (operands.some(({ kind }) => kind === 'J')) return 'direct'
  if (name === 'STI') return 'next'
  const isNear = (name === 'JMP' || name === 'CALL') && attributes.has('f64')
  return isNear && operands.some(({ kind }) => kind === 'E') ? 'indirect' : 'none'
}

/** Writes the code of a handler. */
export function emitHandler(e: RecordEmitter, { row, operands, isGuarded }: Handler): void {
  if (isGuarded) preamble(e, row)
  row.meaning(e, ...operands)
  if (!row.attributes.has('end')) e.next()
}

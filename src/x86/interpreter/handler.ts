// A handler: what executes a row of the opcode table in one shape. Its code is the meaning of the
// row, written by a RecordEmitter.

import type { Row } from '../decode/row.ts'
import type { Operand, Shape } from '../emit/operand.ts'
import { preamble } from './preamble.ts'
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

/** Writes the code of a handler. */
export function emitHandler(e: RecordEmitter, { row, operands, isGuarded }: Handler): void {
  if (isGuarded) preamble(e, row)
  row.meaning(e, ...operands)
  if (!row.attributes.has('end')) e.next()
}

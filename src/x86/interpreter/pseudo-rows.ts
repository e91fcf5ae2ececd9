// Rows that no byte string decodes to: what blocks end with that instructions do not end. Their numbers
// lie far above those of the registry.

import { instructions } from '../decode/define.ts'
import { parseRow, type Row } from '../decode/row.ts'
import { GP, UD } from '../emit/emitter.ts'

const FIRST_ID = 100_000
const rows: Row[] = []

function pseudoRow(name: string, text: string, meaning: Row['meaning']): Row {
  const row = { ...parseRow(text), id: FIRST_ID + rows.length, name, meaning }
  rows.push(row)
  return row
}

export const GOTO = pseudoRow('(go on)', 'E9 Jz f64 end', (e, target) => {
  if (target) e.jump(target)
})
export const INVALID = pseudoRow('(invalid)', '0F 0B end', (e) => e.raise(UD))
export const TOO_LONG = pseudoRow('(too long)', '0F 0B end', (e) => e.raise(GP, 0))

/** The row with a number, of these or of the registry. */
export function rowOf(id: number): Row | undefined {
  return id < FIRST_ID ? instructions.rows[id] : rows[id - FIRST_ID]
}

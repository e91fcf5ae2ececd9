// The registry of instructions. Each definition gives a name, its rows of the opcode table and
// one meaning; every row becomes a Row object with a dense number.

import { Bug } from '../../base/errors.ts'
import type { Emitter } from '../emit/emitter.ts'
import type { Operand } from '../emit/operand.ts'
import { parseRow, type Row } from './row.ts'

/** Emits the code of an instruction. It gets one operand per operand of the matched row. */
export type Meaning = (e: Emitter, ...operands: Operand[]) => void

/** Rows in the order of their registration; `rows[i].id === i`. */
export class Registry {
  readonly #rows: Row[] = []

  get rows(): readonly Row[] {
    return this.#rows
  }

  /** Adds an instruction. Throws a Bug that names it if a row is malformed. */
  define(name: string, rows: readonly string[], meaning: Meaning): void {
    if (rows.length === 0) throw new Bug(`${name} has no rows`)
    for (const text of rows) {
      try {
        this.#rows.push({ ...parseRow(text), id: this.#rows.length, name, meaning })
      } catch (error) {
        throw error instanceof Bug ? new Bug(`${name}: ${error.message}`) : error
      }
    }
  }
}

/** The processor's instructions; `src/x86/instructions/all.ts` fills it. */
export const instructions = new Registry()

/** Adds an instruction to {@link instructions}. */
export function define(name: string, rows: readonly string[], meaning: Meaning): void {
  instructions.define(name, rows, meaning)
}

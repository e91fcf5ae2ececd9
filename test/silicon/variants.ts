// What has to be covered: each row of the opcode table in each mode, operand size and operand
// form, with LOCK and repetition where they mean something.

import type { Row } from '../../src/x86/decode/row.ts'
import { MODES } from './modes.ts'
import { NOT_COMPARED } from './undefined.ts'

export interface Variant {
  readonly row: Row
  /** Place in MODES. */
  readonly mode: number
  /** 64: with REX.W; else what the 66 prefix makes of the mode. */
  readonly size: 16 | 32 | 64
  readonly isMemory: boolean
  readonly lock: boolean
  readonly rep: 0 | 0xf2 | 0xf3
}

export interface Selection {
  /** Only instructions of this name, or all. */
  readonly name?: string | undefined
  /** Only in modes of these names, or all. */
  readonly modes?: readonly string[] | undefined
  /** CPUID features of the processor underneath. */
  readonly features: ReadonlySet<string>
}

/** All variants of the rows that can be compared. */
export function variantsOf(rows: readonly Row[], selection: Selection): Variant[] {
  return rows
    .filter(
      (row) =>
        NOT_COMPARED[row.name] === undefined &&
        (selection.name === undefined || row.name === selection.name) &&
        row.features.every((name) => selection.features.has(name)),
    )
    .flatMap((row) => variantsOfRow(row, selection.modes))
}

function variantsOfRow(row: Row, modes: readonly string[] | undefined): Variant[] {
  const variants: Variant[] = []
  const repeats = row.attributes.has('rep') || row.attributes.has('repz')
  for (const [mode, { name, codeSize }] of MODES.entries()) {
    if (modes && !modes.includes(name)) continue
    if (row.attributes.has(codeSize === 64 ? 'i64' : 'o64')) continue
    for (const size of sizesOf(row, codeSize)) {
      for (const isMemory of formsOf(row)) {
        for (const rep of repeats ? ([0, 0xf2, 0xf3] as const) : ([0] as const)) {
          variants.push({ row, mode, size, isMemory, lock: false, rep })
        }
        if (isMemory && row.attributes.has('lock')) {
          variants.push({ row, mode, size, isMemory, lock: true, rep: 0 })
        }
      }
    }
  }
  return variants
}

/** Does the 66 prefix choose this row, rather than its operand size. */
export function isSizePrefixTaken(row: Row): boolean {
  return row.prefix === '66' || row.prefix === 'NP'
}

function sizesOf(row: Row, codeSize: 16 | 32 | 64): readonly (16 | 32 | 64)[] {
  const hasSize =
    row.operands.length === 0 || row.operands.some(({ size }) => 'vzyp'.includes(size))
  const usual = codeSize === 16 ? 16 : 32
  if (!hasSize) return [usual]
  if (row.vex) return codeSize === 64 ? [32, 64] : [usual]
  const sizes: (16 | 32 | 64)[] = isSizePrefixTaken(row) ? [usual] : [16, 32]
  if (codeSize !== 64) return sizes
  // Far pointers with REX.W: Intel's processors have them, AMD's do not.
  if (row.operands.some(({ size }) => size === 'p')) return sizes
  // Near branches with a 66 prefix: AMD's processors heed it, Intel's do not.
  if (row.attributes.has('f64')) return [32, 64]
  return [...sizes, 64]
}

function formsOf(row: Row): readonly boolean[] {
  if (!row.hasModrm || row.mod === 'register') return [false]
  return row.mod === 'memory' ? [true] : [false, true]
}

// The decode tree: from opcode map, opcode, mandatory prefix and ModRM to the row. Two trees,
// one for 64-bit mode and one for the others, because i64 and o64 rows share opcodes.
//
// A tree is two levels of Int32Array:
//
//   nodes[mapIndex * 256 + opcode]   (maps of VEX encodings after the others)
//                               -1, or where the opcode's leaves start, times 8, plus
//                               1 if a ModRM byte follows,
//                               2 if the mandatory prefix chooses the leaf,
//                               4 if the ModRM byte chooses the leaf
//   leaves[start + prefix * (256 or 1) + ModRM]
//                               -1: no such instruction; >= 0: the only candidate's row id;
//                               < -1: candidates in the order of preference, lists[-2 - leaf]
//
// There are several candidates where a row needs a feature and another row takes the bytes
// when the processor lacks it (TZCNT is F3 BSF, CLWB is 66 XSAVEOPT), at opcode 90, and where
// VEX.L or VEX.W tells rows apart.

import { Bug } from '../../base/errors.ts'
import type { Row } from './row.ts'

export const NODE_MODRM = 1
export const NODE_BY_PREFIX = 2
export const NODE_BY_MODRM = 4
export const NODE_SHIFT = 3

/** Indices of the mandatory prefixes. */
export const PREFIX_NONE = 0
export const PREFIX_66 = 1
export const PREFIX_F3 = 2
export const PREFIX_F2 = 3
const PREFIXES = ['NP', '66', 'F3', 'F2']

/** Map m of VEX encodings has the nodes of map VEX_MAPS + m; m is 1 to 3. */
export const VEX_MAPS = 3

export interface Tree {
  readonly nodes: Int32Array
  readonly leaves: Int32Array
  readonly lists: readonly (readonly number[])[]
}

/** Builds the tree of one mode. Throws a Bug if two rows claim the same bytes. */
export function buildTree(rows: readonly Row[], is64Bit: boolean): Tree {
  const byOpcode = new Map<number, Row[]>()
  for (const row of rows) {
    if (row.attributes.has(is64Bit ? 'i64' : 'o64')) continue
    for (let i = 0; i < (row.plusR ? 8 : 1); i++) {
      const key = (row.vex ? VEX_MAPS + row.map : row.map) * 256 + row.opcode + i
      byOpcode.set(key, [...(byOpcode.get(key) ?? []), row])
    }
  }

  const nodes = new Int32Array((VEX_MAPS + 4) * 256).fill(-1)
  const leaves: number[] = []
  const lists: number[][] = []
  const listIndex = new Map<string, number>()
  const leafOf = (candidates: readonly Row[]): number => {
    const ids = candidates.map((row) => row.id)
    if (ids.length < 2) return ids[0] ?? -1
    const key = ids.join()
    let index = listIndex.get(key)
    if (index === undefined) {
      index = lists.push(ids) - 1
      listIndex.set(key, index)
    }
    return -2 - index
  }

  for (const [key, here] of byOpcode) {
    const byPrefix = here.some((row) => row.prefix !== 'any')
    const byModrm = here.some((row) => row.reg >= 0 || row.mod !== 'any')
    const hasModrm = (here[0] as Row).hasModrm
    const odd = here.find((row) => row.hasModrm !== hasModrm)
    if (odd) throw new Bug(`${describe(odd)} and ${describe(here[0] as Row)}: ModRM or not?`)
    nodes[key] =
      (leaves.length << NODE_SHIFT) |
      (hasModrm ? NODE_MODRM : 0) |
      (byPrefix ? NODE_BY_PREFIX : 0) |
      (byModrm ? NODE_BY_MODRM : 0)
    const ranked = here.toSorted(bySpecificity)
    for (let prefix = 0; prefix < (byPrefix ? 4 : 1); prefix++) {
      const candidates = ranked.filter((row) => takesPrefix(row, prefix))
      if (!byModrm) {
        leaves.push(leafOf(preferred(candidates)))
        continue
      }
      const start = leaves.length
      for (let modrm = 0; modrm < 256; modrm++) {
        // Rows do not tell one memory form from another: the first of each reg stands for all.
        const twin = start + (modrm & 0x38)
        const isTwin = modrm < 0xc0 && (modrm & 0xc7) !== 0
        const leaf = isTwin
          ? (leaves[twin] as number)
          : leafOf(preferred(candidates.filter((row) => takesModrm(row, modrm))))
        leaves.push(leaf)
      }
    }
  }
  return { nodes, leaves: Int32Array.from(leaves), lists }
}

/**
 * Whether a row yields when REX.B is set because a row with +r shares its opcode: `90` beside
 * `90+r`, as XCHG R8,RAX is not NOP.
 */
export function yieldsToRexB(row: Row, rows: readonly Row[]): boolean {
  return (
    !row.plusR &&
    !row.hasModrm &&
    rows.some(
      (other) =>
        other.plusR &&
        other.map === row.map &&
        other.opcode === (row.opcode & 0xf8) &&
        (other.prefix === row.prefix || other.prefix === 'any'),
    )
  )
}

/** Drops what can never be reached: all after the first row that is always there. */
function preferred(ranked: readonly Row[]): readonly Row[] {
  if (ranked.length < 2) return ranked
  const out: Row[] = []
  for (const row of ranked) {
    const before = out.at(-1)
    if (before && bySpecificity(before, row) === 0 && isAlternative(before, row)) {
      throw new Bug(`${describe(before)} and ${describe(row)} claim the same bytes`)
    }
    out.push(row)
  }
  const last = out.findIndex(
    (row) => row.features.length === 0 && !row.vex && !yieldsToRexB(row, out),
  )
  return last < 0 ? out : out.slice(0, last + 1)
}

function takesPrefix(row: Row, prefix: number): boolean {
  return row.prefix === 'any' || row.prefix === PREFIXES[prefix]
}

function takesModrm(row: Row, modrm: number): boolean {
  const isRegister = modrm >= 0xc0
  return (
    (row.reg < 0 || row.reg === ((modrm >> 3) & 7)) &&
    (row.mod === 'any' || (row.mod === 'register') === isRegister) &&
    (row.rm < 0 || row.rm === (modrm & 7))
  )
}

/** Orders rows by what they say about the bytes, the more exact first; features break ties. */
function bySpecificity(a: Row, b: Row): number {
  const weight = (row: Row) =>
    (row.prefix !== 'any' ? 32 : 0) +
    (row.rm >= 0 ? 16 : 0) +
    (row.reg >= 0 ? 8 : 0) +
    (row.mod !== 'any' ? 4 : 0) +
    (row.plusR ? 0 : 2) +
    (row.features.length > 0 ? 1 : 0)
  return weight(b) - weight(a)
}

/** Do two rows of one place want the same processor and the same VEX.L and VEX.W. */
function isAlternative(a: Row, b: Row): boolean {
  const isApart = (one: number | undefined, other: number | undefined) =>
    one !== undefined && other !== undefined && one >= 0 && other >= 0 && one !== other
  if (isApart(a.vex?.l, b.vex?.l) || isApart(a.vex?.w, b.vex?.w)) return false
  return a.features.join() === b.features.join()
}

function describe(row: Row): string {
  return `${row.name} '${row.text}'`
}

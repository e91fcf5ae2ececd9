// What is known of a key of guest files: one row of the table in keys.ts.

/** What a key's value is, as xl.cfg(5) writes it. */
export type ValueKind =
  | 'string'
  | 'number'
  | 'boolean'
  | 'list'
  | 'string or list'
  | 'number or string'

/**
 * `supported`: it does what xl.cfg(5) says, or what the note says. `ignored`: it changes nothing
 * here, which a warning says. `refused`: no domain is made, since the guest would miss something;
 * but a value that asks for nothing (0, an empty string or list) is let through.
 */
export type KeyStatus = 'supported' | 'ignored' | 'refused'

export interface Key {
  readonly name: string
  readonly kind: ValueKind
  readonly status: KeyStatus
  /** For `supported` what is special here, otherwise why. Without a full stop. */
  readonly note: string
  /** The heading of xl.cfg(5) that it stands under. */
  readonly section: string
}

type Row = readonly [name: string, kind: ValueKind, status: KeyStatus, note?: string]

/** The rows of one section. */
export function section(title: string, rows: readonly Row[]): Key[] {
  return rows.map(([name, kind, status, note = '']) => ({
    name,
    kind,
    status,
    note,
    section: title,
  }))
}

const HVM_ONLY = 'only HVM guests have it, and xl ignores it for others'

/** Rows of keys that only an HVM guest looks at. */
export function hvmOnly(title: string, rows: readonly (readonly [string, ValueKind])[]): Key[] {
  return section(
    title,
    rows.map(([name, kind]) => [name, kind, 'ignored', HVM_ONLY] as const),
  )
}

/** Rows of keys that are all refused for the same reason. */
export function refused(title: string, note: string, names: readonly string[]): Key[] {
  return section(
    title,
    names.map((name) => [name, 'list', 'refused', note] as const),
  )
}

// Structures of Xen's public interface, declared once for both widths of a caller: 64-bit, and
// 32-bit ("compat"), where xen_ulong_t and guest handles have 4 bytes and 64-bit integers are
// aligned to 4 (System V i386 ABI). Values of 'ulong' fields are bigint in both widths.

import { Bug } from '../../base/errors.ts'
import { type FieldType, type Fields, Layout, type Plain, type Scalar } from '../../base/layout.ts'

/** The caller's word width in bits. */
export type Width = 32 | 64

/** A field: as in base/layout, or a long, or a point aligned as a long is. */
export type AbiField = FieldType | 'ulong' | readonly ['ulong', number] | 'align'

export type AbiFields = Readonly<Record<string, AbiField>>

type WideField<T extends AbiField> = T extends 'ulong'
  ? 'u64'
  : T extends readonly ['ulong', number]
    ? readonly ['u64', number]
    : T extends 'align'
      ? { readonly bytes: 0 }
      : T extends FieldType
        ? T
        : never

type Wide<F extends AbiFields> = { readonly [K in keyof F]: WideField<F[K]> }

/** The values of a structure, the same for both widths. */
export type Values<F extends AbiFields> = Plain<Wide<F>>

const BYTES: Record<Scalar, number> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
}

/** A public structure in both widths. */
export class Structure<const F extends AbiFields> {
  /** As C spells it: `evtchn_send` for `struct evtchn_send`, or `union x`. */
  readonly name: string
  readonly fields: readonly (keyof F & string)[]
  readonly #wide: Layout<Fields>
  readonly #narrow: Layout<Fields>
  readonly #longs: readonly string[]
  readonly #wideEnds: ReadonlyMap<string, number>
  readonly #narrowEnds: ReadonlyMap<string, number>

  constructor(name: string, fields: F) {
    this.name = name
    this.fields = Object.keys(fields).filter((key) => fields[key] !== 'align')
    const wide = layoutFor(name, fields, 8)
    const narrow = layoutFor(name, fields, 4)
    this.#wide = wide.layout
    this.#narrow = narrow.layout
    this.#wideEnds = wide.ends
    this.#narrowEnds = narrow.ends
    this.#longs = this.fields.filter((key) => isLong(fields[key]))
  }

  /** Bytes of the structure for a caller of that width. */
  size(width: Width): number {
    return this.#layout(width).size
  }

  offsetOf(width: Width, field: keyof F & string): number {
    return this.#layout(width).offsetOf(field)
  }

  /** Where the field ends: the offset after its last byte. */
  endOf(width: Width, field: keyof F & string): number {
    const ends = width === 64 ? this.#wideEnds : this.#narrowEnds
    return ends.get(field) ?? this.offsetOf(width, field)
  }

  /** Reads the structure from the start of `bytes`. */
  decode(width: Width, bytes: Uint8Array): Values<F> {
    const plain: Record<string, unknown> = this.#layout(width).decode(bytes)
    if (width === 32) {
      for (const key of this.#longs) {
        const value = plain[key]
        plain[key] = Array.isArray(value) ? value.map(BigInt) : BigInt(value as number)
      }
    }
    // The two layouts differ in nothing but the width of longs, which are bigint now.
    return plain as Values<F>
  }

  /** The structure as bytes; fields that are not given are zero, longs are cut to the width. */
  encode(width: Width, values: Partial<Values<F>>): Uint8Array<ArrayBuffer> {
    return this.#layout(width).encode(this.#narrowed(width, values))
  }

  /** Changes the given fields in `bytes`. */
  update(width: Width, bytes: Uint8Array, values: Partial<Values<F>>): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#layout(width).write(view, 0, this.#narrowed(width, values))
  }

  #narrowed(width: Width, values: Partial<Values<F>>): Partial<Plain<Fields>> {
    const plain: Record<string, unknown> = { ...values }
    for (const key of this.#longs) {
      const value = plain[key]
      if (value === undefined) continue
      const cut = (long: bigint) =>
        width === 32 ? Number(BigInt.asUintN(32, long)) : BigInt.asUintN(64, long)
      plain[key] = Array.isArray(value) ? value.map(cut) : cut(value as bigint)
    }
    return plain as Partial<Plain<Fields>>
  }

  #layout(width: Width): Layout<Fields> {
    return width === 64 ? this.#wide : this.#narrow
  }
}

function isLong(field: AbiField | undefined): boolean {
  return field === 'ulong' || (Array.isArray(field) && field[0] === 'ulong')
}

/** Lays the fields out with padding written out, so that 64-bit integers can be aligned to 4. */
function layoutFor(name: string, fields: AbiFields, long: 4 | 8) {
  const placed: Record<string, FieldType> = {}
  const ends = new Map<string, number>()
  let offset = 0
  let widest = 1
  const pad = (align: number) => {
    const missing = (align - (offset % align)) % align
    if (missing) placed[`padding at ${offset}`] = { bytes: missing }
    offset += missing
    widest = Math.max(widest, align)
  }
  for (const [key, field] of Object.entries(fields)) {
    if (field === 'align') {
      pad(long)
      continue
    }
    const type = concrete(field, long)
    const bytes = typeof type === 'string' ? BYTES[type] : 'bytes' in type ? 1 : BYTES[type[0]]
    pad(Math.min(bytes, long))
    placed[key] = type
    offset += typeof type === 'string' ? bytes : 'bytes' in type ? type.bytes : bytes * type[1]
    ends.set(key, offset)
  }
  pad(widest)
  return { layout: new Layout(name, placed, { packed: true }), ends }
}

function concrete(field: Exclude<AbiField, 'align'>, long: 4 | 8): FieldType {
  const scalar = long === 8 ? 'u64' : 'u32'
  if (field === 'ulong') return scalar
  if (Array.isArray(field) && field[0] === 'ulong') return [scalar, field[1] as number]
  return field as FieldType
}

/** Names by number of a family of constants, for traces: `namesOf(abi, 'EVTCHNOP_')`. */
export function namesOf(header: object, prefix: string): ReadonlyMap<number, string> {
  const names = new Map<number, string>()
  for (const [name, value] of Object.entries(header)) {
    if (!name.startsWith(prefix) || typeof value !== 'number') continue
    if (names.has(value)) throw new Bug(`${prefix}: two names for ${value}`)
    names.set(value, name)
  }
  return names
}

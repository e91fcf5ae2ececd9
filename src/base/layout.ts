// Structure layouts as data. A layout is declared once, in the order and with the names of the
// document it comes from; offsets follow the C rules of the System V ABI (natural alignment)
// unless it is declared packed. Values of 64 bits are bigint, all others number.

import { Bug } from './errors.ts'

export type Scalar = 'u8' | 'i8' | 'u16' | 'i16' | 'u32' | 'i32' | 'u64' | 'i64'

type Value<S extends Scalar> = S extends 'u64' | 'i64' ? bigint : number

/** A field: a scalar, `n` scalars in a row, or `n` bytes given as a Uint8Array. */
export type FieldType = Scalar | readonly [Scalar, number] | { readonly bytes: number }

export type Fields = Readonly<Record<string, FieldType>>

type ValueOf<T extends FieldType> = T extends Scalar
  ? Value<T>
  : T extends readonly [infer S extends Scalar, number]
    ? Value<S>[]
    : Uint8Array

export type Plain<F extends Fields> = { -readonly [K in keyof F]: ValueOf<F[K]> }

const SIZE: Record<Scalar, number> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  u64: 8,
  i64: 8,
}

interface Place {
  readonly type: FieldType
  readonly offset: number
}

/** A C structure: where each field lies, and how to read and write it in a DataView. */
export class Layout<F extends Fields> {
  readonly name: string
  /** Bytes of one structure, trailing padding included. */
  readonly size: number
  readonly #places = new Map<keyof F, Place>()

  constructor(name: string, fields: F, options: { packed?: boolean } = {}) {
    this.name = name
    let offset = 0
    let widest = 1
    for (const [key, type] of Object.entries(fields)) {
      const align = options.packed ? 1 : alignmentOf(type)
      offset = Math.ceil(offset / align) * align
      this.#places.set(key, { type, offset })
      offset += sizeOf(type)
      widest = Math.max(widest, align)
    }
    this.size = Math.ceil(offset / widest) * widest
  }

  offsetOf(field: keyof F): number {
    return this.#place(field).offset
  }

  get<K extends keyof F>(view: DataView, base: number, field: K): ValueOf<F[K]> {
    const { type, offset } = this.#place(field)
    return getField(view, base + offset, type) as ValueOf<F[K]>
  }

  set<K extends keyof F>(view: DataView, base: number, field: K, value: ValueOf<F[K]>): void {
    const { type, offset } = this.#place(field)
    setField(view, base + offset, type, value)
  }

  /** Copies the whole structure out: later changes of the memory do not show. */
  read(view: DataView, base: number): Plain<F> {
    const out: Partial<Record<keyof F, unknown>> = {}
    for (const [key, { type, offset }] of this.#places)
      out[key] = getField(view, base + offset, type)
    return out as Plain<F>
  }

  /** Writes the fields that are given and leaves the others. */
  write(view: DataView, base: number, values: Partial<Plain<F>>): void {
    for (const [key, value] of Object.entries(values)) {
      if (value !== undefined) this.set(view, base, key, value)
    }
  }

  /** The structure as bytes; fields that are not given are zero. */
  encode(values: Partial<Plain<F>>): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.size)
    this.write(new DataView(bytes.buffer), 0, values)
    return bytes
  }

  /** Reads a structure from the start of `bytes`, which must hold it whole. */
  decode(bytes: Uint8Array): Plain<F> {
    return this.read(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0)
  }

  #place(field: keyof F): Place {
    const place = this.#places.get(field)
    if (!place) throw new Bug(`${this.name} has no field ${String(field)}`)
    return place
  }
}

function alignmentOf(type: FieldType): number {
  if (typeof type === 'string') return SIZE[type]
  return 'bytes' in type ? 1 : SIZE[type[0]]
}

function sizeOf(type: FieldType): number {
  if (typeof type === 'string') return SIZE[type]
  return 'bytes' in type ? type.bytes : SIZE[type[0]] * type[1]
}

function getField(view: DataView, at: number, type: FieldType): unknown {
  if (typeof type === 'string') return getScalar(view, at, type)
  if ('bytes' in type) return new Uint8Array(view.buffer, view.byteOffset + at, type.bytes).slice()
  return Array.from({ length: type[1] }, (_, i) => getScalar(view, at + i * SIZE[type[0]], type[0]))
}

function setField(view: DataView, at: number, type: FieldType, value: unknown): void {
  if (typeof type === 'string') return setScalar(view, at, type, value as number | bigint)
  if ('bytes' in type) {
    const bytes = value as Uint8Array
    if (bytes.length > type.bytes)
      throw new Bug(`${bytes.length} bytes for a field of ${type.bytes}`)
    new Uint8Array(view.buffer, view.byteOffset + at, type.bytes).set(bytes)
    return
  }
  const values = value as (number | bigint)[]
  if (values.length > type[1]) throw new Bug(`${values.length} values for a field of ${type[1]}`)
  for (const [i, v] of values.entries()) setScalar(view, at + i * SIZE[type[0]], type[0], v)
}

export function getScalar(view: DataView, at: number, type: Scalar): number | bigint {
  switch (type) {
    case 'u8':
      return view.getUint8(at)
    case 'i8':
      return view.getInt8(at)
    case 'u16':
      return view.getUint16(at, true)
    case 'i16':
      return view.getInt16(at, true)
    case 'u32':
      return view.getUint32(at, true)
    case 'i32':
      return view.getInt32(at, true)
    case 'u64':
      return view.getBigUint64(at, true)
    case 'i64':
      return view.getBigInt64(at, true)
  }
}

export function setScalar(view: DataView, at: number, type: Scalar, value: number | bigint): void {
  switch (type) {
    case 'u8':
    case 'i8':
      return view.setUint8(at, Number(value))
    case 'u16':
    case 'i16':
      return view.setUint16(at, Number(value), true)
    case 'u32':
    case 'i32':
      return view.setUint32(at, Number(value), true)
    case 'u64':
    case 'i64':
      return view.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true)
  }
}

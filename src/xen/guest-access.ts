// The only way to what a guest's pointers name: copied in once, copied out once, through the page
// tables and with the rights of the processor that makes the call. Undefined and false mean that an
// address cannot be reached; the hypercall then answers -EFAULT.

import type { Structure, Values, Width } from './abi/structure.ts'
import type { AbiFields } from './abi/structure.ts'
import type { Processor } from './processor.ts'

export class GuestAccess {
  readonly width: Width
  readonly #processor: Pick<Processor, 'readLinear' | 'writeLinear'>

  /** `width` is that of the caller's pointers and longs. */
  constructor(processor: Pick<Processor, 'readLinear' | 'writeLinear'>, width: Width) {
    this.#processor = processor
    this.width = width
  }

  /** Bytes of a guest's long or pointer. */
  get longSize(): 4 | 8 {
    return this.width === 64 ? 8 : 4
  }

  readBytes(address: bigint, length: number): Uint8Array | undefined {
    if (length === 0) return new Uint8Array(0)
    if (!this.#isInRange(address, length)) return undefined
    return this.#processor.readLinear(this.#address(address), length)
  }

  writeBytes(address: bigint, bytes: Uint8Array): boolean {
    if (bytes.length === 0) return true
    if (!this.#isInRange(address, bytes.length)) return false
    return this.#processor.writeLinear(this.#address(address), bytes)
  }

  /** Copies a structure in. */
  read<F extends AbiFields>(structure: Structure<F>, address: bigint): Values<F> | undefined {
    const bytes = this.readBytes(address, structure.size(this.width))
    return bytes && structure.decode(this.width, bytes)
  }

  /** Copies a whole structure out. */
  write<F extends AbiFields>(
    structure: Structure<F>,
    address: bigint,
    values: Partial<Values<F>>,
  ): boolean {
    return this.writeBytes(address, structure.encode(this.width, values))
  }

  /** Copies one field out. */
  writeField<F extends AbiFields, K extends keyof F & string>(
    structure: Structure<F>,
    address: bigint,
    field: K,
    value: Values<F>[K],
  ): boolean {
    const from = structure.offsetOf(this.width, field)
    const to = structure.endOf(this.width, field)
    // An object with one computed key loses the key's type.
    const values = { [field]: value } as unknown as Partial<Values<F>>
    const bytes = structure.encode(this.width, values).subarray(from, to)
    return this.writeBytes(address + BigInt(from), bytes)
  }

  /** The long at index `i` of an array. */
  readLong(array: bigint, i: number): bigint | undefined {
    const bytes = this.readBytes(array + BigInt(i * this.longSize), this.longSize)
    if (!bytes) return undefined
    const view = new DataView(bytes.buffer, bytes.byteOffset)
    return this.width === 64 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true))
  }

  /** Stores a long at index `i` of an array; bits above the width are lost. */
  writeLong(array: bigint, i: number, value: bigint): boolean {
    const view = new DataView(new ArrayBuffer(this.longSize))
    if (this.width === 64) view.setBigUint64(0, BigInt.asUintN(64, value), true)
    else view.setUint32(0, Number(BigInt.asUintN(32, value)), true)
    return this.writeBytes(array + BigInt(i * this.longSize), new Uint8Array(view.buffer))
  }

  readU32(array: bigint, i: number): number | undefined {
    const bytes = this.readBytes(array + BigInt(i * 4), 4)
    return bytes && new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  }

  writeU32(array: bigint, i: number, value: number): boolean {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setUint32(0, value, true)
    return this.writeBytes(array + BigInt(i * 4), bytes)
  }

  /**
   * Can an array of that many elements exist at all. Xen asks before it starts on a list; whether
   * each element can be reached shows when it is copied.
   */
  isArrayPossible(address: bigint, count: number | bigint, size: number): boolean {
    return BigInt(count) * BigInt(size) <= (1n << BigInt(this.width)) - this.#address(address)
  }

  #address(address: bigint): bigint {
    return BigInt.asUintN(this.width, address)
  }

  #isInRange(address: bigint, length: number): boolean {
    return this.#address(address) + BigInt(length) <= 1n << BigInt(this.width)
  }
}

// Where the clusters of a qcow2 disk are (qcow2.txt, "Cluster mapping"): an L1 table, kept whole, leads
// to L2 tables, kept as far as memory allows. Changes stay here until the image writes them, behind
// what they point to.

import { type ByteStorage, ImageError, readExactly } from '../storage.ts'
import { l1EntriesFor, type Qcow2Header } from './header.ts'
import type { Refcounts } from './refcounts.ts'

/** In the upper half of an entry. The cluster is used once, so it may be written in place. */
const COPIED = 0x80000000
const COMPRESSED = 0x40000000
const OFFSET_HIGH = 0x00ffffff
/** In the lower half. Reads as zeros, whatever the offset. Version 3 only. */
const ZERO = 1

/** Memory for L2 tables, in bytes; a table of 64 KiB covers 512 MiB of disk. */
const CACHE_BYTES = 16 * 2 ** 20

/** What an entry says; `offset` is in the file. */
export type Mapping =
  | { readonly kind: 'nothing' }
  | { readonly kind: 'zero' }
  | { readonly kind: 'data'; readonly offset: number; readonly isCopied: boolean }
  | { readonly kind: 'compressed'; readonly high: number; readonly low: number }

interface Table {
  readonly view: DataView<ArrayBuffer>
  offset: number
  dirtyFrom: number
  dirtyTo: number
}

const NOTHING: Mapping = { kind: 'nothing' }
const ZEROS: Mapping = { kind: 'zero' }

export class L2Tables {
  /** Entries of a table. */
  readonly entries: number
  readonly #storage: ByteStorage
  readonly #header: Qcow2Header
  readonly #clusterBytes: number
  readonly #l1: DataView<ArrayBuffer>
  readonly #l1Offset: number
  readonly #tables = new Map<number, Table>()
  readonly #dirtyL1 = new Set<number>()

  constructor(storage: ByteStorage, header: Qcow2Header, l1Offset = header.l1Offset) {
    this.#storage = storage
    this.#header = header
    this.#clusterBytes = 2 ** header.clusterBits
    this.#l1Offset = l1Offset
    this.entries = this.#clusterBytes / 8
    const bytes = l1EntriesFor(header.size, header.clusterBits) * 8
    this.#l1 = new DataView(readExactly(storage, l1Offset, bytes, 'L1 table').buffer)
  }

  /** Adds the clusters with the L1 table and the L2 tables. */
  claimTables(claimed: Set<number>): void {
    const claim = (cluster: number) => {
      if (claimed.has(cluster)) throw new ImageError(`Two of its tables lie in cluster ${cluster}.`)
      claimed.add(cluster)
    }
    const first = this.#l1Offset / this.#clusterBytes
    const clusters = Math.ceil((this.#header.l1Entries * 8) / this.#clusterBytes)
    for (let i = 0; i < clusters; i++) claim(first + i)
    for (let i = 0; i < this.#l1.byteLength / 8; i++) {
      const { offset } = this.#l1Entry(i)
      if (offset !== 0) claim(offset / this.#clusterBytes)
    }
  }

  /** Where a cluster of the disk is. */
  map(cluster: number): Mapping {
    const table = this.#tableOf(Math.floor(cluster / this.entries))
    if (!table) return NOTHING
    const at = (cluster % this.entries) * 8
    const high = table.view.getUint32(at)
    const low = table.view.getUint32(at + 4)
    if (high === 0 && low === 0) return NOTHING
    if (high & COMPRESSED) return { kind: 'compressed', high, low }
    if (low & ZERO && this.#header.version === 3) return ZEROS
    const offset = (high & OFFSET_HIGH) * 2 ** 32 + low - (low % 512)
    if (offset === 0) return NOTHING
    this.#checkData(offset)
    return { kind: 'data', offset, isCopied: (high & COPIED) !== 0 }
  }

  /** The cluster in the file that an entry of whatever kind keeps in use; -1 for none. */
  offsetIn(cluster: number): number {
    const table = this.#tableOf(Math.floor(cluster / this.entries))
    if (!table) return -1
    const at = (cluster % this.entries) * 8
    const high = table.view.getUint32(at)
    const low = table.view.getUint32(at + 4)
    if (high & COMPRESSED) return -1
    const offset = (high & OFFSET_HIGH) * 2 ** 32 + low - (low % 512)
    if (offset !== 0) this.#checkData(offset)
    return offset === 0 ? -1 : offset
  }

  /** Whether any cluster of the L2 table of `cluster` could be mapped. */
  hasTable(cluster: number): boolean {
    return this.#l1Entry(Math.floor(cluster / this.entries)).offset !== 0
  }

  /** Maps a cluster of the disk to one of the file that is used for nothing else. */
  setData(cluster: number, offset: number): void {
    this.#set(cluster, (Math.floor(offset / 2 ** 32) | COPIED) >>> 0, offset % 2 ** 32)
  }

  /** The cluster reads as zeros (version 3), or is not there: then what is below shows. */
  setEmpty(cluster: number, isZero: boolean): void {
    this.#set(cluster, 0, isZero ? ZERO : 0)
  }

  /**
   * Makes the L2 table of a cluster the image's own, so that it may be changed. Gives the cluster
   * of the file that is not needed for that any more, if there is one.
   */
  makeOwn(cluster: number, refcounts: Refcounts, claimed: Set<number>): number | undefined {
    const index = Math.floor(cluster / this.entries)
    const { offset, isCopied } = this.#l1Entry(index)
    if (offset !== 0 && isCopied) return undefined
    const { first } = refcounts.allocate(1)
    const old = this.#tableOf(index)
    const bytes = new Uint8Array(this.#clusterBytes)
    if (old) bytes.set(new Uint8Array(old.view.buffer))
    const fresh = first * this.#clusterBytes
    claimed.add(first)
    // There before the L1 table leads to it; what comes later stays in memory for now.
    this.#storage.write(fresh, bytes)
    this.#tables.delete(index)
    this.#keep(index, fresh, bytes)
    this.#l1.setUint32(index * 8, (Math.floor(fresh / 2 ** 32) | COPIED) >>> 0)
    this.#l1.setUint32(index * 8 + 4, fresh % 2 ** 32)
    this.#dirtyL1.add(index)
    if (offset === 0) return undefined
    claimed.delete(offset / this.#clusterBytes)
    return offset / this.#clusterBytes
  }

  get isDirty(): boolean {
    if (this.#dirtyL1.size > 0) return true
    for (const table of this.#tables.values()) if (table.dirtyFrom < table.dirtyTo) return true
    return false
  }

  /** Whether there is no room for another table unless the dirty ones are written. */
  get isFull(): boolean {
    return (this.#tables.size + 2) * this.#clusterBytes > CACHE_BYTES
  }

  /** Writes what has changed: what it points to has reached the medium. */
  write(): void {
    for (const table of this.#tables.values()) {
      const { view, dirtyFrom, dirtyTo } = table
      if (dirtyFrom >= dirtyTo) continue
      const bytes = new Uint8Array(view.buffer, dirtyFrom, dirtyTo - dirtyFrom)
      this.#storage.write(table.offset + dirtyFrom, bytes)
      table.dirtyFrom = view.byteLength
      table.dirtyTo = 0
    }
    for (const index of this.#dirtyL1) {
      const entry = new Uint8Array(this.#l1.buffer, index * 8, 8)
      this.#storage.write(this.#l1Offset + index * 8, entry)
    }
    this.#dirtyL1.clear()
  }

  #set(cluster: number, high: number, low: number): void {
    const table = this.#tableOf(Math.floor(cluster / this.entries))
    if (!table) throw new ImageError('An L2 table is missing.')
    const at = (cluster % this.entries) * 8
    table.view.setUint32(at, high)
    table.view.setUint32(at + 4, low)
    table.dirtyFrom = Math.min(table.dirtyFrom, at)
    table.dirtyTo = Math.max(table.dirtyTo, at + 8)
  }

  #l1Entry(index: number): { readonly offset: number; readonly isCopied: boolean } {
    const high = this.#l1.getUint32(index * 8)
    const low = this.#l1.getUint32(index * 8 + 4)
    const offset = (high & OFFSET_HIGH) * 2 ** 32 + low - (low % 512)
    if (offset % this.#clusterBytes !== 0) {
      throw new ImageError(`Its L2 table ${index} is not at a cluster.`)
    }
    return { offset, isCopied: (high & COPIED) !== 0 }
  }

  #tableOf(index: number): Table | undefined {
    const known = this.#tables.get(index)
    if (known) return known
    const { offset } = this.#l1Entry(index)
    if (offset === 0) return undefined
    const bytes = readExactly(this.#storage, offset, this.#clusterBytes, `L2 table ${index}`)
    return this.#keep(index, offset, bytes)
  }

  /** Others make room: the oldest that are as in the file. */
  #keep(index: number, offset: number, bytes: Uint8Array<ArrayBuffer>): Table {
    for (const [other, { dirtyFrom, dirtyTo }] of this.#tables) {
      if ((this.#tables.size + 1) * this.#clusterBytes <= CACHE_BYTES) break
      if (dirtyFrom >= dirtyTo) this.#tables.delete(other)
    }
    const view = new DataView(bytes.buffer)
    const table = { offset, view, dirtyFrom: bytes.length, dirtyTo: 0 }
    this.#tables.set(index, table)
    return table
  }

  #checkData(offset: number): void {
    if (offset % this.#clusterBytes !== 0 || offset >= this.#storage.size) {
      throw new ImageError(`One of its clusters would lie at ${offset}, where none can be.`)
    }
  }
}

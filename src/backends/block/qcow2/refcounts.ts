// Which clusters of a qcow2 file are in use, and how often (qcow2.txt, "Host cluster management"): a
// table leads to blocks of counts. Blocks are kept in memory and written with a flush; the image
// says when, since the order of its parts on the medium is what a power failure leaves intact.

import { type ByteStorage, ImageError, readExactly } from '../storage.ts'
import { type Qcow2Header, REFCOUNT_TABLE_FIELD } from './header.ts'

/** Clusters that a search looks at before it gives up: an image can claim that all are in use. */
const SEARCH_LIMIT = 2 ** 20
/** Memory for blocks, in bytes. */
const CACHE_BYTES = 4 * 2 ** 20

interface Block {
  readonly offset: number
  readonly view: DataView<ArrayBuffer>
  /** Bytes that differ from the file: from `dirtyFrom` to before `dirtyTo`. */
  dirtyFrom: number
  dirtyTo: number
}

export class Refcounts {
  readonly #storage: ByteStorage
  readonly #bits: number
  readonly #clusterBytes: number
  /** Clusters whose counts are in one block. */
  readonly #perBlock: number
  /** Clusters of the file with tables in them: never data. */
  readonly #tables: Set<number>
  readonly #blocks = new Map<number, Block>()
  #table: DataView<ArrayBuffer>
  #tableOffset: number
  #dirtyTable = new Set<number>()
  /** No cluster before it is free. */
  #lowestFree = 0

  /** `tables` are the clusters with tables; those of the counts are added here. */
  constructor(storage: ByteStorage, header: Qcow2Header, tables: Set<number>) {
    this.#storage = storage
    this.#bits = header.refcountBits
    this.#clusterBytes = 2 ** header.clusterBits
    this.#perBlock = (this.#clusterBytes * 8) / this.#bits
    this.#tables = tables
    this.#tableOffset = header.refcountTableOffset
    const bytes = header.refcountTableClusters * this.#clusterBytes
    const table = readExactly(storage, this.#tableOffset, bytes, 'refcount table')
    this.#table = new DataView(table.buffer)
    for (let at = 0; at < bytes; at += this.#clusterBytes) this.#claim(this.#tableOffset + at)
    for (let i = 0; i < this.#tableEntries; i++) {
      const offset = this.#blockOffset(i)
      if (offset !== 0) this.#claim(offset)
    }
  }

  /** How often a cluster is used. */
  get(cluster: number): number {
    const block = this.#blockOf(cluster)
    return block ? this.#read(block.view, cluster % this.#perBlock) : 0
  }

  /** One use less. */
  drop(cluster: number): void {
    const block = this.#blockOf(cluster)
    const count = block ? this.#read(block.view, cluster % this.#perBlock) : 0
    if (!block || count === 0) throw new ImageError(`Cluster ${cluster} is used, but not counted.`)
    this.#set(block, cluster % this.#perBlock, count - 1)
    if (count === 1) this.#lowestFree = Math.min(this.#lowestFree, cluster)
  }

  /** Takes up to `most` free clusters in a row: the first one's number, and how many. */
  allocate(most: number): { readonly first: number; readonly count: number } {
    for (;;) {
      const first = this.#search()
      const block = this.#blockOf(first)
      if (!block) {
        // A block or a table is made, and may have taken the cluster.
        this.#addBlock(Math.floor(first / this.#perBlock))
        continue
      }
      let count = 0
      const end = Math.min(most, this.#perBlock - (first % this.#perBlock))
      while (count < end && this.#isFree(block, first + count)) {
        this.#set(block, (first + count) % this.#perBlock, 1)
        count++
      }
      this.#lowestFree = first + count
      return { first, count }
    }
  }

  get isTableDirty(): boolean {
    return this.#dirtyTable.size > 0
  }

  /** Writes the counts that have changed. */
  writeBlocks(): void {
    for (const block of this.#blocks.values()) this.#writeBlock(block)
  }

  /** Writes the entries of the table that have changed: their blocks have reached the medium. */
  writeTable(): void {
    for (const index of this.#dirtyTable) {
      const entry = new Uint8Array(this.#table.buffer, index * 8, 8)
      this.#storage.write(this.#tableOffset + index * 8, entry)
    }
    this.#dirtyTable.clear()
  }

  get #tableEntries(): number {
    return this.#table.byteLength / 8
  }

  #isFree(block: Block, cluster: number): boolean {
    if (this.#read(block.view, cluster % this.#perBlock) !== 0) return false
    if (!this.#tables.has(cluster)) return true
    throw new ImageError(`Cluster ${cluster} holds a table, but is counted as free.`)
  }

  /** The lowest free cluster. */
  #search(): number {
    for (let cluster = this.#lowestFree, looked = 0; looked < SEARCH_LIMIT; cluster++, looked++) {
      const block = this.#blockOf(cluster)
      // Where no counts are, nothing is used.
      if (!block || this.#isFree(block, cluster)) return cluster
    }
    throw new ImageError(`No free cluster is among the ${SEARCH_LIMIT} that were looked at.`)
  }

  #blockOffset(index: number): number {
    const high = this.#table.getUint32(index * 8)
    const low = this.#table.getUint32(index * 8 + 4)
    const offset = high * 2 ** 32 + low - (low % 512)
    if (offset % this.#clusterBytes !== 0) {
      throw new ImageError(`Its refcount block ${index} is not at a cluster.`)
    }
    return offset
  }

  #blockOf(cluster: number): Block | undefined {
    const index = Math.floor(cluster / this.#perBlock)
    const known = this.#blocks.get(index)
    if (known) return known
    if (index >= this.#tableEntries) return undefined
    const offset = this.#blockOffset(index)
    if (offset === 0) return undefined
    const bytes = readExactly(this.#storage, offset, this.#clusterBytes, `refcount block ${index}`)
    return this.#keep(index, offset, bytes)
  }

  #keep(index: number, offset: number, bytes: Uint8Array<ArrayBuffer>): Block {
    if ((this.#blocks.size + 1) * this.#clusterBytes > CACHE_BYTES) {
      this.writeBlocks()
      this.#blocks.clear()
    }
    const view = new DataView(bytes.buffer)
    const block = { offset, view, dirtyFrom: bytes.length, dirtyTo: 0 }
    this.#blocks.set(index, block)
    return block
  }

  /** Makes the block of counts for a part of the file that has none: its first count is its own. */
  #addBlock(index: number): void {
    if (index >= this.#tableEntries) return this.#growTable(index)
    const cluster = index * this.#perBlock
    const offset = cluster * this.#clusterBytes
    this.#claim(offset)
    const block = this.#keep(index, offset, new Uint8Array(this.#clusterBytes))
    this.#set(block, 0, 1)
    this.#dirtyAll(block)
    this.#setTable(index, offset)
  }

  /** A larger table, behind everything that the old one can count. */
  #growTable(index: number): void {
    const firstIndex = this.#tableEntries
    const start = firstIndex * this.#perBlock
    const wanted = Math.max(index + 4, Math.ceil(this.#tableEntries * 1.5))
    const tableClusters = Math.ceil((wanted * 8) / this.#clusterBytes)
    const blocks = Math.ceil((tableClusters + 1) / (this.#perBlock - 1)) + 1
    const old = { offset: this.#tableOffset, bytes: this.#table.byteLength, table: this.#table }
    const table = new Uint8Array(tableClusters * this.#clusterBytes)
    table.set(new Uint8Array(old.table.buffer))
    this.writeBlocks()
    this.#table = new DataView(table.buffer)
    for (let i = 0; i < blocks; i++) {
      const offset = (start + i) * this.#clusterBytes
      this.#claim(offset)
      this.#dirtyAll(this.#keep(firstIndex + i, offset, new Uint8Array(this.#clusterBytes)))
      this.#setTable(firstIndex + i, offset)
      this.#writeBlock(this.#blocks.get(firstIndex + i) as Block)
    }
    for (let i = 0; i < blocks + tableClusters; i++) {
      const block = this.#blockOf(start + i) as Block
      this.#set(block, (start + i) % this.#perBlock, 1)
    }
    this.#tableOffset = (start + blocks) * this.#clusterBytes
    for (let i = 0; i < tableClusters; i++) this.#claim(this.#tableOffset + i * this.#clusterBytes)
    this.writeBlocks()
    this.#storage.write(this.#tableOffset, table)
    this.#dirtyTable.clear()
    this.#storage.flush()
    const field = new DataView(new ArrayBuffer(12))
    field.setBigUint64(0, BigInt(this.#tableOffset))
    field.setUint32(8, tableClusters)
    this.#storage.write(REFCOUNT_TABLE_FIELD, new Uint8Array(field.buffer))
    this.#storage.flush()
    for (let at = 0; at < old.bytes; at += this.#clusterBytes) {
      const cluster = (old.offset + at) / this.#clusterBytes
      this.#tables.delete(cluster)
      this.drop(cluster)
    }
  }

  /** A cluster with a table in it. Two tables in one place would overwrite each other. */
  #claim(offset: number): void {
    const cluster = offset / this.#clusterBytes
    if (this.#tables.has(cluster)) {
      throw new ImageError(`Two of its tables lie in cluster ${cluster}.`)
    }
    this.#tables.add(cluster)
  }

  #setTable(index: number, offset: number): void {
    this.#table.setBigUint64(index * 8, BigInt(offset))
    this.#dirtyTable.add(index)
  }

  #writeBlock(block: Block): void {
    const { view, dirtyFrom, dirtyTo } = block
    if (dirtyFrom >= dirtyTo) return
    const bytes = new Uint8Array(view.buffer, dirtyFrom, dirtyTo - dirtyFrom)
    this.#storage.write(block.offset + dirtyFrom, bytes)
    block.dirtyFrom = view.byteLength
    block.dirtyTo = 0
  }

  #dirtyAll(block: Block): void {
    block.dirtyFrom = 0
    block.dirtyTo = block.view.byteLength
  }

  #read(view: DataView, i: number): number {
    switch (this.#bits) {
      case 64:
        return view.getUint32(i * 8) * 2 ** 32 + view.getUint32(i * 8 + 4)
      case 32:
        return view.getUint32(i * 4)
      case 16:
        return view.getUint16(i * 2)
      case 8:
        return view.getUint8(i)
      default: {
        const bit = i * this.#bits
        return (view.getUint8(bit >>> 3) >> (bit & 7)) & ((1 << this.#bits) - 1)
      }
    }
  }

  #set(block: Block, i: number, count: number): void {
    const { view } = block
    const bit = i * this.#bits
    const at = Math.floor(bit / 8)
    if (this.#bits === 64) view.setBigUint64(at, BigInt(count))
    else if (this.#bits === 32) view.setUint32(at, count)
    else if (this.#bits === 16) view.setUint16(at, count)
    else if (this.#bits === 8) view.setUint8(at, count)
    else {
      const mask = ((1 << this.#bits) - 1) << (bit & 7)
      view.setUint8(at, (view.getUint8(at) & ~mask) | (count << (bit & 7)))
    }
    block.dirtyFrom = Math.min(block.dirtyFrom, at)
    block.dirtyTo = Math.max(block.dirtyTo, at + Math.max(1, this.#bits / 8))
  }
}

// A qcow2 disk (QEMU's docs/interop/qcow2.txt), versions 2 and 3. What a snapshot or a compressed
// cluster uses is never changed: writes go to clusters of their own.
//
// Data are written at once, tables with a flush and in an order in which each part is on the medium
// before another leads to it. So after a power failure, or when the host is killed, the image is as
// at the last flush or later; clusters may be counted that nobody uses, never the other way round.
//
// Left out: making snapshots, writing compressed clusters, resizing.

import { type DiskImage, flushNow } from '../disk-image.ts'
import { type ByteStorage, ImageError, readPadded } from '../storage.ts'
import { clustersUsed, CompressedClusters } from './compressed.ts'
import { AUTOCLEAR_FIELD, INCOMPATIBLE_FIELD, type Inflate, type Qcow2Header } from './header.ts'
import { L2Tables } from './l2-tables.ts'
import { Refcounts } from './refcounts.ts'

/** Clusters that one request may discard; others keep what they have, which is allowed. */
const DISCARD_LIMIT = 2 ** 18
/** Clusters that may wait for a flush to be free. */
const MOST_DROPPED = 4096

/** A run of bytes that lie in a row in the file and in the request. */
interface Run {
  offset: number
  start: number
  length: number
}

export class Qcow2Image implements DiskImage {
  readonly format = 'qcow2'
  readonly size: number
  readonly isReadOnly: boolean
  readonly discardGranularity: number
  readonly #storage: ByteStorage
  readonly #header: Qcow2Header
  readonly #below: DiskImage | undefined
  readonly #clusterBytes: number
  readonly #l2: L2Tables
  readonly #compressed: CompressedClusters
  /** Clusters of the file with tables in them. */
  readonly #tables = new Set<number>()
  readonly #refcounts: Refcounts | undefined
  /** Clusters of the file that nothing uses once the tables are written. */
  #dropped: number[] = []
  #isBroken = false
  #isClosed = false

  /** @throws ImageError if it cannot be written although `storage` can, or its tables are damaged */
  constructor(storage: ByteStorage, header: Qcow2Header, inflate: Inflate, below?: DiskImage) {
    this.#storage = storage
    this.#header = header
    this.#below = below
    this.#clusterBytes = 2 ** header.clusterBits
    this.size = header.size
    this.isReadOnly = storage.isReadOnly
    this.discardGranularity = this.#clusterBytes
    this.#l2 = new L2Tables(storage, header)
    this.#compressed = new CompressedClusters(storage, header, inflate)
    if (this.isReadOnly) return
    if (header.isDirty) throw new ImageError('It was not closed, and its counts may be wrong.')
    if (header.isCorrupt) throw new ImageError('It is marked as corrupt.')
    this.#tables.add(0)
    this.#l2.claimTables(this.#tables)
    this.#refcounts = new Refcounts(storage, header, this.#tables)
    // What others keep about the contents (bitmaps) no longer holds.
    if (header.hasAutoclear) storage.write(AUTOCLEAR_FIELD, new Uint8Array(8))
  }

  read(offset: number, into: Uint8Array): void {
    const run: Run = { offset: 0, start: 0, length: 0 }
    const finish = () => {
      if (run.length === 0) return
      readPadded(this.#storage, run.offset, into.subarray(run.start, run.start + run.length))
      run.length = 0
    }
    for (const { cluster, at, start, end } of this.#pieces(offset, into.length)) {
      const mapping = this.#l2.map(cluster)
      const length = end - start
      if (mapping.kind === 'data') {
        const place = mapping.offset + at
        if (run.length > 0 && run.offset + run.length === place) run.length += length
        else {
          finish()
          Object.assign(run, { offset: place, start, length })
        }
        continue
      }
      finish()
      const piece = into.subarray(start, end)
      if (mapping.kind === 'zero') piece.fill(0)
      else if (mapping.kind === 'nothing') this.#readBelow(offset + start, piece)
      else {
        const bytes = this.#compressed.read(mapping.high, mapping.low)
        piece.set(bytes.subarray(at, at + length))
      }
    }
    finish()
  }

  write(offset: number, bytes: Uint8Array): void {
    this.#guard((refcounts) => {
      for (const { cluster, at, start, end } of this.#pieces(offset, bytes.length)) {
        this.#makeRoom(refcounts)
        this.#writeCluster(refcounts, cluster, at, bytes.subarray(start, end))
      }
    })
  }

  discard(offset: number, length: number): void {
    this.#guard((refcounts) => {
      const first = Math.ceil(offset / this.#clusterBytes)
      // The last cluster of the disk may be a part of one.
      const isToEnd = offset + length >= this.size
      const last = (offset + length) / this.#clusterBytes
      const end = isToEnd ? Math.ceil(last) : Math.floor(last)
      for (let cluster = first, looked = 0; cluster < end && looked < DISCARD_LIMIT; looked++) {
        if (this.#l2.hasTable(cluster)) this.#discardCluster(refcounts, cluster++)
        else cluster += this.#l2.entries - (cluster % this.#l2.entries)
      }
    })
  }

  *flushSteps(): Iterable<ByteStorage> {
    if (!this.#refcounts) return
    const steps = this.#flush(this.#refcounts)
    for (;;) {
      const step = this.#guard(() => steps.next())
      if (step.done) return
      yield step.value
      if (this.#isClosed) return
    }
  }

  close(): void {
    try {
      if (!this.isReadOnly && !this.#isBroken) flushNow(this)
    } finally {
      this.#isClosed = true
      this.#storage.close()
      this.#below?.close()
    }
  }

  /** Does what changes the image. When its structure is found damaged, nothing is changed again. */
  #guard<T>(change: (refcounts: Refcounts) => T): T {
    if (!this.#refcounts) throw new ImageError('It is read-only.')
    if (this.#isBroken) throw new ImageError('It was found damaged before.')
    try {
      return change(this.#refcounts)
    } catch (error) {
      if (error instanceof ImageError) this.#markCorrupt()
      throw error
    }
  }

  #markCorrupt(): void {
    this.#isBroken = true
    if (this.#header.version < 3) return
    const feature = new Uint8Array(1)
    this.#storage.read(INCOMPATIBLE_FIELD + 7, feature)
    this.#storage.write(INCOMPATIBLE_FIELD + 7, Uint8Array.of((feature[0] ?? 0) | 2))
    this.#storage.flush()
  }

  #writeCluster(refcounts: Refcounts, cluster: number, at: number, bytes: Uint8Array): void {
    const mapping = this.#l2.map(cluster)
    if (mapping.kind === 'data' && mapping.isCopied) {
      if (this.#tables.has(mapping.offset / this.#clusterBytes)) {
        throw new ImageError(`A cluster of the disk lies at ${mapping.offset}, where a table is.`)
      }
      this.#storage.write(mapping.offset + at, bytes)
      return
    }
    const { first } = refcounts.allocate(1)
    const offset = first * this.#clusterBytes
    const isHole = mapping.kind === 'zero' || (mapping.kind === 'nothing' && !this.#below)
    if (isHole && offset >= this.#storage.size) {
      // Behind the end of the file everything is zero already.
      this.#storage.write(offset + at, bytes)
    } else if (bytes.length === this.#clusterBytes) this.#storage.write(offset, bytes)
    else {
      const whole = new Uint8Array(this.#clusterBytes)
      const start = cluster * this.#clusterBytes
      this.read(start, whole.subarray(0, Math.min(whole.length, this.size - start)))
      whole.set(bytes, at)
      this.#storage.write(offset, whole)
    }
    this.#replace(refcounts, cluster, () => this.#l2.setData(cluster, offset))
  }

  #discardCluster(refcounts: Refcounts, cluster: number): void {
    const { kind } = this.#l2.map(cluster)
    if (kind === 'nothing' || (kind === 'zero' && this.#l2.offsetIn(cluster) < 0)) return
    // Version 2 cannot say "zeros": what is below would show again.
    if (this.#below && this.#header.version < 3) return
    this.#makeRoom(refcounts)
    this.#replace(refcounts, cluster, () => {
      this.#l2.setEmpty(cluster, this.#below !== undefined)
    })
  }

  /** Changes an entry, and drops what it kept in use before. */
  #replace(refcounts: Refcounts, cluster: number, change: () => void): void {
    const old = this.#l2.map(cluster)
    const { clusterBits } = this.#header
    const unused = this.#l2.makeOwn(cluster, refcounts, this.#tables)
    if (unused !== undefined) this.#dropped.push(unused)
    if (old.kind === 'compressed') {
      const [first, last] = clustersUsed(old.high, old.low, clusterBits)
      for (let used = first; used <= last; used++) this.#dropped.push(used)
      this.#compressed.forget()
    } else {
      const offset = this.#l2.offsetIn(cluster)
      if (offset >= 0) this.#dropped.push(offset / this.#clusterBytes)
    }
    change()
  }

  /** What waits for a flush is bounded. */
  #makeRoom(refcounts: Refcounts): void {
    const isFull = this.#l2.isFull && this.#l2.isDirty
    if (!isFull && this.#dropped.length < MOST_DROPPED) return
    for (const storage of this.#flush(refcounts)) storage.flush()
  }

  *#flush(refcounts: Refcounts): Generator<ByteStorage, void, void> {
    refcounts.writeBlocks()
    yield this.#storage
    if (refcounts.isTableDirty) {
      refcounts.writeTable()
      yield this.#storage
    }
    if (this.#l2.isDirty) {
      this.#l2.write()
      yield this.#storage
    }
    // Only now may they be used for something else.
    const dropped = this.#dropped
    this.#dropped = []
    for (const cluster of dropped) refcounts.drop(cluster)
    refcounts.writeBlocks()
  }

  /** The image below may be shorter. */
  #readBelow(offset: number, into: Uint8Array): void {
    const below = this.#below
    const length = below ? Math.max(0, Math.min(into.length, below.size - offset)) : 0
    try {
      if (length > 0) below?.read(offset, into.subarray(0, length))
    } catch (error) {
      // That is no damage of this image.
      throw new Error(`The image below fails: ${(error as Error).message}`, { cause: error })
    }
    into.fill(0, length)
  }

  /** Cuts a range of the disk at the borders of clusters: places in the cluster and in the range. */
  *#pieces(offset: number, length: number) {
    for (let start = 0; start < length; ) {
      const cluster = Math.floor((offset + start) / this.#clusterBytes)
      const at = (offset + start) % this.#clusterBytes
      const end = Math.min(length, start + this.#clusterBytes - at)
      yield { cluster, at, start, end }
      start = end
    }
  }
}

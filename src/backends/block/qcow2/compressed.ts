// Compressed clusters of a qcow2 image (qcow2.txt, "Compressed Clusters Descriptor"): where one lies,
// which clusters of the file it keeps in use, and its contents. They are only read.

import { type ByteStorage, ImageError } from '../storage.ts'
import type { Inflate, Qcow2Header } from './header.ts'
import { zstdFrameBytes } from './zstd-frame.ts'

/** Where compressed data lie in the file, in bytes; they may end before `length`. */
interface Place {
  readonly offset: number
  readonly length: number
}

/** What the two halves of an L2 entry say. */
function placeOf(high: number, low: number, clusterBits: number): Place {
  const entry = ((BigInt(high) & 0x3fffffffn) << 32n) | BigInt(low)
  const offsetBits = BigInt(62 - (clusterBits - 8))
  const offset = Number(entry & ((1n << offsetBits) - 1n))
  const sectors = Number(entry >> offsetBits) + 1
  return { offset, length: sectors * 512 - (offset % 512) }
}

/** The first and the last cluster of the file that a compressed cluster lies in. */
export function clustersUsed(high: number, low: number, clusterBits: number): [number, number] {
  const { offset, length } = placeOf(high, low, clusterBits)
  const clusterBytes = 2 ** clusterBits
  return [Math.floor(offset / clusterBytes), Math.floor((offset + length - 1) / clusterBytes)]
}

export class CompressedClusters {
  readonly #storage: ByteStorage
  readonly #header: Qcow2Header
  readonly #inflate: Inflate
  /** The last one read: readers come back for the rest of it. */
  #last: { readonly high: number; readonly low: number; readonly bytes: Uint8Array } | undefined

  constructor(storage: ByteStorage, header: Qcow2Header, inflate: Inflate) {
    this.#storage = storage
    this.#header = header
    this.#inflate = inflate
  }

  /** The contents of the cluster that an L2 entry describes. */
  read(high: number, low: number): Uint8Array {
    if (this.#last?.high === high && this.#last.low === low) return this.#last.bytes
    const { clusterBits, compression } = this.#header
    const { offset, length } = placeOf(high, low, clusterBits)
    if (offset >= this.#storage.size) {
      throw new ImageError(`A compressed cluster would lie at ${offset}, behind the end.`)
    }
    const packed = new Uint8Array(length)
    const got = packed.subarray(0, this.#storage.read(offset, packed))
    const end = compression === 'zstd' ? (zstdFrameBytes(got) ?? 0) : got.length
    const bytes = this.#inflate(compression, got.subarray(0, end), 2 ** clusterBits)
    if (bytes?.length !== 2 ** clusterBits) {
      throw new ImageError(`The compressed cluster at ${offset} cannot be unpacked.`)
    }
    this.#last = { high, low, bytes }
    return bytes
  }

  /** A cluster of the file is given to something else. */
  forget(): void {
    this.#last = undefined
  }
}

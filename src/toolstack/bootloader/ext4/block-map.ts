// Where the blocks of a file lie: runs of blocks in the order of the file, from an extent tree or
// from the older map of direct and indirect blocks (Linux, Documentation/filesystems/ext4/ifork.rst).
// Blocks that no run covers are holes.

import { ImageError } from '../../../backends/block/storage.ts'
import type { ByteSource } from '../disk-reader.ts'
import { crc32c } from './checksum.ts'
import { FLAG_EXTENTS, type Inode } from './inode.ts'
import type { Superblock } from './superblock.ts'

/** `count` blocks of the file, from block `logical` of it on, lie at block `physical` of the disk. */
export interface Run {
  readonly logical: number
  readonly physical: number
  readonly count: number
}

const EXTENT_MAGIC = 0xf30a
const HEADER_SIZE = 12
const ENTRY_SIZE = 12
const DEEPEST_TREE = 5
/** A longer extent is one that has been allocated and not been written: it reads as zeros. */
const MOST_INITIALISED = 32768

/**
 * The runs of the first `blocks` blocks of a file.
 * @throws ImageError
 */
export function blockMap(source: ByteSource, sb: Superblock, inode: Inode, blocks: number): Run[] {
  const runs: Run[] = []
  const add = (logical: number, physical: number, count: number) => {
    const last = runs.at(-1)
    const next = last ? last.logical + last.count : 0
    if (logical < next || physical + count > sb.blocks) throw damaged(inode)
    const isAdjacent = last && logical === next && physical === last.physical + last.count
    if (isAdjacent) runs[runs.length - 1] = { ...last, count: last.count + count }
    else runs.push({ logical, physical, count })
  }
  if (inode.flags & FLAG_EXTENTS) new ExtentTree(source, sb, inode, blocks, add).walk()
  else new IndirectMap(source, sb, inode, blocks, add).walk()
  return runs
}

type Add = (logical: number, physical: number, count: number) => void

/** The map of one file's blocks in whichever form it has. */
class MapWalk {
  protected readonly source: ByteSource
  protected readonly sb: Superblock
  protected readonly inode: Inode
  protected readonly blocks: number
  protected readonly add: Add

  constructor(source: ByteSource, sb: Superblock, inode: Inode, blocks: number, add: Add) {
    this.source = source
    this.sb = sb
    this.inode = inode
    this.blocks = blocks
    this.add = add
  }
}

class ExtentTree extends MapWalk {
  walk(): void {
    const depth = viewOf(this.inode.block).getUint16(6, true)
    if (depth > DEEPEST_TREE) throw damaged(this.inode)
    this.#node(this.inode.block, depth)
  }

  #node(bytes: Uint8Array, depth: number): void {
    const view = viewOf(bytes)
    const entries = view.getUint16(2, true)
    const most = view.getUint16(4, true)
    const fits = HEADER_SIZE + most * ENTRY_SIZE <= bytes.length && entries <= most
    if (view.getUint16(0, true) !== EXTENT_MAGIC || !fits || view.getUint16(6, true) !== depth) {
      throw damaged(this.inode)
    }
    let before = -1
    for (let i = 0; i < entries; i++) {
      const at = HEADER_SIZE + i * ENTRY_SIZE
      const logical = view.getUint32(at, true)
      // In order: so a tree that leads back to itself ends, at the latest, with the budget of reads.
      if (logical <= before) throw damaged(this.inode)
      before = logical
      if (logical >= this.blocks) return
      if (depth === 0) this.#leaf(view, at, logical)
      else this.#child(view, at, depth - 1)
    }
  }

  #leaf(view: DataView, at: number, logical: number): void {
    const length = view.getUint16(at + 4, true)
    if (length > MOST_INITIALISED) return
    const physical = view.getUint32(at + 8, true) + view.getUint16(at + 6, true) * 2 ** 32
    if (length === 0) throw damaged(this.inode)
    this.add(logical, physical, Math.min(length, this.blocks - logical))
  }

  #child(view: DataView, at: number, depth: number): void {
    const block = view.getUint32(at + 4, true) + view.getUint16(at + 8, true) * 2 ** 32
    const { blockSize } = this.sb
    const bytes = this.source.read(block * blockSize, blockSize)
    const seed = this.inode.checksumSeed
    if (seed !== undefined) {
      const tail = HEADER_SIZE + viewOf(bytes).getUint16(4, true) * ENTRY_SIZE
      const isRight =
        tail + 4 <= bytes.length &&
        crc32c(seed, bytes.subarray(0, tail)) === viewOf(bytes).getUint32(tail, true)
      if (!isRight) throw damaged(this.inode, 'a block of its map has a wrong checksum')
    }
    this.#node(bytes, depth)
  }
}

const DIRECT_BLOCKS = 12
const LEVELS = 3

class IndirectMap extends MapWalk {
  walk(): void {
    const view = viewOf(this.inode.block)
    const perBlock = this.sb.blockSize / 4
    let logical = 0
    for (let i = 0; i < DIRECT_BLOCKS; i++) this.#data(view.getUint32(4 * i, true), logical++)
    for (let level = 1; level <= LEVELS; level++) {
      this.#indirect(view.getUint32(4 * (DIRECT_BLOCKS + level - 1), true), level, logical)
      logical += perBlock ** level
    }
    if (logical < this.blocks) throw damaged(this.inode, 'it is larger than its map')
  }

  #data(physical: number, logical: number): void {
    if (physical !== 0 && logical < this.blocks) this.add(logical, physical, 1)
  }

  #indirect(block: number, level: number, first: number): void {
    if (block === 0 || first >= this.blocks) return
    const { blockSize } = this.sb
    const view = viewOf(this.source.read(block * blockSize, blockSize))
    const step = (blockSize / 4) ** (level - 1)
    for (let i = 0; i < blockSize / 4; i++) {
      const logical = first + i * step
      if (logical >= this.blocks) return
      const pointer = view.getUint32(4 * i, true)
      if (level === 1) this.#data(pointer, logical)
      else this.#indirect(pointer, level - 1, logical)
    }
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function damaged({ number }: Inode, how = 'the map of its blocks makes no sense'): ImageError {
  return new ImageError(`Inode ${number} of its ext4 file system is damaged: ${how}.`)
}

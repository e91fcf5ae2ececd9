// A file system of the ext family, as far as a boot loader goes: it finds files by their paths and
// reads them. Nothing is replayed from the journal, as in GRUB and pygrub.

import { ImageError } from '../../../backends/block/storage.ts'
import type { ByteSource } from '../disk-reader.ts'
import type { FileSystem, FoundFile } from '../file-system.ts'
import { readContents } from './contents.ts'
import { readEntries } from './directory.ts'
import { type Inode, readInode } from './inode.ts'
import { readSuperblock, type Superblock } from './superblock.ts'

const ROOT_INODE = 2
/** As many as Linux follows for one path. */
const MOST_LINKS = 40
const LONGEST_LINK = 4096
/** Of a directory; /boot and what leads to it are small. */
const MOST_DIRECTORY_BYTES = 2 ** 22

/**
 * Undefined if there is none.
 * @throws ImageError if its superblock is damaged
 */
export function openExt4(source: ByteSource): FileSystem | undefined {
  const sb = readSuperblock(source)
  return sb && new Ext4(source, sb)
}

class Ext4 implements FileSystem {
  readonly kind: string
  readonly uuid: string
  readonly label: string
  readonly isDirty: boolean
  readonly #source: ByteSource
  readonly #sb: Superblock
  /** Entries of directories that have been read. */
  readonly #directories = new Map<number, Map<string, number>>()

  constructor(source: ByteSource, sb: Superblock) {
    this.#source = source
    this.#sb = sb
    this.kind = sb.kind
    this.uuid = sb.uuid
    this.label = sb.label
    this.isDirty = sb.needsRecovery
  }

  find(path: string): FoundFile | undefined {
    const inode = this.#lookUp(path)
    if (!inode) return undefined
    return {
      type: inode.type === 'link' ? 'other' : inode.type,
      size: inode.size,
      read: (mostBytes) => readContents(this.#source, this.#sb, inode, mostBytes),
    }
  }

  #lookUp(path: string): Inode | undefined {
    /** The directories from the root to where we are. */
    let trail = [readInode(this.#source, this.#sb, ROOT_INODE)]
    const waiting = partsOf(path)
    let links = 0
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const here = trail.at(-1) as Inode
      if (here.type !== 'directory') return undefined
      if (name === '.') continue
      if (name === '..') {
        if (trail.length > 1) trail.pop()
        continue
      }
      const number = this.#entries(here).get(name)
      if (number === undefined) return undefined
      const next = readInode(this.#source, this.#sb, number)
      if (next.type !== 'link') {
        trail.push(next)
        continue
      }
      if (++links > MOST_LINKS) throw new ImageError(`Its links at ${path} lead in a circle.`)
      const target = new TextDecoder().decode(
        readContents(this.#source, this.#sb, next, LONGEST_LINK),
      )
      if (target.startsWith('/')) trail = trail.slice(0, 1)
      waiting.unshift(...partsOf(target))
    }
    return trail.at(-1)
  }

  #entries(directory: Inode): Map<string, number> {
    const known = this.#directories.get(directory.number)
    if (known) return known
    const contents = readContents(this.#source, this.#sb, directory, MOST_DIRECTORY_BYTES)
    const entries = readEntries(this.#sb, directory, contents)
    this.#directories.set(directory.number, entries)
    return entries
  }
}

function partsOf(path: string): string[] {
  return path.split('/').filter((part) => part !== '')
}

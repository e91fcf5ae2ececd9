// The file systems of a disk, by the names that GRUB has for them, and why the others cannot be read.

import type { DiskImage } from '../../backends/block/disk-image.ts'
import { ImageError } from '../../backends/block/storage.ts'
import { type ByteSource, DiskPart, DiskReader } from './disk-reader.ts'
import { openExt4 } from './ext4/ext4.ts'
import type { FileSystem, FoundFile } from './file-system.ts'
import { foreignContents } from './foreign-contents.ts'
import { readPartitions } from './partitions/read-partitions.ts'

export interface Volume {
  /** As GRUB calls it: `hd0,gpt1`, `hd0,msdos2`, or `hd0` for a disk without partitions. */
  readonly name: string
  /** For people: `partition 1`. */
  readonly title: string
  readonly fs: FileSystem
}

/** A file by its path, on a volume if that is there. */
export interface FilePlace {
  readonly volume: Volume | undefined
  readonly path: string
  /** As the configuration names it. */
  readonly named: string
}

/** What boot configurations are read from. */
export interface VolumeSet {
  /** In the order in which they are looked at for something to boot. */
  readonly all: readonly Volume[]
  /**
   * What a path of a boot loader's configuration means: `(hd0,gpt1)/vmlinuz`, or `/vmlinuz` on the
   * volume that `root` names.
   */
  place(named: string, root: string): FilePlace
  find(place: FilePlace): FoundFile | undefined
}

export class Volumes implements VolumeSet {
  readonly all: readonly Volume[]
  /** What the disk has besides, one line each: why it is not in {@link all}. */
  readonly others: readonly string[]

  private constructor(all: readonly Volume[], others: readonly string[]) {
    this.all = all
    this.others = others
  }

  /**
   * Looks at a disk.
   * @param offset where a file system begins, if the user says so: there is only that one then
   * @throws ImageError
   */
  static open(image: Pick<DiskImage, 'size' | 'read'>, offset?: number): Volumes {
    const disk = new DiskReader(image)
    const all: Volume[] = []
    const others: string[] = []
    const add = (name: string, title: string, type: string, source: ByteSource) => {
      const opened = open(source)
      if (typeof opened === 'string') others.push(`${title}${type} has ${opened}`)
      else all.push({ name, title, fs: opened })
    }
    if (offset !== undefined) {
      add('hd0', `byte ${offset}`, '', new DiskPart(disk, offset, disk.size))
      return new Volumes(all, others)
    }
    const partitions = readPartitions(disk)
    if (!partitions) add('hd0', 'the disk', '', disk)
    for (const { number, scheme, type, offset, size } of partitions ?? []) {
      const name = `hd0,${scheme}${number}`
      add(name, `partition ${number}`, ` (${type})`, new DiskPart(disk, offset, size))
    }
    return new Volumes(all, others)
  }

  place(named: string, root: string): FilePlace {
    return placeOf(this.all, named, root)
  }

  find({ volume, path }: FilePlace): FoundFile | undefined {
    return volume?.fs.find(path)
  }
}

export function placeOf(all: readonly Volume[], named: string, root: string): FilePlace {
  const [, device, path = named] = /^\(([^)]*)\)(.*)$/s.exec(named) ?? []
  return { volume: volumeNamed(all, device ?? root), path, named }
}

/** The volume that GRUB calls so; the kind of the partition table may be left out. */
function volumeNamed(all: readonly Volume[], name: string): Volume | undefined {
  const plain = (text: string) => text.replace(/,(?:msdos|gpt)(?=\d)/, ',')
  return all.find((volume) => plain(volume.name) === plain(name.trim()))
}

/** A file system; or in words what is there in its place. */
function open(source: ByteSource): FileSystem | string {
  try {
    return openExt4(source) ?? foreignContents(source)
  } catch (error) {
    if (!(error instanceof ImageError)) throw error
    return `no file system that can be read: ${error.message}`
  }
}

// File systems that are a table of paths, for the tests of what reads boot configurations.

import { ImageError } from '../../backends/block/storage.ts'
import type { FileSystem, FoundFile } from './file-system.ts'
import { type FilePlace, placeOf, type Volume, type VolumeSet } from './volumes.ts'

/** Contents by absolute path. */
export type Files = Readonly<Record<string, string>>

class TableFileSystem implements FileSystem {
  readonly kind = 'ext4'
  readonly label: string
  readonly uuid: string
  readonly isDirty = false
  readonly #files: Files

  constructor(files: Files, uuid: string, label: string) {
    this.#files = files
    this.uuid = uuid
    this.label = label
  }

  find(path: string): FoundFile | undefined {
    const plain = `/${path.split('/').filter(Boolean).join('/')}`
    const text = this.#files[plain]
    if (text === undefined) {
      const isFolder = Object.keys(this.#files).some((name) => name.startsWith(`${plain}/`))
      return isFolder ? { type: 'directory', size: 0, read: () => new Uint8Array() } : undefined
    }
    const bytes = new TextEncoder().encode(text)
    const read = (mostBytes: number) => {
      if (bytes.length > mostBytes) throw new ImageError('It is too long.')
      return bytes
    }
    return { type: 'file', size: bytes.length, read }
  }
}

/** A disk with a GPT whose partitions hold these files; each UUID is `uuid-N`, each label `label-N`. */
export function tableVolumes(...partitions: readonly Files[]): VolumeSet {
  const all = partitions.map((files, i): Volume => {
    const fs = new TableFileSystem(files, `uuid-${i + 1}`, `label-${i + 1}`)
    return { name: `hd0,gpt${i + 1}`, title: `partition ${i + 1}`, fs }
  })
  return {
    all,
    place: (named, root) => placeOf(all, named, root),
    find: ({ volume, path }: FilePlace) => volume?.fs.find(path),
  }
}

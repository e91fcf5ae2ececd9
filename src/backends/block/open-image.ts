// Opens an image by its format, with the images that it builds on. What an image says about others
// is not trusted: their names must be plain paths, their formats must be said, and a chain has an
// end. Which file a name means, and whether somebody else uses it, is the caller's (ImageFiles).

import type { DiskImage } from './disk-image.ts'
import { Qcow2Image } from './qcow2/qcow2-image.ts'
import { type Inflate, readQcow2Header } from './qcow2/header.ts'
import { RawImage } from './raw.ts'
import { type ByteStorage, ImageError, readPadded } from './storage.ts'
import { openVhd } from './vhd.ts'

/** How images are found and read; layer node has it for files. */
export interface ImageFiles {
  /**
   * Opens a file. For writing it is then nobody else's; for reading nobody writes it.
   * @throws UserError
   */
  open(path: string, isWritable: boolean): ByteStorage
  /** What a name in the image `base` means: relative to the image's folder. */
  resolve(base: string, name: string): string
  readonly inflate: Inflate
}

export type ImageFormat = 'raw' | 'qcow2' | 'vhd'

export interface OpenImageOptions {
  /** Undefined if nobody said: raw, unless it looks like something else, which is refused. */
  readonly format: ImageFormat | undefined
  readonly isWritable: boolean
}

/** Images that build on each other, the topmost one included. */
const MOST_IMAGES = 32

/**
 * Opens an image and those below it.
 * @throws ImageError if one of them is damaged, not supported or not what it is said to be; the
 * message names the image if it is not the topmost one. What `files` throws.
 */
export function openImage(files: ImageFiles, path: string, options: OpenImageOptions): DiskImage {
  return openAt(files, path, options, 0)
}

function openAt(
  files: ImageFiles,
  path: string,
  { format, isWritable }: OpenImageOptions,
  depth: number,
): DiskImage {
  if (depth >= MOST_IMAGES) throw new ImageError('More images build on each other than we follow.')
  const storage = files.open(path, isWritable)
  try {
    const known = format ?? assumedFormat(storage)
    if (known === 'raw') return new RawImage(storage)
    if (known === 'vhd') return openVhd(storage)
    const header = readQcow2Header(storage)
    const below = header.backing && openBelow(files, path, header.backing, depth)
    try {
      return new Qcow2Image(storage, header, files.inflate, below)
    } catch (error) {
      below?.close()
      throw error
    }
  } catch (error) {
    storage.close()
    throw error
  }
}

function openBelow(
  files: ImageFiles,
  path: string,
  backing: { readonly name: string; readonly format: string | undefined },
  depth: number,
): DiskImage {
  const name = backing.name.startsWith('file:') ? backing.name.slice('file:'.length) : backing.name
  // QEMU's other ways to name an image: json:{…}, nbd://host/…, fat:/folder.
  if (/^[a-z][\w+.-]*:/i.test(name)) {
    throw new ImageError(`It builds on "${backing.name}", which is no path of a file.`)
  }
  const below = files.resolve(path, name)
  try {
    const format = formatOf(backing.format)
    return openAt(files, below, { format, isWritable: false }, depth + 1)
  } catch (error) {
    if (!(error instanceof ImageError)) throw error
    throw new ImageError(`It builds on ${below}. ${error.message}`)
  }
}

/** A format as QEMU calls it. */
function formatOf(name: string | undefined): ImageFormat | undefined {
  if (name === undefined || name === 'raw' || name === 'qcow2') return name
  if (name === 'vpc') return 'vhd'
  throw new ImageError(`Its format is said to be "${name}", which is not supported.`)
}

/**
 * A guest may write into a raw image what makes it look like another format, to see other files of
 * the host's. So nobody guesses: what is not said is raw, or refused.
 */
function assumedFormat(storage: ByteStorage): ImageFormat {
  const start = new Uint8Array(8)
  readPadded(storage, 0, start)
  const text = String.fromCharCode(...start)
  const looks = MAGICS.find(([magic]) => text.startsWith(magic))
  if (!looks) return 'raw'
  throw new ImageError(`It looks like ${looks[1]}, but its format is not said.`)
}

const MAGICS: readonly (readonly [string, string])[] = [
  ['QFI\xfb', 'qcow2'],
  ['conectix', 'VHD'],
  ['QED\0', 'QED'],
  ['KDMV', 'VMDK'],
  ['vhdxfile', 'VHDX'],
]

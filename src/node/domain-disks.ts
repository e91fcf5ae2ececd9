// A domain's disks as the library shows them: finds the files that specifications name, opens and
// locks them with all that they build on, and gives them to the toolstack to connect.

import { dirname, resolve } from 'node:path'
import { constants, inflateRawSync, zstdDecompressSync } from 'node:zlib'
import { UserError } from '../base/errors.ts'
import type { DiskImage } from '../backends/block/disk-image.ts'
import { type ImageFiles, openImage } from '../backends/block/open-image.ts'
import { OverlayImage } from '../backends/block/overlay.ts'
import type { Inflate } from '../backends/block/qcow2/header.ts'
import { RawImage } from '../backends/block/raw.ts'
import { MemoryStorage } from '../backends/block/memory-storage.ts'
import { ImageError } from '../backends/block/storage.ts'
import { type DiskInfo, diskInfos } from '../toolstack/device-info.ts'
import { type DiskSpec, formatDiskSpec, parseDiskSpec } from '../toolstack/disk-spec.ts'
import type { GuestDisk } from '../toolstack/guest-disks.ts'
import type { GuestDomain } from '../toolstack/guest-domain.ts'
import { FileStorage } from './file-storage.ts'
import { imagePath } from './image-path.ts'

const inflate: Inflate = (method, input, size) => {
  try {
    // What follows the data in their last sector is not part of them.
    return method === 'deflate'
      ? inflateRawSync(input, { maxOutputLength: size, finishFlush: constants.Z_SYNC_FLUSH })
      : zstdDecompressSync(input, { maxOutputLength: size })
  } catch {
    return undefined
  }
}

const FILES: ImageFiles = {
  open: (path, isWritable) => FileStorage.open(path, isWritable),
  resolve: (base, name) => resolve(dirname(base), name),
  inflate,
}

/**
 * Opens what a specification says, as text or read already.
 * @throws UserError
 */
export function openDisk(disk: string | DiskSpec): GuestDisk {
  // What was made as an object is looked at like a text.
  const spec = parseDiskSpec(typeof disk === 'string' ? disk : formatDiskSpec(disk))
  const path = spec.target === undefined ? undefined : imagePath(spec.target)
  return {
    vdev: spec.vdev,
    devid: spec.devid,
    source: path ?? '',
    image: path === undefined ? new RawImage(new MemoryStorage(NO_DISC, true)) : open(spec, path),
    isCdrom: spec.isCdrom,
    hasDiscard: spec.hasDiscard,
  }
}

/** An empty drive. */
const NO_DISC = new Uint8Array()

/**
 * Opens all disks of a domain, or none.
 * @throws UserError
 */
export function openDisks(disks: readonly (string | DiskSpec)[]): GuestDisk[] {
  const open: GuestDisk[] = []
  try {
    for (const disk of disks) {
      const next = openDisk(disk)
      open.push(next)
      const other = open.find(({ devid }) => devid === next.devid)
      if (other !== next) throw givenTwice(next)
    }
    return open
  } catch (error) {
    closeDisks(open)
    throw error
  }
}

/** Closes disks that no domain has taken over. */
export function closeDisks(disks: readonly GuestDisk[]): void {
  for (const { image } of disks) image.close()
}

export class DomainDisks {
  readonly #guest: GuestDomain
  readonly #wake: () => void

  /** @param wake makes an idle host go on: there is something for the guest to see */
  constructor(guest: GuestDomain, wake: () => void) {
    this.#guest = guest
    this.#wake = wake
  }

  list(): DiskInfo[] {
    return diskInfos(this.#guest)
  }

  attach(spec: string | DiskSpec): number {
    const disk = openDisk(spec)
    try {
      this.#guest.disks.attach(disk)
    } catch (error) {
      closeDisks([disk])
      throw error
    }
    this.#wake()
    return disk.devid
  }

  async detach(vdev: string, options: { readonly force?: boolean } = {}): Promise<void> {
    if (options.force) return this.#guest.disks.remove(vdev)
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#guest.disks.detach(vdev, resolve)
    this.#wake()
    return promise
  }
}

function open(spec: DiskSpec, path: string): DiskImage {
  const isWritable = !spec.isReadOnly && !spec.isSnapshot
  try {
    const image = openImage(FILES, path, { format: spec.format, isWritable })
    return spec.isSnapshot && !spec.isReadOnly ? new OverlayImage(image) : image
  } catch (error) {
    if (!(error instanceof ImageError)) throw error
    throw new UserError(`Cannot use the disk image ${path}.`, error.message, remedyFor(error))
  }
}

function remedyFor({ message }: ImageError): string {
  if (message.includes('format is not said')) {
    return 'Say which it is: format=qcow2, format=vhd, or format=raw if it is a raw disk after all.'
  }
  if (message.includes('not supported'))
    return 'qemu-img convert -O qcow2 makes a plain image of it.'
  return 'qemu-img check and qemu-img info tell more; qemu-img check -r all may repair it.'
}

function givenTwice({ vdev }: GuestDisk): UserError {
  return new UserError(
    `The virtual device ${vdev} is given twice.`,
    'Each disk of a domain has a device of its own.',
    'Give one of them another name, such as xvdb.',
  )
}

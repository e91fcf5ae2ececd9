// VHD images, fixed and dynamic (Microsoft's "Virtual Hard Disk Image Format Specification", 1.0).
// All numbers are big-endian. Left out: differencing disks, which name their parents in ways of
// their own.

import { type DiskImage, SECTOR } from './disk-image.ts'
import { RawImage } from './raw.ts'
import { type ByteStorage, ImageError, readExactly } from './storage.ts'
import { VhdDynamicImage } from './vhd-dynamic.ts'

const FOOTER_BYTES = 512
const HEADER_BYTES = 1024
const COOKIE = 'conectix'
const HEADER_COOKIE = 'cxsparse'
const TYPE_FIXED = 2
const TYPE_DYNAMIC = 3
const TYPE_DIFFERENCING = 4
/** Programs that count in cylinders, heads and sectors; the size is rounded up to those. */
const CHS_CREATORS = ['vpc ', 'qemu']
/** The largest geometry there is: the size is beyond what it can tell. */
const MAX_CHS_SECTORS = 65535 * 16 * 255
/** 2040 GiB, the most that block numbers of 32 bits reach. */
const MAX_BYTES = 2040 * 2 ** 30

interface Footer {
  readonly bytes: Uint8Array<ArrayBuffer>
  readonly type: number
  readonly size: number
  readonly headerOffset: number
}

/** @throws ImageError if the image is damaged or of a kind that is not supported */
export function openVhd(storage: ByteStorage): DiskImage {
  const footer = findFooter(storage)
  if (footer.type === TYPE_FIXED) return new VhdFixedImage(storage, footer.size)
  if (footer.type === TYPE_DIFFERENCING) {
    throw new ImageError('It is a differencing VHD, which is not supported.')
  }
  if (footer.type !== TYPE_DYNAMIC) throw new ImageError(`There is no VHD of type ${footer.type}.`)
  const header = readExactly(storage, footer.headerOffset, HEADER_BYTES, 'dynamic disk header')
  const view = new DataView(header.buffer)
  if (textAt(header, 0, 8) !== HEADER_COOKIE) throw new ImageError('It has no dynamic disk header.')
  checkSum(header, 36, 'dynamic disk header')
  return new VhdDynamicImage(storage, {
    size: footer.size,
    footer: footer.bytes,
    tableOffset: numberAt(view, 16),
    tableEntries: view.getUint32(28),
    blockBytes: view.getUint32(32),
  })
}

/** The data of a fixed disk come first; the footer behind them is no part of the disk. */
class VhdFixedImage extends RawImage {
  override readonly format = 'vhd'

  constructor(storage: ByteStorage, size: number) {
    super(storage, size)
    if (size + FOOTER_BYTES > storage.size + 1) {
      throw new ImageError('It is shorter than the disk that it says it is.')
    }
  }
}

/** The footer at the end; a dynamic disk has a copy of it at the start, should that one be damaged. */
function findFooter(storage: ByteStorage): Footer {
  // Early versions of Virtual PC wrote 511 bytes.
  const end = storage.size - (storage.size % SECTOR === SECTOR - 1 ? SECTOR - 1 : SECTOR)
  const problems: unknown[] = []
  for (const offset of [end, 0]) {
    try {
      return readFooter(storage, offset)
    } catch (error) {
      problems.push(error)
    }
  }
  throw problems[0]
}

function readFooter(storage: ByteStorage, offset: number): Footer {
  const bytes = new Uint8Array(FOOTER_BYTES)
  if (offset < 0 || storage.read(offset, bytes) < FOOTER_BYTES - 1) {
    throw new ImageError('It is too short for a VHD.')
  }
  if (textAt(bytes, 0, 8) !== COOKIE) throw new ImageError('It has no VHD footer.')
  checkSum(bytes, 64, 'footer')
  const view = new DataView(bytes.buffer)
  const type = view.getUint32(60)
  if (offset === 0 && type === TYPE_FIXED) throw new ImageError('Its footer at the end is damaged.')
  const size = diskBytes(view, textAt(bytes, 28, 4))
  if (size > MAX_BYTES) throw new ImageError('Its size is larger than a VHD can be.')
  return { bytes, type, size, headerOffset: numberAt(view, 16) }
}

function diskBytes(view: DataView, creator: string): number {
  const sectors = view.getUint16(56) * view.getUint8(58) * view.getUint8(59)
  const byGeometry = CHS_CREATORS.includes(creator) && sectors > 0 && sectors !== MAX_CHS_SECTORS
  if (byGeometry) return sectors * SECTOR
  const size = numberAt(view, 48)
  return size - (size % SECTOR)
}

/** The ones' complement of the sum of all bytes, without those of the sum itself. */
function checkSum(bytes: Uint8Array<ArrayBuffer>, at: number, what: string): void {
  const said = new DataView(bytes.buffer).getUint32(at)
  const sum = bytes.reduce((sum, byte, i) => (i >= at && i < at + 4 ? sum : sum + byte), 0)
  if (~sum >>> 0 !== said) throw new ImageError(`The checksum of its ${what} is wrong.`)
}

function textAt(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length))
}

/** 64 bits; what is beyond 2^53 is beyond any file, too. */
function numberAt(view: DataView, at: number): number {
  return view.getUint32(at) * 2 ** 32 + view.getUint32(at + 4)
}

// A file or a block device as the storage of an image. What is written survives the end of the
// process at once, and a power failure after flush() (fdatasync).

import {
  closeSync,
  constants,
  fdatasync,
  fdatasyncSync,
  fstatSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from 'node:fs'
import { UserError } from '../base/errors.ts'
import type { ByteStorage } from '../backends/block/storage.ts'
import { canHaveHoles, makeHole } from './file-holes.ts'
import { lockFile } from './file-lock.ts'

export class FileStorage implements ByteStorage {
  readonly isReadOnly: boolean
  readonly punch: ByteStorage['punch']
  readonly #fd: number
  /** For flushes that nobody waits for: `#fd` may be closed, and its lock given up, meanwhile. */
  readonly #flushFd: number
  #flushes = 0
  #size: number
  #isClosed = false

  private constructor(fd: number, flushFd: number, size: number, isReadOnly: boolean) {
    this.#fd = fd
    this.#flushFd = flushFd
    this.#size = size
    this.isReadOnly = isReadOnly
    if (isReadOnly || !canHaveHoles(fd)) return
    this.punch = (offset, length) => makeHole(fd, offset, length)
  }

  /**
   * Opens an image: for writing nobody else may have it open, for reading nobody may write it.
   * @throws UserError
   */
  static open(path: string, isWritable: boolean): FileStorage {
    const fd = openImageFile(path, isWritable)
    try {
      const size = sizeOf(fd, path)
      lockFile(fd, path, isWritable)
      // A description of its own, of the same file whatever has become of its name.
      const flushFd = isWritable ? openSync(`/proc/self/fd/${fd}`, constants.O_RDONLY) : -1
      return new FileStorage(fd, flushFd, size, !isWritable)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  get size(): number {
    return this.#size
  }

  read(offset: number, into: Uint8Array): number {
    let done = 0
    while (done < into.length) {
      const got = readSync(this.#fd, into, done, into.length - done, offset + done)
      if (got === 0) break
      done += got
    }
    return done
  }

  write(offset: number, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; ) {
      done += writeSync(this.#fd, bytes, done, bytes.length - done, offset + done)
    }
    this.#size = Math.max(this.#size, offset + bytes.length)
  }

  flush(): void {
    fdatasyncSync(this.#fd)
  }

  async flushLater(): Promise<void> {
    if (this.isReadOnly) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#flushes++
    fdatasync(this.#flushFd, (error) => {
      this.#flushes--
      this.#closeFlushFd()
      if (error) reject(error)
      else resolve()
    })
    return promise
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    closeSync(this.#fd)
    this.#closeFlushFd()
  }

  /** Not while a thread uses it: its number could be another file's by then. */
  #closeFlushFd(): void {
    if (this.#isClosed && this.#flushes === 0 && !this.isReadOnly) closeSync(this.#flushFd)
  }
}

function openImageFile(path: string, isWritable: boolean): number {
  // Without O_NONBLOCK a named pipe would wait for its other end for ever.
  const access = isWritable ? constants.O_RDWR : constants.O_RDONLY
  try {
    return openSync(path, access | constants.O_NONBLOCK)
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    const why = REASONS[code ?? ''] ?? message
    const remedy =
      code === 'ENOENT'
        ? `Check the path, or make the image: qemu-img create -f qcow2 ${path} 10G`
        : isWritable
          ? 'Check its rights, or give it read-only (access r).'
          : 'Check the path and its rights.'
    throw new UserError(`Cannot open the disk image ${path}.`, `${why}.`, remedy)
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'There is no such file',
  EACCES: 'This user may not open it',
  EISDIR: 'It is a folder',
  EROFS: 'It is on a file system that is read-only',
}

function sizeOf(fd: number, path: string): number {
  const stat = fstatSync(fd)
  if (stat.isFile()) return stat.size
  if (stat.isBlockDevice()) {
    const major = (stat.rdev >>> 8) & 0xfff
    const minor = (stat.rdev & 0xff) | ((stat.rdev >>> 12) & 0xfff00)
    // The kernel counts in 512 bytes whatever the device's sectors are.
    return Number(readFileSync(`/sys/dev/block/${major}:${minor}/size`, 'utf8')) * 512
  }
  throw new UserError(
    `Cannot use ${path} as a disk image.`,
    'It is neither a file nor a block device.',
    'Give an image file.',
  )
}

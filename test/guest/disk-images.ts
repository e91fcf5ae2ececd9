// Disk images for guest tests: made by the tools that everybody uses, and checked by them afterwards.

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export class ImageFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'xenolith-disks-'))

  file(name: string): string {
    return join(this.path, name)
  }

  remove(): void {
    rmSync(this.path, { recursive: true })
  }

  run(command: string, ...args: string[]): string {
    return execFileSync(command, args, {
      cwd: this.path,
      encoding: 'utf8',
      stdio: 'pipe',
      maxBuffer: 2 ** 26,
    })
  }

  /** An image with an ext4 file system that holds `files`; the format is qemu-img's name of it. */
  makeExt4(name: string, format: string, MiB: number, files: Record<string, string> = {}): string {
    const content = this.file(`${name}.content`)
    mkdirSync(content)
    for (const [path, text] of Object.entries(files)) writeFileSync(join(content, path), text)
    const raw = `${name}.raw`
    this.run('mke2fs', '-q', '-t', 'ext4', '-d', content, raw, `${MiB}M`)
    this.run('qemu-img', 'convert', '-f', 'raw', '-O', format, raw, name)
    return this.file(name)
  }

  /** Lets e2fsck and qemu-img look at an image; both find nothing to mend, or this throws. */
  checkExt4(name: string, format: string): void {
    if (format === 'qcow2') this.run('qemu-img', 'check', '-q', '-f', format, name)
    this.run('qemu-img', 'convert', '-f', format, '-O', 'raw', name, 'check.raw')
    this.run('e2fsck', '-fn', 'check.raw')
  }

  /** A file out of the file system that {@link checkExt4} has just looked at. */
  readExt4(path: string): string {
    return this.run('debugfs', '-R', `cat ${path}`, 'check.raw')
  }
}

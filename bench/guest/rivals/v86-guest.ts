// Boots a Linux kernel on v86, in a process of its own: the guest's first serial port goes to
// standard output, line by line, until the suite has ended or a program has failed.
//
// v86-guest.ts LIBRARY BIOS VGA-BIOS KERNEL RAMDISK COMMAND-LINE MEMORY-MIB

import { readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** As much of v86's library as is used here (its v86.d.ts). */
interface Library {
  readonly V86: new (
    options: Readonly<Record<string, unknown>>,
  ) => {
    add_listener(event: 'serial0-output-byte', listener: (byte: number) => void): void
  }
}

const NEWLINE = 10
const ENDS = /^@(done|fail)/

const [library = '', bios = '', vga = '', kernel = '', ramdisk = '', cmdline = '', memoryMiB = ''] =
  process.argv.slice(2)

const { V86 } = (await import(pathToFileURL(join(library, 'libv86.mjs')).href)) as Library
const file = (path: string) => ({ buffer: new Uint8Array(readFileSync(path)).buffer })
const guest = new V86({
  wasm_path: join(library, 'v86.wasm'),
  memory_size: Number(memoryMiB) << 20,
  vga_memory_size: 2 << 20,
  bios: file(bios),
  vga_bios: file(vga),
  bzimage: file(kernel),
  initrd: file(ramdisk),
  cmdline,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
  autostart: true,
})
let line = ''
guest.add_listener('serial0-output-byte', (byte) => {
  line += String.fromCharCode(byte)
  if (byte !== NEWLINE) return
  writeSync(1, line, null, 'latin1')
  if (ENDS.test(line)) process.exit()
  line = ''
})

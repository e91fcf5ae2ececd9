// Bochs (Debian package bochs): the same kernel, ramdisk and programs as ours and QEMU, from a disk
// that its BIOS boots (Bochs loads no kernel itself; what it can load into memory comes out of
// order past 128 KiB). The console is the first serial port. To a file, Bochs would write by
// kilobytes; to a terminal it writes each byte at once, so it gets one, by script(1).

import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../../src/base/errors.ts'
import { debianFile } from '../../../src/node/debian-guests.ts'
import { MEMORY_MIB, OPTIONS } from '../guest-options.ts'
import { writeRamdisk } from '../image.ts'
import { writeBootDisk } from './boot-disk.ts'
import type { SetUp } from './rival.ts'

/**
 * The processor is as near to ours as QEMU's is (sides.ts). Its number of instructions a second
 * only makes the guest's clock: as it has no part in the measurement, a high one is right, for then
 * the timer ticks seldom. The display is one that needs no screen.
 */
const CONFIGURATION = `
cpu: model=bx_generic, count=1, ips=100000000, reset_on_triple_fault=0
cpuid: vendor_string="AuthenticAMD", level=6, family=26, model=1, stepping=1
cpuid: mmx=1, apic=xapic, sep=1, simd=sse4_2, aes=1, xsave=1, xsaveopt=1, bmi=bmi2, adx=1
cpuid: x86_64=1, 1g_pages=1, smep=1, smap=1, mwait=0
memory: guest=${MEMORY_MIB}, host=${MEMORY_MIB}
romimage: file=BIOS
vgaromimage: file=VGA
vga: extension=none
display_library: rfb, options="timeout=0"
com1: enabled=1, mode=term, dev=/dev/tty
ata0: enabled=1
ata0-master: type=disk, path=DISK, mode=flat
boot: disk
clock: sync=none
sound: driver=dummy, waveoutdrv=dummy
log: LOG
panic: action=fatal
`

export const setUpBochs: SetUp = async ({ elf, folder: programsFolder }, folder) => {
  const version = bochsVersion()
  checkAssembler()
  const say = (line: string) => console.error(line)
  const bios = await debianFile('bochsbios', 'usr/share/bochs/BIOS-bochs-latest', { say })
  const vga = await debianFile('vgabios', 'usr/share/vgabios/vgabios.bin', { say })
  const file = (name: string) => join(folder, name)
  const configuration = CONFIGURATION.replace('file=BIOS', `file=${bios}`)
    .replace('file=VGA', `file=${vga}`)
    .replace('DISK', file('disk'))
    .replace('LOG', file('log'))
  writeFileSync(file('bochsrc'), configuration)
  // Debian's Bochs has the debugger built in, which waits for a word before it runs.
  writeFileSync(file('commands'), 'continue\n')
  return {
    title: `Bochs ${version}`,
    notes: ["It runs the same files; its BIOS boots the kernel from a disk, by QEMU's entry."],
    is32Bit: false,
    prepare: (programs) => {
      writeRamdisk(file('ramdisk.gz'), programsFolder, programs)
      writeBootDisk(file('disk'), elf, file('ramdisk.gz'), `console=ttyS0,115200 ${OPTIONS}`)
      // One that was stopped leaves its lock.
      rmSync(file('disk.lock'), { force: true })
      const command = `exec bochs -q -f '${file('bochsrc')}' -rc '${file('commands')}'`
      // When script is killed, its terminal goes, and Bochs with it.
      return ['script', '-qefc', command, '/dev/null']
    },
  }
}

function checkAssembler(): void {
  const { error } = spawnSync('nasm', ['-v'])
  if (!error) return
  throw new UserError(
    'Cannot make a disk that Bochs boots.',
    error.message,
    'Install nasm (Debian: nasm).',
  )
}

function bochsVersion(): string {
  const { stdout, stderr, error } = spawnSync('bochs', ['--help', 'cpu'], { encoding: 'utf8' })
  const version = /Bochs x86 Emulator ([\d.]+)/.exec(`${stdout}${stderr}`)?.[1]
  if (version !== undefined) return version
  throw new UserError(
    'Cannot run Bochs.',
    error?.message ?? 'It does not say its version.',
    'Install it (Debian: bochs).',
  )
}

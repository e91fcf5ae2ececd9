// Disks under a real guest: Debian's kernel reads a raw and a qcow2 image past its page cache, in a
// row by megabytes (with dd, and two at a time) and at random by 4 KiB (32 and one at a time, by
// disk.c, as fio would). The same kernel, ramdisk and images on QEMU TCG with virtio-blk, round by
// round. Needs gcc, and Debian's qemu-utils and qemu-system-x86.
//
// tools/bench disk [--mib N] [--reads N] [--rounds N] [--ours-only]

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Host } from '../../src/node/host.ts'
import { type BenchGuest, bootOurs, bootQemu, taken } from '../devices/guests.ts'
import { deviceImage } from '../devices/image.ts'
import { HEADER, line, type Rate } from '../devices/report.ts'

const IMAGE_MIB = 256
const FORMATS = ['raw', 'qcow2'] as const
const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '512' },
    reads: { type: 'string', default: '20000' },
    rounds: { type: 'string', default: '3' },
    'ours-only': { type: 'boolean', default: false },
  },
})
const { mib, reads } = values

/** Title, line to type with %s for the device, and units that it does. */
const WORKLOADS: readonly (readonly [string, string, number])[] = [
  ['MiB/s: dd bs=1M iflag=direct', `dd if=%s of=/dev/null bs=1M count=${mib} iflag=direct`, +mib],
  ['MiB/s: 1 MiB in a row, depth 2', `disk sequential %s 1048576 2 ${mib}`, +mib],
  ['reads/s: 4 KiB at random, depth 32', `disk random %s 4096 32 ${reads}`, +reads],
  ['reads/s: 4 KiB at random, depth 1', `disk random %s 4096 1 ${+reads / 4}`, +reads / 4],
]

const folder = mkdtempSync(join(tmpdir(), 'xenolith-disk-'))
process.once('exit', () => rmSync(folder, { recursive: true }))
const run = (command: string, ...args: string[]) =>
  execFileSync(command, args, { cwd: folder, stdio: 'pipe' })

const source = join(import.meta.dirname, 'disk.c')
run('gcc', '-O2', '-static', '-s', '-o', 'disk', source)
const program = { kind: 'file', path: 'bin/disk', mode: 0o755 } as const
const image = await deviceImage([{ ...program, data: readFileSync(join(folder, 'disk')) }], folder)
// Not zeros: an image of zeros is a hole, and costs nothing to read.
writeFileSync(join(folder, 'data.raw'), Buffer.alloc(IMAGE_MIB * 2 ** 20, 'xenolith'))
run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 'data.raw', 'data.qcow2')

const sides: { readonly guest: BenchGuest; readonly device: string }[] = []
const host = await Host.create({ time: 'real' })
const disks = FORMATS.map(
  (format, i) => `${join(folder, `data.${format}`)},${format},xvd${'ab'[i]},r`,
)
sides.push({ guest: await bootOurs(host, image, 'disk', { disks }), device: '/dev/xvd' })
if (!values['ours-only']) {
  const drives = FORMATS.flatMap((format) => [
    '-drive',
    `file=${join(folder, `data.${format}`)},format=${format},if=none,id=${format},readonly=on`,
    '-device',
    `virtio-blk-pci,drive=${format}`,
  ])
  sides.push({ guest: await bootQemu(image, drives), device: '/dev/vd' })
}

console.log(HEADER)
for (const [i, format] of FORMATS.entries()) {
  for (const [title, command, units] of WORKLOADS) {
    const rates: Rate[][] = sides.map(() => [])
    // The first round is to translate what is hot, and is not counted.
    for (let round = 0; round <= Number(values.rounds); round++) {
      for (const [side, { guest, device }] of sides.entries()) {
        const typed = command.replace('%s', device + 'ab'[i])
        const { clock, cpu, value } = await taken([guest], () => guest.shell.run(typed))
        if (/error|No such/i.test(value)) throw new Error(`${typed}: ${value}`)
        if (round > 0) rates[side]?.push({ clock: units / clock, cpu: units / cpu })
      }
    }
    console.log(line(`${format}, ${title}`, rates[0] ?? [], rates[1] ?? []))
  }
}
host.stop()
for (const { guest } of sides) guest.end()

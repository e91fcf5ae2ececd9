// Disks under a real guest: Debian's kernel reads a raw and a qcow2 image past its page cache, in a row
// by megabytes and at random by 4 KiB. Prints MiB/s and reads a second by the processor time of the
// host, which a busy machine does not change much, and by the clock; and what the guest executed for
// each. Needs gcc and Debian's qemu-utils and e2fsprogs.
//
// tools/bench disk [--mib N] [--reads N]

import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { Host } from '../../src/node/host.ts'
import { DEMO_PROMPT } from '../../src/toolstack/image/demo-ramdisk.ts'

const IMAGE_MIB = 256
const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '1024' },
    reads: { type: 'string', default: '40000' },
  },
})

const folder = mkdtempSync(join(tmpdir(), 'xenolith-disk-'))
try {
  await measure()
} finally {
  rmSync(folder, { recursive: true })
}

function makeImages(): string[] {
  const run = (command: string, ...args: string[]) =>
    execFileSync(command, args, { cwd: folder, stdio: 'pipe' })
  mkdirSync(join(folder, 'tools'))
  const source = join(import.meta.dirname, 'disk.c')
  run('gcc', '-O2', '-static', '-s', '-o', 'disk', source)
  copyFileSync(join(folder, 'disk'), join(folder, 'tools', 'disk'))
  run('mke2fs', '-q', '-t', 'ext4', '-d', 'tools', 'tools.raw', '8M')
  // Not zeros: an image of zeros is a hole, and costs nothing to read.
  writeFileSync(join(folder, 'data.raw'), Buffer.alloc(IMAGE_MIB * 2 ** 20, 'xenolith'))
  run('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', 'data.raw', 'data.qcow2')
  const disk = (name: string, format: string, vdev: string) =>
    `${join(folder, name)},${format},${vdev},r`
  return [
    disk('data.raw', 'raw', 'xvda'),
    disk('data.qcow2', 'qcow2', 'xvdb'),
    disk('tools.raw', 'raw', 'xvdz'),
  ]
}

async function measure(): Promise<void> {
  const host = await Host.create({ time: 'virtual' })
  const domain = await host.createDomain({
    ...(await demoGuest({ say: (line) => console.error(line) })),
    name: 'disk',
    cmdline: 'console=hvc0 quiet cryptomgr.notests',
    memoryMiB: 256,
    vcpus: 1,
    disks: makeImages(),
  })
  let shown = ''
  domain.console.onOutput((bytes) => {
    shown += new TextDecoder('latin1').decode(bytes)
  })
  const type = async (line: string) => {
    shown = ''
    domain.console.send(new TextEncoder().encode(`${line}\r`))
    while (!shown.slice(line.length).includes(DEMO_PROMPT)) await setImmediate()
  }
  host.start()
  while (!shown.includes(DEMO_PROMPT)) await setImmediate()
  await type('mount /dev/xvdz /mnt')
  console.log(
    'disk   reads                        a second by CPU   by the clock   instructions each',
  )
  for (const [device, format] of [
    ['xvda', 'raw'],
    ['xvdb', 'qcow2'],
  ] as const) {
    for (const [title, args, count] of [
      ['1 MiB in a row, depth 2', 'sequential %s 1048576 2', values.mib],
      ['4 KiB at random, depth 32', 'random %s 4096 32', values.reads],
      ['4 KiB at random, depth 1', 'random %s 4096 1', values.reads],
    ] as const) {
      const line = `/mnt/disk ${args.replace('%s', `/dev/${device}`)} ${count}`
      // Once to translate what is hot, once to measure.
      await type(line)
      const before = { cpu: process.cpuUsage(), ms: performance.now(), of: domain.stats() }
      await type(line)
      const { user, system } = process.cpuUsage(before.cpu)
      const seconds = (performance.now() - before.ms) / 1000
      const executed = (domain.stats()['instructions'] ?? 0) - (before.of['instructions'] ?? 0)
      const figures = [
        (Number(count) / ((user + system) / 1e6)).toFixed(0).padStart(16),
        (Number(count) / seconds).toFixed(0).padStart(14),
        (executed / Number(count)).toFixed(0).padStart(19),
      ]
      console.log(`${format.padEnd(6)} ${title.padEnd(27)} ${figures.join('')}`)
    }
  }
  host.stop()
  domain.destroy()
}

// Debian's kernels booted by the command, with one to four processors and little to much memory:
// each comes to the prompt, finds what it was given, has nothing to complain about and ends as it
// was told. XENOLITH_LONG=1 boots every combination.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { debianKernel, demoGuest } from '../../src/node/debian-guests.ts'
import { answerTo, conversation, xenolithRun } from './command.ts'
import { unexpectedWarnings } from './warnings.ts'

interface Boot {
  readonly kernel: 'cloud' | 'generic'
  readonly vcpus: number
  readonly memoryMiB: number
  readonly end: keyof typeof ENDS
  /** With the kernel's tests of its cryptography, two thirds of the whole boot. */
  readonly hasSelfTests?: boolean
}

/** What is typed at the end, and the exit status that follows. */
const ENDS = {
  poweroff: ['poweroff', 0],
  reboot: ['reboot -f', 10],
  crash: ['echo c > /proc/sysrq-trigger', 11],
} as const

/**
 * The least with which these kernels come up, in steps of 4 MiB, here as under QEMU (-M pc -m 72
 * panics, -m 76 boots): below it they have no memory left to unpack a ramdisk or start their drivers.
 */
const LEAST_MIB = { cloud: 76, generic: 88 }

const CHOSEN: readonly Boot[] = [
  { kernel: 'cloud', vcpus: 1, memoryMiB: 256, end: 'poweroff', hasSelfTests: true },
  { kernel: 'cloud', vcpus: 4, memoryMiB: 256, end: 'reboot' },
  { kernel: 'generic', vcpus: 2, memoryMiB: 256, end: 'crash' },
  { kernel: 'cloud', vcpus: 1, memoryMiB: LEAST_MIB.cloud, end: 'crash' },
  { kernel: 'cloud', vcpus: 2, memoryMiB: 3072, end: 'poweroff' },
]

/** What a kernel keeps for itself before it counts, at most: its image and a part of all memory. */
const KERNEL_MIB = 60
const KERNEL_SHARE = 1 / 40

const isLong = process.env['XENOLITH_LONG'] === '1'
const boots = isLong ? [...CHOSEN, ...matrix()] : CHOSEN
if (!isLong) console.log(`${matrix().length} more boots run with XENOLITH_LONG=1`)

const { kernel: cloud, ramdisk } = await demoGuest()
const generic = await debianKernel('generic')

for (const boot of boots) {
  const { kernel, vcpus, memoryMiB, end } = boot
  test(`${kernel}, vCPUs ${vcpus}, ${memoryMiB} MiB: boots, finds its own, ends by ${end}`, async () => {
    const [ending, expectedStatus] = ENDS[end]
    const lines = ['nproc', 'head -n 1 /proc/meminfo', 'dmesg -r | grep "^<[0-4]>"', ending]
    const cmdline = `console=hvc0${boot.hasSelfTests ? '' : ' cryptomgr.notests'}`
    const { status, out, err } = await xenolithRun([
      ...['--kernel', kernel === 'cloud' ? cloud : generic, '--ramdisk', ramdisk],
      ...['--vcpus', String(vcpus), '--memory', String(memoryMiB), '--cmdline', cmdline],
      ...conversation(...lines),
    ])
    const console = out.toString()
    assert.equal(status, expectedStatus, `${err}\n${console.slice(-2000)}`)
    assert.equal(answerTo('nproc', console), `${vcpus}\n`)
    const memory = answerTo('head -n 1 /proc/meminfo', console)
    const found = Number(/^MemTotal: +(\d+) kB\n$/.exec(memory)?.[1]) / 1024
    assert.ok(found < memoryMiB, memory)
    assert.ok(found > memoryMiB * (1 - KERNEL_SHARE) - KERNEL_MIB, memory)
    assert.deepEqual(unexpectedWarnings(answerTo('dmesg -r | grep "^<[0-4]>"', console)), [])
  })
}

test('with 64 MiB, less than it can do with, the kernel says so and panics', async () => {
  const { status, out } = await xenolithRun([
    ...['--kernel', cloud, '--ramdisk', ramdisk, '--memory', '64'],
    ...['--cmdline', 'console=hvc0 cryptomgr.notests'],
  ])
  assert.equal(status, 11)
  assert.match(out.toString(), /Kernel panic - not syncing/)
})

function matrix(): Boot[] {
  const ends = Object.keys(ENDS) as (keyof typeof ENDS)[]
  const all = (['cloud', 'generic'] as const).flatMap((kernel) =>
    [1, 2, 4].flatMap((vcpus) =>
      [LEAST_MIB[kernel] + 4 * (vcpus - 1), 256, 3072].map((memoryMiB) => ({
        kernel,
        vcpus,
        memoryMiB,
      })),
    ),
  )
  return all.map((boot, i) => ({ ...boot, end: ends[i % ends.length] ?? 'poweroff' }))
}

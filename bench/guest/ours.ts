// Boots the suite's ramdisk on Xenolith, in a process of its own as QEMU is one: the guest's
// console goes to standard output, with a mark when the kernel is entered and the number of
// instructions executed after each piece that holds a mark.
//
// ours.ts KERNEL RAMDISK COMMAND-LINE MEMORY-MIB

import { writeSync } from 'node:fs'
import { Host } from '../../src/node/host.ts'

const [kernel = '', ramdisk = '', cmdline = '', memoryMiB = ''] = process.argv.slice(2)
// Virtual time: the guest then does the same in each run, and its timer does not tick more often
// per instruction the slower it is.
const host = await Host.create({ time: 'virtual' })
const domain = await host.createDomain({
  name: 'bench',
  kernel,
  ramdisk,
  cmdline,
  memoryMiB: Number(memoryMiB),
  vcpus: 1,
})
const { counters } = host.xen.hypervisor.scheduler
const mark = (line: string) => writeSync(1, `${line}\n@count ${counters.instructions}\n`)
domain.console.onOutput((bytes) => {
  writeSync(1, bytes)
  if (bytes.includes(0x40)) mark('')
})
mark('@entry')
host.start()
const { reason, cause } = await domain.ended
host.stop()
if (reason !== 'poweroff') throw new Error(`the guest ended with ${reason}: ${cause ?? ''}`)

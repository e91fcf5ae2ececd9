// Writes records to a disk through the ring until it is killed, as a guest would: blocks of 4 KiB all over
// the disk, a few and then a flush. Prints the number of the last record that a flush has acknowledged.
//
// disk-writer.ts DISK-SPECIFICATION FIRST-RECORD now|later
//
// With `later` flushes are not waited for by the host, as in real time.

import { writeSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'
import { BlockTestHost } from '../../src/backends/block/test-frontend.ts'
import { openDisk } from '../../src/node/domain-disks.ts'
import { BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_WRITE } from '../../src/xen/abi/blkif.ts'
import { placeOf, recordBytes } from './disk-records.ts'

const [spec = '', first = '0', when] = process.argv.slice(2)
const host = new BlockTestHost()
const frontend = host.frontend({
  image: openDisk(spec).image,
  ...(when === 'later' && { wakeHost: () => host.settle() }),
})
frontend.connect()
for (let record = Number(first); ; ) {
  const count = 1 + (record % 5)
  for (let i = 0; i < count; i++)
    frontend.guest.put(frontend.dataAddress(i), recordBytes(record + i))
  const responses = frontend.submit([
    ...Array.from({ length: count }, (_, i) => ({
      operation: BLKIF_OP_WRITE,
      sector: placeOf(record + i) * 8,
      segments: [{ ref: frontend.dataRef(i), first: 0, last: 7 }],
    })),
    { operation: BLKIF_OP_FLUSH_DISKCACHE },
  ])
  while (responses.length <= count) {
    await setImmediate()
    responses.push(...frontend.responses())
  }
  if (responses.some(({ status }) => status !== 0)) throw new Error('a request failed')
  record += count
  writeSync(1, `${record}\n`)
}

// Writes records to a disk through the ring until it is killed, as a guest would: blocks of 4 KiB all over
// the disk, a few and then a flush. Prints the number of the last record that a flush has acknowledged.
//
// disk-writer.ts DISK-SPECIFICATION FIRST-RECORD

import { writeSync } from 'node:fs'
import { BlockTestHost } from '../../src/backends/block/test-frontend.ts'
import { openDisk } from '../../src/node/domain-disks.ts'
import { BLKIF_OP_FLUSH_DISKCACHE, BLKIF_OP_WRITE } from '../../src/xen/abi/blkif.ts'
import { placeOf, recordBytes } from './disk-records.ts'

const [spec = '', first = '0'] = process.argv.slice(2)
const frontend = new BlockTestHost().frontend({ image: openDisk(spec).image })
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
  if (responses.some(({ status }) => status !== 0)) throw new Error('a request failed')
  record += count
  writeSync(1, `${record}\n`)
}

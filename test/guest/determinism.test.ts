// In virtual time a run is a function of its inputs: the same boot again, in another process, shows
// the same bytes and counts the same instructions, hypercalls and TLB fills. XENOLITH_LONG=1 boots
// twenty times.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { conversation, xenolithRun } from './command.ts'

const isLong = process.env['XENOLITH_LONG'] === '1'
const RUNS = isLong ? 20 : 2
if (!isLong) console.log(`${RUNS} equal runs; 20 with XENOLITH_LONG=1`)

const { kernel, ramdisk } = await demoGuest()

for (const vcpus of [1, 4]) {
  test(`boots with vCPUs ${vcpus} are equal to the last byte and instruction`, async () => {
    // What a user types comes at the same moment, as the script answers to the console.
    const boot = () =>
      xenolithRun([
        ...['--kernel', kernel, '--ramdisk', ramdisk, '--vcpus', String(vcpus), '--stats'],
        ...['--cmdline', 'console=hvc0 cryptomgr.notests'],
        ...conversation('cat /proc/interrupts /proc/uptime', 'sleep 60; date', 'poweroff'),
      ])
    const first = await boot()
    assert.equal(first.status, 0, first.err)
    assert.match(first.err, /^instructions +[\d,]+$/m)
    for (let run = 2; run <= RUNS; run++) {
      const again = await boot()
      assert.equal(again.status, 0, again.err)
      const at = first.out.findIndex((byte, i) => byte !== again.out[i])
      const near = at < 0 ? '' : first.out.toString('latin1', at - 100, at + 100)
      assert.ok(first.out.equals(again.out), `run ${run} differs at byte ${at}: ${near}`)
      assert.deepEqual(counters(again.err), counters(first.err), `run ${run}`)
    }
  })
}

/** The lines that count something: all but those with times by the day's clock, which have a point. */
function counters(err: string): string[] {
  return err.split('\n').filter((line) => /^ {0,2}\S.* +[\d,]+$/.test(line))
}

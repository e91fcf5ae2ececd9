// Whether guest code is interpreted or translated is nothing a guest can tell: in virtual time the
// same session shows the same bytes and counts the same instructions, with all code interpreted,
// with hot code translated, and with every block translated when it is first executed.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { conversation, xenolithRun } from './command.ts'

const LINES = [
  'cat /proc/interrupts /proc/uptime',
  'find /bin /etc /init -type f | xargs md5sum | md5sum',
  'sleep 3; date',
  'poweroff',
]

const { kernel, ramdisk } = await demoGuest()

async function run(translation: string, vcpus: number) {
  const { status, out, err } = await xenolithRun([
    ...['--kernel', kernel, '--ramdisk', ramdisk, '--vcpus', String(vcpus), '--stats'],
    ...['--translate', translation, '--cmdline', 'console=hvc0 cryptomgr.notests'],
    ...conversation(...LINES),
  ])
  assert.equal(status, 0, err)
  const instructions = /^instructions +([\d,]+)$/m.exec(err)?.[1]
  assert.ok(instructions, err)
  return { console: out.toString('latin1'), instructions }
}

for (const [vcpus, modes] of [
  [1, ['hot', 'always']],
  [2, ['hot']],
] as const) {
  test(`a session with vCPUs ${vcpus} is the same interpreted and translated`, async () => {
    const interpreted = await run('off', vcpus)
    for (const mode of modes) assert.deepEqual(await run(mode, vcpus), interpreted, mode)
  })
}

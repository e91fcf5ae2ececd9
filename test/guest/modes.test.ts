// Whether guest code is interpreted or translated is nothing a guest can tell: in virtual time the
// same session shows the same bytes and counts the same instructions, with all code interpreted,
// with hot code translated, and with every block translated when it is first executed; with each means
// of the translator left out, and with its policies drawn from a seed.

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

async function run(mode: string, vcpus: number) {
  const options = [
    ...['--kernel', kernel, '--ramdisk', ramdisk, '--vcpus', String(vcpus), '--stats'],
    ...['--cmdline', 'console=hvc0 cryptomgr.notests'],
    ...conversation(...LINES),
  ]
  const { status, out, err } = await xenolithRun(options, mode)
  assert.equal(status, 0, err)
  const instructions = /^instructions +([\d,]+)$/m.exec(err)?.[1]
  assert.ok(instructions, err)
  return { console: out.toString('latin1'), instructions }
}

/** How sessions are compared with interpreted ones: in the mode of the tests, if that is not the usual. */
const WANTED = process.env['XENOLITH_TRANSLATE']
const MODES: readonly (readonly [vcpus: number, modes: readonly string[]])[] = WANTED
  ? [1, 2, 4].map((vcpus) => [vcpus, [WANTED]])
  : [
      [1, ['hot', 'always', 'hot,no-sites', 'hot,no-links', 'hot,seed=1', 'off,seed=2']],
      [2, ['hot', 'hot,seed=3']],
    ]

for (const [vcpus, modes] of MODES) {
  let interpreted: ReturnType<typeof run> | undefined
  for (const mode of modes) {
    test(`a session with vCPUs ${vcpus} is the same interpreted and in mode ${mode}`, async () => {
      interpreted ??= run('off', vcpus)
      assert.deepEqual(await run(mode, vcpus), await interpreted)
    })
  }
}

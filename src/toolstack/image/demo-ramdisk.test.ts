import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../../base/errors.ts'
import { busyboxApplets, DEMO_INIT_LINE, DEMO_PROMPT, makeDemoRamdisk } from './demo-ramdisk.ts'

const BUSYBOX = new TextEncoder().encode('\x7fELF…\0[\0[[\0ash\0busybox\0cat\0sh\0\0more')

test('busyboxApplets reads the table in the program', () => {
  assert.deepEqual(busyboxApplets(BUSYBOX), ['[', '[[', 'ash', 'busybox', 'cat', 'sh'])
})

test('a program that is not busybox is refused', () => {
  assert.throws(() => busyboxApplets(new TextEncoder().encode('\x7fELF')), UserError)
})

test('the demo ramdisk has busybox, links to it, the modules and an init', () => {
  const module = { name: 'xen-netfront.ko', bytes: Uint8Array.of(1) }
  const archive = new TextDecoder('latin1').decode(makeDemoRamdisk(BUSYBOX, [module]))
  for (const path of ['bin/busybox', 'bin/sh', 'lib/modules/xen-netfront.ko', 'init']) {
    assert.ok(archive.includes(`${path}\0`), path)
  }
  assert.equal(DEMO_INIT_LINE, 'xenolith demo: init')
  assert.ok(archive.includes(`echo '${DEMO_INIT_LINE}'\n`))
  assert.ok(archive.includes(`PS1='${DEMO_PROMPT.replace('/', '\\w')}'\n`))
})

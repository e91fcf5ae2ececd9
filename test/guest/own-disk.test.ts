// A guest boots from its own disk, with a GPT and grub.cfg, changes its boot configuration, and reboots
// into what that says now: nothing of the first boot is kept. Through a host process and the command.

import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { call } from '../../src/cli/testing/call.ts'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { TestServer, until } from '../../src/node/testing/served-host.ts'
import { PROMPT } from './command.ts'
import { ImageFolder } from './disk-images.ts'
import { servedConsole } from './served-console.ts'

const images = new ImageFolder()
const server = await TestServer.start()
after(async () => {
  await server.stop()
  images.remove()
})
const { client } = server

/** Even on a machine that does much else. */
const BOOT_SECONDS = 200
const ENTRIES = `set default=0
menuentry 'First' {
  linux /boot/vmlinuz console=hvc0 cryptomgr.notests which=first
  initrd /boot/initrd.gz
}
menuentry 'Second' --id second {
  linux /boot/vmlinuz console=hvc0 cryptomgr.notests which=second
  initrd /boot/initrd.gz
}
`

const xenolith = (...argv: string[]) => call(argv, { hostProcess: client })
const { shown, send, typed } = servedConsole(client, 'own')

async function makeDisk(): Promise<string> {
  const { kernel, ramdisk } = await demoGuest()
  const root = images.file('root')
  mkdirSync(`${root}/boot/grub`, { recursive: true })
  copyFileSync(kernel, `${root}/boot/vmlinuz`)
  copyFileSync(ramdisk, `${root}/boot/initrd.gz`)
  writeFileSync(`${root}/boot/grub/grub.cfg`, ENTRIES)
  images.run('mke2fs', '-q', '-t', 'ext4', '-d', root, 'part', '46M')
  const disk = images.file('disk.raw')
  writeFileSync(disk, '')
  truncateSync(disk, 48 * 2 ** 20)
  images.run(
    'sh',
    '-c',
    'printf "label: gpt\\nstart=1MiB, size=46MiB\\n" | /sbin/sfdisk -q disk.raw',
  )
  images.run('dd', 'if=part', 'of=disk.raw', 'bs=1M', 'seek=1', 'conv=notrunc', 'status=none')
  images.run('qemu-img', 'convert', '-O', 'qcow2', 'disk.raw', 'own.qcow2')
  return images.file('own.qcow2')
}

test('create boots what the disk has, and says what that is', async () => {
  const disk = await makeDisk()
  const { status, err } = await xenolith(
    'create',
    'name="own"; type="pvh"; memory=192; bootloader="pygrub"',
    `disk=["${disk},qcow2,xvda,w"]; extra="more=yes"`,
  )
  assert.equal(status, 0, err)
  assert.match(err, /vmlinuz .*ramdisk .*"First" of partition 1, \/boot\/grub\/grub.cfg of xvda/)
  await until(async () => (await shown()).includes(PROMPT), 'the prompt', BOOT_SECONDS)
  const line = /^console=hvc0 cryptomgr.notests which=first more=yes\r?$/m
  assert.match(await typed('cat /proc/cmdline'), line)
  assert.match((await xenolith('list', '-l', 'own')).out, /"bootloader": "pygrub"/)
})

test('a reboot looks at the disk anew', async () => {
  await typed('mkdir -p /mnt; mount -t ext4 /dev/xvda1 /mnt')
  await typed("sed -i 's/default=0/default=second/' /mnt/boot/grub/grub.cfg; umount /mnt")
  await send('reboot -f\r')
  const isAnew = async () => /which=second/.test(await shown())
  await until(isAnew, 'the second entry', BOOT_SECONDS)
  await until(async () => (await shown()).includes(PROMPT), 'the prompt', BOOT_SECONDS)
  assert.match(await typed('cat /proc/cmdline'), /which=second more=yes/)
})

test('an entry that is not there is an error that lists those that are', async () => {
  assert.equal((await xenolith('destroy', 'own')).status, 0)
  const { status, err } = await xenolith(
    'create',
    'name="own"; memory=192; bootloader="pygrub"; bootloader_args=["--entry=third"]',
    `disk=["${images.file('own.qcow2')},qcow2,xvda,w"]`,
  )
  assert.notEqual(status, 0)
  assert.match(err, /has no entry "third"\. It has 0: "First", 1: "Second"\./)
  images.run('qemu-img', 'check', '-q', 'own.qcow2')
})

// A Debian system on a disk image boots its own kernel: to the login prompt with systemd, with its
// network and a web server behind a forwarded port; it writes its boot configuration anew with
// update-grub, reboots by that, and powers off. Real time, through a host process and the command.
// Making the image takes minutes the first time: with XENOLITH_LONG=1.

import assert from 'node:assert/strict'
import { copyFileSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { plainText } from '../../src/node/console-text.ts'
import { call } from '../../src/cli/testing/call.ts'
import { debianDisk } from '../../src/node/debian-disk.ts'
import { TestServer, until as untilHolds } from '../../src/node/testing/served-host.ts'
import { ImageFolder } from './disk-images.ts'
import { freePort } from './free-port.ts'
import { servedConsole } from './served-console.ts'

const isLong = process.env['XENOLITH_LONG'] === '1'
const options = isLong ? {} : { skip: 'a whole Debian system boots with XENOLITH_LONG=1' }

const images = new ImageFolder()
const server = await TestServer.start()
after(async () => {
  await server.stop()
  images.remove()
})
const { client } = server

/** Even on a machine that does much else. */
const BOOT_SECONDS = 400
const COMMAND_SECONDS = 120
const PROMPT = 'root@debian:~#'

const xenolith = (...argv: string[]) => call(argv, { hostProcess: client })
const debian = servedConsole(client, 'debian')

/** What the console has shown in the domain's present run, up to the last word. */
async function shown(): Promise<string> {
  return plainText(await debian.shown()).trimEnd()
}

/** Waits, and asks rarely: that takes the guest's time. */
async function until(holds: () => Promise<boolean>, what: string, seconds: number): Promise<void> {
  const holdsSoon = async () => (await holds()) || (await sleep(300, false))
  try {
    await untilHolds(holdsSoon, what, seconds)
  } catch (cause) {
    throw new Error(`The console shows:\n${(await shown()).slice(-2000)}`, { cause })
  }
}

/** Types a line at the prompt; what it printed. */
async function run(line: string): Promise<string> {
  const before = (await shown()).length
  await debian.send(`${line}\r`)
  const isDone = async () => (await shown()).slice(before).endsWith(PROMPT)
  await until(isDone, line, COMMAND_SECONDS)
  const text = (await shown()).slice(before)
  return text.slice(text.indexOf('\n') + 1, text.lastIndexOf(PROMPT))
}

async function logIn(): Promise<void> {
  await until(async () => (await shown()).endsWith('login:'), 'the login prompt', BOOT_SECONDS)
  await debian.send('root\r')
  await until(async () => (await shown()).includes(PROMPT), 'the prompt', COMMAND_SECONDS)
}

const port = await freePort()

test('boots its own kernel to the login prompt', options, async () => {
  const disk = images.file('debian.qcow2')
  copyFileSync(await debianDisk({ say: console.log }), disk)
  const guestFile = images.file('debian.cfg')
  writeFileSync(
    guestFile,
    `name = "debian"; type = "pvh"; memory = 512
     bootloader = "pygrub"
     disk = [ "${disk},qcow2,xvda,w" ]
     vif = [ "forward=${port}:80" ]`,
  )
  const { status, err } = await xenolith('create', guestFile)
  assert.equal(status, 0, err)
  assert.match(err, /vmlinuz-6\.1\S* .*ramdisk .*"Debian GNU\/Linux" of partition 1.* of xvda/)
  await logIn()
})

test('systemd has started everything, and the network is up', options, async () => {
  await until(
    async () => !/starting/.test(await run('systemctl is-system-running')),
    'systemd is done',
    COMMAND_SECONDS,
  )
  assert.equal(await run('systemctl --failed --no-legend'), '')
  assert.match(await run('systemctl is-system-running'), /^running$/m)
  assert.match(
    await run('cat /sys/devices/system/clocksource/clocksource0/current_clocksource'),
    /xen/,
  )
  assert.match(await run('findmnt -no SOURCE,FSTYPE /'), /^\/dev\/xvda1 +ext4$/m)
  await until(
    async () => (await run('ip -4 -brief address show')).includes('10.0.2.15'),
    'DHCP',
    COMMAND_SECONDS,
  )
})

test('serves HTTP to the host through a forwarded port', options, async () => {
  const answer = await fetch(`http://127.0.0.1:${port}/`)
  assert.equal(await answer.text(), 'Debian in Xenolith\n')
})

test('boots by the configuration that update-grub has written in it', options, async () => {
  assert.match(await run('update-grub'), /Found linux image: \/boot\/vmlinuz/)
  assert.match(await run('grep -c menuentry /boot/grub/grub.cfg'), /^[1-9]/m)
  await debian.send('reboot\r')
  await until(async () => !(await shown()).includes(PROMPT), 'it is made anew', BOOT_SECONDS)
  await logIn()
  // GRUB_CMDLINE_LINUX_DEFAULT of the image, which its first configuration does not have.
  assert.match(await run('cat /proc/cmdline'), /root=UUID=\S+ ro console=hvc0 +quiet/)
})

test('powers off, and leaves a clean file system', options, async () => {
  await debian.send('poweroff\r')
  const isGone = async () => !(await xenolith('list')).out.includes('debian')
  await until(isGone, 'it has powered off', COMMAND_SECONDS)
  images.run('qemu-img', 'check', '-q', 'debian.qcow2')
  images.run('qemu-img', 'convert', '-O', 'raw', 'debian.qcow2', 'whole.raw')
  images.run('dd', 'if=whole.raw', 'of=check.raw', 'bs=1M', 'skip=1', 'count=1022', 'status=none')
  images.run('e2fsck', '-fn', 'check.raw')
})

// Disks and network interfaces from a guest file, through a host process and the command: one boot
// of Debian's kernel, a reboot, and nothing that is left afterwards.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { call } from '../../src/cli/testing/call.ts'
import { demoGuest } from '../../src/node/debian-guests.ts'
import type { NetworkInfo } from '../../src/node/host-types.ts'
import { FileStorage } from '../../src/node/file-storage.ts'
import { hostCounters, TestServer, until } from '../../src/node/testing/served-host.ts'
import type { DiskInfo } from '../../src/toolstack/device-info.ts'
import { PROMPT } from './command.ts'
import { ImageFolder } from './disk-images.ts'
import { freePort } from './free-port.ts'
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

const xenolith = (...argv: string[]) => call(argv, { hostProcess: client })

const { shown, typed } = servedConsole(client, 'web')

/** The devices of "web", as a verb that lists them prints them. */
async function devices<T>(verb: string): Promise<readonly T[]> {
  const { out } = await xenolith(verb, 'web', '--json')
  return (JSON.parse(out) as [{ devices: readonly T[] }])[0].devices
}

/** Processes of this one that are a passt. */
function gateways(): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false
    try {
      const [, name = '', parent] =
        /\((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? []
      return name.startsWith('passt') && Number(parent) === process.pid
    } catch {
      return false
    }
  })
}

/** Opens an image for writing, as a domain does; throws while one has it. */
function lock(path: string): void {
  FileStorage.open(path, true).close()
}

/**
 * Serves the disk over HTTP, and fetches a file of it through the forwarded port: once inside the
 * guest before, as one whose code is slow at first has 10 s to answer a connection.
 */
async function fetchHello(): Promise<string> {
  await typed('mkdir -p /mnt; mount /dev/xvda /mnt; httpd -h /mnt')
  assert.match(await typed('wget -q -O - http://127.0.0.1/hello'), /^hello from a qcow2 image\r$/m)
  await until(async () => (await typed('ip -4 address show eth0')).includes('10.0.2.15'), 'DHCP')
  return (await fetch(`http://127.0.0.1:${port}/hello`)).text()
}

const port = await freePort()
const HELLO = 'hello from a qcow2 image\n'
const root = images.makeExt4('web.qcow2', 'qcow2', 16, { hello: HELLO })
const data = images.makeExt4('data.raw', 'raw', 8, { more: 'data\n' })
const { kernel, ramdisk } = await demoGuest()
const guestFile = images.file('web.cfg')
writeFileSync(
  guestFile,
  `name = "web"; type = "pvh"; memory = 192
   kernel = "${kernel}"; ramdisk = "${ramdisk}"; extra = "console=hvc0 cryptomgr.notests"
   disk = [ "web.qcow2,qcow2,xvda,w" ]
   vif = [ "forward=${port}:80,script=vif-bridge" ]`,
)

// The nodes of xenstore that all others of their kind stand below are made once, and kept.
await server.create('first', 'waits', 'vif=["bridge=xenbr0"]; disk=[",,xvda,cdrom"]')
await client.call('destroy', { domain: 'first' })
const before = hostCounters(server)

test('create opens what the guest file names, from the folder of the command', async () => {
  const folder = process.cwd()
  process.chdir(images.path)
  const created = xenolith('create', guestFile)
  process.chdir(folder)
  const { status, err } = await created
  assert.equal(status, 0, err)
  assert.match(err, /web\.cfg:4:\d+: warning: script is ignored/)
  assert.match(err, /loading kernel .*xvda qcow2 16\.0 MiB/)
  assert.throws(() => lock(root), /Another domain, or another host, has it open/)
  const second = await xenolith(
    'create',
    guestFile,
    `name="other"; vif=[]; disk=["${root},qcow2,xvda"]`,
  )
  assert.equal(second.status, 1)
  assert.match(second.err, /web\.qcow2 is in use\.\nAnother domain/)
  await until(async () => (await shown()).includes(PROMPT), 'the prompt', BOOT_SECONDS)
  await typed('stty cols 999')
})

test("block-list and network-list have xl's columns", async () => {
  const disks = await xenolith('block-list', 'web')
  const path = '/local/domain/0/backend/qdisk/2/51712'
  assert.match(
    disks.out,
    new RegExp(
      `^Vdev  BE  handle state evt-ch ring-ref BE-path {23}\n51712 0   2      4     \\d+ +\\d+ +${path} *\n$`,
    ),
  )
  const networks = await xenolith('network-list', 'web')
  const [, heading, row] = /^(.*)\n(.*)\n$/.exec(networks.out) ?? []
  assert.equal(
    heading?.trimEnd(),
    'Idx BE Mac Addr.         handle state evt-ch   tx-/rx-ring-ref BE-path',
  )
  assert.match(
    row ?? '',
    /^0 {3}0 {2}00:16:3e:[\da-f:]{8} {5}0 {5}4 {5}-1 +\d+\/\d+ +\/local\/domain\/0\/backend\/vif\/2\/0 *$/,
  )
  const [disk] = await devices<DiskInfo>('block-list')
  assert.equal(disk?.source, root)
  assert.equal(disk.size, 16 * 2 ** 20)
})

test('the guest serves its disk through a forwarded port, and pcap sees it', async () => {
  const file = images.file('web.pcapng')
  const captured = xenolith('pcap', 'web', '-w', file, '-c', '8')
  assert.equal(await fetchHello(), HELLO)
  await fetch(`http://127.0.0.1:${port}/hello`)
  const { status, err } = await captured
  assert.equal(status, 0, err)
  const read = ['-r', file, '-T', 'fields', '-e', 'frame.number']
  const frames = execFileSync('tshark', read, { stdio: ['ignore', 'pipe', 'ignore'] }).toString()
  assert.equal(frames, '1\n2\n3\n4\n5\n6\n7\n8\n')
  const [network] = await devices<NetworkInfo>('network-list')
  assert.equal(network?.address, '10.0.2.15')
  assert.equal(network.forwards[0]?.hostPort, port)
  assert.ok(network.counters.sentFrames > 8)
})

test('a disk and an interface are plugged in and out', async () => {
  assert.equal((await xenolith('block-attach', 'web', data, 'raw', 'xvdb', 'r')).status, 0)
  const present = 'until [ -b /dev/xvdb ]; do sleep 0.1; done'
  assert.match(
    await typed(`${present}; mkdir /media; mount -r /dev/xvdb /media; cat /media/more`),
    /^data$/m,
  )
  const taken = await xenolith('block-attach', 'web', data, 'raw', 'xvdb', 'r')
  assert.match(taken.err, /The guest has one of that name/)
  await typed('umount /media')
  assert.equal((await xenolith('block-detach', 'web', 'xvdb')).status, 0)
  assert.equal((await devices('block-list')).length, 1)
  lock(data)
  const gone = await xenolith('block-detach', 'web', 'xvdb')
  assert.equal(gone.status, 1)
  assert.match(gone.err, /There is no disk xvdb\.\nThere are xvda\./)

  const attached = await xenolith('network-attach', 'web', 'bridge=xenbr0', 'mac=00:16:3e:00:00:77')
  assert.equal(attached.status, 0, attached.err)
  await until(async () => (await devices<NetworkInfo>('network-list'))[1]?.state === 4, 'eth1')
  assert.match(await typed('cat /sys/class/net/eth1/address'), /00:16:3e:00:00:77/)
  assert.equal((await xenolith('network-detach', 'web', '00:16:3E:00:00:77')).status, 0)
  assert.equal((await devices('network-list')).length, 1)
  assert.match(await typed('ls /sys/class/net'), /eth0 +lo/)
})

test('a reboot opens again what the domain has by then, and keeps addresses and ports', async () => {
  const [{ mac } = { mac: '' }] = await devices<NetworkInfo>('network-list')
  assert.equal((await xenolith('block-attach', 'web', `${data},raw,xvdb,w`)).status, 0)
  await typed('date >/mnt/date; sync')
  await typed('umount /mnt')
  assert.equal((await xenolith('reboot', 'web')).status, 0)
  await until(async () => (await xenolith('domid', 'web')).out === '3\n', 'the second start')
  await until(async () => (await shown()).includes(PROMPT), 'the prompt', BOOT_SECONDS)
  await typed('stty cols 999')
  assert.deepEqual(
    (await devices<DiskInfo>('block-list')).map(({ vdev }) => vdev),
    ['xvda', 'xvdb'],
  )
  assert.deepEqual(
    (await devices<NetworkInfo>('network-list')).map((network) => network.mac),
    [mac],
  )
  assert.equal(await fetchHello(), HELLO)
})

test('a domain that ends leaves no lock, port, process, frame, or node of xenstore', async () => {
  await typed('umount /mnt')
  assert.equal((await xenolith('destroy', 'web')).status, 0)
  assert.deepEqual(hostCounters(server), before)
  for (const path of [root, data]) lock(path)
  await until(() => gateways().length === 0, 'passt has ended')
  await assert.rejects(fetch(`http://127.0.0.1:${port}/`))
  images.checkExt4('web.qcow2', 'qcow2')
  assert.match(images.readExt4('/date'), /\d\d:\d\d:\d\d/)
  assert.deepEqual(readdirSync(join(server.folder, 'run')), ['default.sock', 'default.xenstore'])
})

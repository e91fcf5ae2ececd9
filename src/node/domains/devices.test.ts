// Disks and network interfaces of managed domains, with tiny guests that have no drivers.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parseDiskSpec } from '../../toolstack/disk-spec.ts'
import { parseVifSpec } from '../../toolstack/vif-config.ts'
import { FileStorage } from '../file-storage.ts'
import { hostCounters, TestServer, until } from '../testing/served-host.ts'

const server = await TestServer.start()
after(() => server.stop())
const { client } = server
const image = join(server.folder, 'disk.raw')
writeFileSync(image, new Uint8Array(1 << 20))
const DEVICES = `disk=["${image},raw,xvda"]; vif=["bridge=xenbr0"]`

const disks = (domain: string) => client.call('block-list', { domain })
const networks = (domain: string) => client.call('network-list', { domain })

test('what is plugged in or out is what the domain is made from the next time', async () => {
  await server.create('web', 'waits', DEVICES)
  const domain = 'web'
  assert.deepEqual(
    (await disks(domain)).map(({ source }) => source),
    [image],
  )
  await client.call('block-detach', { domain, vdev: 'xvda', isForced: false })
  assert.deepEqual(await disks(domain), [])
  await client.call('block-attach', { domain, disk: parseDiskSpec(`${image},raw,xvdb,r`) })
  await client.call('network-attach', { domain, vif: parseVifSpec('bridge=xenbr1,devid=4') })
  await client.call('network-detach', { domain, device: '0' })
  const file = await client.call('file', { domain })
  assert.deepEqual(
    file.disks.map(({ vdev, isReadOnly }) => [vdev, isReadOnly]),
    [['xvdb', true]],
  )
  assert.deepEqual(
    file.vifs.map(({ bridge, devid }) => [bridge, devid]),
    [['xenbr1', 4]],
  )
  await client.call('block-detach', { domain, vdev: '51728', isForced: true })
  await assert.rejects(
    client.call('network-detach', { domain, device: '7' }),
    /It has 4 \(00:16:3e/,
  )
  await client.call('destroy', { domain })
})

test('a domain that reboots has its devices again, with their addresses', async () => {
  const { id } = await server.create('again', 'reboots', `${DEVICES}; on_reboot="restart"`)
  const [first] = await networks('again')
  const isAgain = async () => (await client.call('find', { domain: 'again' })).id > id
  await until(isAgain, 'the restart')
  await until(async () => (await networks('again').catch(() => [])).length === 1, 'it is there')
  assert.equal((await networks('again'))[0]?.mac, first?.mac)
  await client.call('destroy', { domain: 'again' })
  FileStorage.open(image, true).close()
})

test('a domain that is kept under another name leaves its devices to its successor', async () => {
  await server.create('kept', 'reboots', `${DEVICES}; on_reboot="rename-restart"`)
  await until(async () => (await client.call('list', {})).length > 1, 'both are there')
  const count = async (name: string) => {
    const devices = [await disks(name), await networks(name)]
    return devices.flat().length
  }
  assert.equal(await count('kept-1'), 0)
  await until(async () => (await count('kept').catch(() => 0)) === 2, 'the successor has them')
  for (const { id } of await client.call('list', {})) {
    await client.call('destroy', { domain: String(id) })
  }
})

test('a domain that cannot have all its devices takes none', async () => {
  const before = hostCounters(server)
  for (const [devices, why] of [
    [
      `disk=["${image},raw,xvda"]; vif=["bridge=a,devid=1", "bridge=b,devid=1"]`,
      /one with number 1/,
    ],
    [`vif=["bridge=a"]; disk=["${image},raw,xvda", "${image},raw,xvdb"]`, /is in use/],
    [`vif=["bridge=a"]; disk=["${image}.gone,raw,xvda"]`, /disk.raw.gone/],
    [`disk=["${image},raw,xvda"]; memory=100000`, /no 100000 MiB/],
  ] as const) {
    await assert.rejects(server.create('bad', 'waits', devices), why)
  }
  assert.deepEqual(hostCounters(server), before)
  assert.deepEqual(server.served.table.host.xen.switches.names, [])
  FileStorage.open(image, true).close()
})

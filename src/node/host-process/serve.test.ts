import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { request } from 'node:http'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { UserError } from '../../base/errors.ts'
import { TestServer, until } from '../testing/served-host.ts'
import { HostRunsError } from './claim.ts'
import { connectHost } from './connect.ts'
import { hostNames, placesOf } from './places.ts'
import { serveHost } from './serve.ts'

/** Calls `work` with a folder for sockets, which is gone afterwards. */
async function inFolder(work: (folder: string, env: Record<string, string>) => Promise<void>) {
  const parent = mkdtempSync(join(tmpdir(), 'xenolith-places-'))
  try {
    const folder = join(parent, 'run')
    await work(folder, { XENOLITH_RUNTIME_DIR: folder })
  } finally {
    rmSync(parent, { recursive: true, force: true })
  }
}

const mode = (path: string) => (statSync(path).mode & 0o777).toString(8)

test('the folder and the socket are for this user only, whatever the umask', async () => {
  await inFolder(async (folder, env) => {
    const before = process.umask(0)
    try {
      const served = await serveHost({ name: 'a', time: 'real', env })
      assert.equal(mode(folder), '700')
      assert.equal(mode(served.socket), '600')
      await served.stop()
    } finally {
      process.umask(before)
    }
  })
})

test('a clean stop leaves neither socket nor lock', async () => {
  await inFolder(async (folder, env) => {
    const served = await serveHost({ name: 'a', time: 'real', env })
    assert.deepEqual(hostNames(env), ['a'])
    await served.stop()
    await served.stopped
    assert.ok(!existsSync(join(folder, 'a.sock')))
    assert.ok(!existsSync(join(folder, 'a.lock')))
    assert.equal(await connectHost({ name: 'a', env }), undefined)
  })
})

test('the socket of a host that was killed is taken over, and its lock', async () => {
  await inFolder(async (folder, env) => {
    mkdirSync(folder, { mode: 0o700 })
    const dead = createServer()
    const place = join(folder, 'a.sock')
    const umask = process.umask(0o177)
    await new Promise<void>((resolve) => dead.listen(`${place}.tmp`, resolve))
    process.umask(umask)
    // Closing removes the path that it was made with, and leaves the one it was moved to.
    renameSync(`${place}.tmp`, place)
    await new Promise((resolve) => dead.close(resolve))
    writeFileSync(join(folder, 'a.lock'), '999999999')
    assert.ok(existsSync(place))
    assert.equal(await connectHost({ name: 'a', env }), undefined)
    const served = await serveHost({ name: 'a', time: 'real', env })
    const client = await connectHost({ name: 'a', env })
    assert.equal((await client?.call('host', {}))?.name, 'a')
    await served.stop()
  })
})

test('a second host of the same name is refused, one of another name is not', async () => {
  await inFolder(async (_folder, env) => {
    const first = await serveHost({ name: 'a', time: 'real', env })
    await assert.rejects(serveHost({ name: 'a', time: 'real', env }), HostRunsError)
    const second = await serveHost({ name: 'b', time: 'real', env })
    assert.deepEqual(hostNames(env), ['a', 'b'])
    const names = []
    for (const name of ['a', 'b']) {
      names.push((await (await connectHost({ name, env }))?.call('host', {}))?.name)
    }
    assert.deepEqual(names, ['a', 'b'])
    await first.stop()
    await second.stop()
  })
})

test('a folder or socket that others may use is refused, by the host and by its clients', async () => {
  await inFolder(async (folder, env) => {
    mkdirSync(folder, { mode: 0o755 })
    chmodSync(folder, 0o755)
    await assert.rejects(serveHost({ name: 'a', time: 'real', env }), /mode is 755, not 700/)
    chmodSync(folder, 0o700)
    const served = await serveHost({ name: 'a', time: 'real', env })
    chmodSync(served.socket, 0o666)
    await assert.rejects(connectHost({ name: 'a', env }), /mode is 666, not 600/)
    chmodSync(served.socket, 0o600)
    chmodSync(folder, 0o770)
    await assert.rejects(connectHost({ name: 'a', env }), /chmod 700/)
    chmodSync(folder, 0o700)
    await served.stop()
  })
})

test('something else in the place of folder or socket is refused', async () => {
  await inFolder(async (folder, env) => {
    const elsewhere = `${folder}-other`
    mkdirSync(elsewhere, { mode: 0o700 })
    symlinkSync(elsewhere, folder)
    await assert.rejects(serveHost({ name: 'a', time: 'real', env }), /It is no folder/)
    rmSync(folder)
    mkdirSync(folder, { mode: 0o700 })
    writeFileSync(join(folder, 'a.sock'), 'no socket')
    await assert.rejects(serveHost({ name: 'a', time: 'real', env }), /It is no socket/)
    assert.ok(existsSync(join(folder, 'a.sock')), 'a file of the user is not removed')
  })
})

test('a name that is none, or too long a path, is an error', () => {
  for (const name of ['', 'a/b', '../x', '-x', 'x'.repeat(40)]) {
    assert.throws(() => placesOf(name, {}), UserError, name)
  }
  assert.throws(() => placesOf('a', { XENOLITH_RUNTIME_DIR: `/${'x'.repeat(120)}` }), /107 bytes/)
})

test('a host that lingers ends by itself, but not while it has domains', async () => {
  const server = await TestServer.start({ lingerMs: 500 })
  await server.create('web')
  await new Promise((resolve) => setTimeout(resolve, 1200))
  assert.ok(existsSync(server.served.socket))
  await server.client.call('destroy', { domain: 'web' })
  await server.served.stopped
  assert.ok(!existsSync(server.served.socket))
  await server.stop()
})

/** Sends bytes as they are, and gives all that comes back. */
function raw(socketPath: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(socketPath)
    let got = ''
    socket.on('data', (bytes) => {
      got += bytes.toString()
    })
    socket.on('close', () => resolve(got))
    socket.on('error', reject)
    socket.end(text)
  })
}

function post(socketPath: string, path: string, body: string): Promise<[number, string]> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method: 'POST', agent: false }, (response) => {
      let text = ''
      response.on('data', (bytes: Buffer) => {
        text += bytes.toString()
      })
      response.on('end', () => resolve([response.statusCode ?? 0, text]))
    })
    sent.on('error', reject)
    sent.end(body)
  })
}

test('requests that are none are answered with an error, and the host goes on', async () => {
  const server = await TestServer.start()
  const { socket } = server.served
  assert.deepEqual((await post(socket, '/v1/nothing', '{}'))[0], 404)
  assert.deepEqual((await post(socket, '/v1/toString', '{}'))[0], 404)
  assert.match((await post(socket, '/v1/list', '[1]'))[1], /It is no JSON object/)
  assert.match((await post(socket, '/v1/list', '{'))[1], /It is no JSON object/)
  assert.match((await post(socket, '/v1/list', ' '.repeat(2 << 20)))[1], /longer than 1 MiB/)
  assert.match((await post(socket, '/v1/find', '{}'))[1], /"kind":"user"/)
  assert.match((await post(socket, '/v1/create', '{"guest":{"name":5}}'))[1], /"error"/)
  assert.match((await post(socket, '/v1/mem-set', '{"domain":"x","kib":"y"}'))[1], /"error"/)
  const { id } = await server.create('web')
  const guest = server.tiny('other')
  const disk = { vdev: 'xvda', devid: 51712, isReadOnly: true, isCdrom: true, hasDiscard: true }
  for (const [operation, parameters, why] of [
    ['create', { guest: { ...guest, disks: [{ vdev: 5 }] } }, /create.guest.disks.0.vdev is no/],
    ['create', { guest: { ...guest, vifs: [[]], isPaused: 1 } }, /create.isPaused is no boolean/],
    ['block-attach', { disk }, /block-attach.disk.isSnapshot is no boolean/],
    ['block-attach', { disk: { ...disk, isSnapshot: false, vdev: 'x' } }, /no virtual device/],
    ['block-attach', { disk: { ...disk, isSnapshot: false, format: 'elf' } }, /no format/],
    ['network-attach', { vif: { forwards: [{ hostPort: '1' }] } }, /forwards.0.protocol is no/],
    ['network-attach', { vif: { bridge: '\u0000/'.repeat(9000) } }, /bridge cannot be/],
    ['network-attach', { vif: { mac: 'ff:ff:ff:ff:ff:ff' } }, /mac cannot be/],
  ] as const) {
    const [, answer] = await post(
      socket,
      `/v1/${operation}`,
      JSON.stringify({ domain: 'web', ...parameters }),
    )
    assert.match(answer, /"kind":"user"/, answer)
    assert.match(answer, why)
  }
  await server.client.call('destroy', { domain: String(id) })
  assert.match(await raw(socket, 'GARBAGE\r\n\r\n'), /400 Bad Request/)
  const upgrade = 'GET /v1/console?domain=none HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n'
  assert.match(
    await raw(socket, `${upgrade}Upgrade: xenolith-console\r\n\r\n`),
    /no domain \\"none\\"/,
  )
  assert.match(await raw(socket, `${upgrade}Upgrade: websocket\r\n\r\n`), /400 Bad Request/)
  assert.deepEqual(await server.client.call('list', {}), [])
  await server.stop()
})

test('a client that goes away in the middle leaves nothing behind', async () => {
  const server = await TestServer.start()
  const info = await server.create('web')
  const stop = new AbortController()
  const events = await server.client.events(stop.signal)
  const seen: string[] = []
  const following = (async () => {
    for await (const { event } of events) seen.push(event)
  })()
  const console = await server.client.console('web', 24)
  await server.client.call('rename', { domain: 'web', name: 'shop' })
  await until(() => seen.includes('renamed'), 'the event')
  stop.abort()
  console.destroy()
  await following
  await server.client.call('destroy', { domain: String(info.id) })
  assert.deepEqual(await server.client.call('list', {}), [])
  await server.stop()
})

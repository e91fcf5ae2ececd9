// Gateways with the real passt, as far as that needs no guest: DHCP and forwarded ports with one
// are in test/guest/networks.test.ts.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { UserError } from '../base/errors.ts'
import { Gateways } from './gateways.ts'
import { startPasst } from './passt.ts'

const hasPasst = (() => {
  try {
    execFileSync('passt', ['--version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()
const skip = hasPasst ? false : 'needs passt'

const OPTIONS = {
  what: 'Network interface 0 of domain "web"',
  address: 0x0a00020f,
  forwards: [],
  onTraffic: () => {},
  onEnd: () => {},
  onClose: () => {},
}

test('without passt the error says what is missing and what to do', async () => {
  const started = startPasst({ ...OPTIONS, program: '/nonexistent/passt' })
  await assert.rejects(started, (error) => {
    assert.ok(error instanceof UserError)
    assert.match(error.what, /interface 0 of domain "web"/)
    assert.match(error.why, /not installed/)
    assert.match(error.remedy, /apt-get install passt/)
    return true
  })
})

test('a program that is no passt is found out', async () => {
  await assert.rejects(startPasst({ ...OPTIONS, program: 'false' }), UserError)
})

test('a port of the host that is taken is said in the words of passt', { skip }, async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const place = server.address()
  const hostPort = typeof place === 'object' ? (place?.port ?? 0) : 0
  const forward = { protocol: 'tcp', address: '127.0.0.1', hostPort, guestPort: 80 } as const
  try {
    const started = startPasst({ ...OPTIONS, forwards: [forward] })
    await assert.rejects(started, (error) => {
      assert.ok(error instanceof UserError)
      assert.match(error.why, new RegExp(`${hostPort}`))
      return true
    })
  } finally {
    server.close()
  }
})

test('guests get addresses of their own, which are free again when they end', {
  skip,
}, async () => {
  const gateways = new Gateways({ time: 'real', onTraffic: () => {} })
  const start = (ip?: string) => gateways.start('it', ip === undefined ? {} : { ip }, () => {})
  const first = await start()
  const second = await start()
  assert.deepEqual([first?.guestAddress, second?.guestAddress], ['10.0.2.15', '10.0.2.16'])
  await assert.rejects(start('10.0.2.16'), UserError)
  await assert.rejects(start('192.168.1.1'), UserError)
  first?.close()
  const third = await start()
  assert.equal(third?.guestAddress, '10.0.2.15')
  for (const gateway of [second, third]) gateway?.close()
})

test('in virtual time there is no way out, and the error says so', async () => {
  const gateways = new Gateways({ time: 'virtual', onTraffic: () => {} })
  await assert.rejects(
    gateways.start('it', {}, () => {}),
    /virtual time/,
  )
  assert.equal(await gateways.start('it', { hasGateway: false }, () => {}), undefined)
})

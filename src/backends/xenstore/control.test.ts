// CONTROL as xenstore-control(8) uses it. The replies that are compared are what xenstored 4.17.7
// answered.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ringClient, streamClient, TestPage } from './test-clients.ts'
import { encodeStrings, textOf, XS_CONTROL, XS_MKDIR, XS_WATCH } from './wire.ts'
import { Xenstored } from './xenstored.ts'

const QUOTAS = `Quota settings:
nodes            :     1000 Nodes per domain
watches          :      128 Watches per domain
transactions     :       10 Transactions per domain
outstanding      :       20 Outstanding requests per domain
transaction-nodes:     1024 Max. number of accessed nodes per transaction
memory           :  2621440 Total Xenstore memory per domain (error level)
node-size        :     2048 Max. size of a node
path-max         :     2048 Max. length of a node path
permissions      :        5 Max. number of permissions per node
`
const SOFT_QUOTAS = `Quota settings:
memory           :  2097152 Total Xenstore memory per domain (warning level)
`

function setUp() {
  const page = new TestPage()
  const daemon = new Xenstored()
  daemon.introduceDomain(5, page)
  const guest = ringClient(daemon, 5, page)
  const tool = streamClient(daemon)
  const control = (...words: string[]) => {
    tool.send({ type: XS_CONTROL, payload: encodeStrings(...words) })
    return tool.take().map(({ payload }) => textOf(payload).replace(/\0$/, ''))[0]
  }
  return { daemon, guest, control }
}

test('the quotas are shown with the names and the defaults of xenstored 4.17', () => {
  const { control } = setUp()
  assert.equal(control('quota'), QUOTAS)
  assert.equal(control('quota-soft'), SOFT_QUOTAS)
  const quota = 'quota\t[set <name> <val>|<domid>]\nquota-soft\t[set <name> <val>]\n'
  assert.equal(control('help'), `check\t\n${quota}help\t\n`)
})

test('what a domain uses is shown, and domain 0 has no limits but is counted', () => {
  const { daemon, guest, control } = setUp()
  daemon.store.makeNode({ domid: 0, isPrivileged: true }, '/local/domain/5')
  daemon.store.setPermissions({ domid: 0, isPrivileged: true }, '/local/domain/5', [
    { domid: 5, access: 'n' },
  ])
  guest.send({ type: XS_MKDIR, payload: encodeStrings('data') })
  guest.send({ type: XS_WATCH, payload: encodeStrings('data', 'token') })
  guest.take()
  const usage = ['nodes           :        2', 'watches         :        1']
  // /local/domain/5 with its child: 15 + 24 + 8 + 5; data: 20 + 24 + 8; the watch: 20 + 5.
  const rest = ['transactions    :        0', 'outstanding     :        0']
  rest.push('memory          :      129')
  assert.equal(control('quota', '5'), ['Domain 5:', ...usage, ...rest, ''].join('\n'))
  assert.match(control('quota', '0') ?? '', /^Domain 0:\nnodes {11}: {8}5\n/)
  assert.equal(control('quota', '6'), 'ENOENT')
})

test('a quota that is set counts from then on', () => {
  const { daemon, guest, control } = setUp()
  daemon.store.setPermissions({ domid: 0, isPrivileged: true }, '/', [{ domid: 0, access: 'b' }])
  assert.equal(control('quota', 'set', 'nodes', '2'), 'OK')
  const made = ['/a', '/b', '/c'].map((path) => {
    guest.send({ type: XS_MKDIR, payload: encodeStrings(path) })
    return textOf(guest.take()[0]?.payload ?? new Uint8Array())
  })
  assert.deepEqual(made, ['OK\0', 'OK\0', 'ENOSPC\0'])
  const fresh = new Xenstored()
  assert.equal(fresh.quotas.nodes, 1000, 'the defaults stay')
})

test('words that are no command or no value are EINVAL', () => {
  const { control } = setUp()
  const wrong = [
    ['quota', 'set', 'nodes', 'x'],
    ['quota', 'set', 'no', '5'],
    ['quota', 'set', 'nodes', '-1'],
    ['quota', 'set'],
    ['quota', '5', '6'],
    ['quota-soft', '5'],
    ['quota-soft', 'set', 'nodes', '1'],
    ['quota', 'set', 'memory', '-1'],
    ['constructor'],
    [],
  ]
  for (const words of wrong) assert.equal(control(...words), 'EINVAL', words.join(' '))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bug } from '../../base/errors.ts'
import { XenstoreClient } from './client.ts'
import { Xenstored } from './xenstored.ts'

test('values are text in UTF-8, and what is not there is undefined', () => {
  const client = new XenstoreClient(new Xenstored())
  client.write('/a/b', 'grüß dich')
  assert.equal(client.read('/a/b'), 'grüß dich')
  assert.equal(client.readBytes('/a/b')?.length, 11)
  assert.equal(client.read('/a/none'), undefined)
  assert.deepEqual(client.list('/a'), ['b'])
  assert.equal(client.list('/none'), undefined)
  assert.equal(client.remove('/a'), true)
  assert.equal(client.remove('/a'), false)
})

test('a watch is called once at first, then for each change below it, until it is ended', () => {
  const daemon = new Xenstored()
  const client = new XenstoreClient(daemon)
  const other = new XenstoreClient(daemon)
  const seen: string[] = []
  const end = client.watch('/a', (path) => seen.push(path))
  other.write('/a/b', '1')
  other.write('/b', '1')
  client.write('/a', '2')
  other.remove('/a/b')
  end()
  other.write('/a/b', '3')
  assert.deepEqual(seen, ['/a', '/a/b', '/a', '/a/b'])
})

test('a callback may write, and others see its changes after those that caused them', () => {
  const daemon = new Xenstored()
  const backend = new XenstoreClient(daemon)
  const toolstack = new XenstoreClient(daemon)
  const seen: string[] = []
  backend.watch('/front/state', () => {
    if (backend.read('/front/state') === '1') backend.write('/back/state', '2')
  })
  toolstack.watch('/front/state', () => seen.push(`front ${toolstack.read('/front/state')}`))
  toolstack.watch('/back/state', () => {
    seen.push(`back ${toolstack.read('/back/state')}`)
    if (toolstack.read('/back/state') === '2') toolstack.write('/front/state', '4')
  })
  seen.length = 0
  toolstack.write('/front/state', '1')
  assert.deepEqual(seen, ['front 1', 'back 2', 'front 4'])
})

test('a transaction is seen by others all at once', () => {
  const daemon = new Xenstored()
  const client = new XenstoreClient(daemon)
  const seen: (string | undefined)[] = []
  client.watch('/a', () => seen.push(client.read('/b')))
  client.transaction((t) => {
    t.write('/a', '1')
    t.write('/b', '2')
    assert.equal(t.read('/b'), '2')
    assert.equal(client.read('/b'), undefined)
  })
  assert.deepEqual(seen, [undefined, '2'])
})

test('a path that cannot be one is a bug of the caller', () => {
  const client = new XenstoreClient(new Xenstored())
  assert.throws(() => client.write('not/absolute', '1'), Bug)
  assert.throws(() => client.write('/a//b', '1'), Bug)
  assert.throws(() => client.read('/a/'), Bug)
})

test('a closed client is called no more', () => {
  const daemon = new Xenstored()
  const client = new XenstoreClient(daemon)
  let calls = 0
  client.watch('/a', () => calls++)
  client.close()
  new XenstoreClient(daemon).write('/a', '1')
  assert.equal(calls, 1)
})

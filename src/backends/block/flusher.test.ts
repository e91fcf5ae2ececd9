// Flushes that nobody waits for, from the frontend's end of the ring.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  BLKIF_OP_FLUSH_DISKCACHE as FLUSH,
  BLKIF_OP_READ as READ,
  BLKIF_OP_WRITE as WRITE,
  BLKIF_RSP_ERROR as ERROR,
  BLKIF_RSP_OKAY as OKAY,
} from '../../xen/abi/blkif.ts'
import { MemoryStorage } from './memory-storage.ts'
import { RawImage } from './raw.ts'
import { BlockTestHost, type TestRequest, type TestResponse } from './test-frontend.ts'

const BYTES = 2 ** 20

/** A medium that takes its time: until the test says that it is done. */
class SlowStorage extends MemoryStorage {
  readonly done: string[] = []
  readonly #waiting: { resolve: () => void; reject: (error: Error) => void }[] = []

  override write(offset: number, bytes: Uint8Array): void {
    this.done.push(`write ${offset / 512}`)
    super.write(offset, bytes)
  }

  flushLater(): Promise<void> {
    this.done.push('flush')
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#waiting.push({ resolve, reject })
    return promise
  }

  /** The medium has it, or has failed. */
  async end(error?: Error): Promise<void> {
    const flush = this.#waiting.shift()
    assert.ok(flush, 'no flush is under way')
    if (error) flush.reject(error)
    else flush.resolve()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function slowDisk(queues = 1) {
  const host = new BlockTestHost()
  const storage = new SlowStorage(new Uint8Array(BYTES))
  const troubles: string[] = []
  let wakes = 0
  const frontend = host.frontend({
    image: new RawImage(storage),
    onComplaint: (text) => troubles.push(text),
    wakeHost: () => {
      wakes++
      host.settle()
    },
  })
  frontend.connect({ queues })
  return { host, storage, frontend, troubles, wakes: () => wakes }
}

const segments = [{ ref: 100, first: 0, last: 7 }]
const read: TestRequest = { operation: READ, sector: 0, segments }
const write = (sector: number): TestRequest => ({ operation: WRITE, sector, segments })
const flush: TestRequest = { operation: FLUSH }
const told = (responses: readonly TestResponse[]) =>
  responses.map(({ operation, status }) => [operation, status])

test('a flush is acknowledged when the medium has what was written, and not before', async () => {
  const { storage, frontend, wakes } = slowDisk()
  assert.deepEqual(told(frontend.submit([write(8), flush])), [[WRITE, OKAY]])
  assert.deepEqual(storage.done, ['write 8', 'flush'])
  frontend.takeEvent()
  assert.deepEqual(told(frontend.responses()), [])
  await storage.end()
  assert.deepEqual(told(frontend.responses()), [[FLUSH, OKAY]])
  assert.ok(frontend.takeEvent(), 'the guest was not told')
  assert.equal(wakes(), 1)
  assert.equal(frontend.device.counters.flushes, 1)
})

test('what comes behind a flush waits for it, in whichever queue of the disk', async () => {
  const { storage, frontend } = slowDisk(2)
  assert.deepEqual(told(frontend.submit([write(8), flush, write(16), flush])), [[WRITE, OKAY]])
  assert.deepEqual(told(frontend.submit([read, write(24)], 1)), [])
  assert.deepEqual(storage.done, ['write 8', 'flush'])
  await storage.end()
  assert.deepEqual(told(frontend.responses()), [
    [FLUSH, OKAY],
    [WRITE, OKAY],
  ])
  assert.deepEqual(storage.done, ['write 8', 'flush', 'write 16', 'flush'])
  await storage.end()
  assert.deepEqual(told(frontend.responses()), [[FLUSH, OKAY]])
  assert.deepEqual(told(frontend.responses(1)), [
    [READ, OKAY],
    [WRITE, OKAY],
  ])
})

test('other disks of the host go on meanwhile', async () => {
  const { host, storage, frontend } = slowDisk()
  const other = host.frontend({ image: new RawImage(new MemoryStorage(new Uint8Array(BYTES))) })
  other.connect()
  assert.deepEqual(told(frontend.submit([flush])), [])
  assert.deepEqual(told(other.submit([read, flush])), [
    [READ, OKAY],
    [FLUSH, OKAY],
  ])
  await storage.end()
  assert.deepEqual(told(frontend.responses()), [[FLUSH, OKAY]])
})

test('a flush that fails is an error, and the disk goes on', async () => {
  const { storage, frontend, troubles } = slowDisk()
  frontend.submit([flush, read])
  await storage.end(new Error('EIO: i/o error, fdatasync'))
  assert.deepEqual(told(frontend.responses()), [
    [FLUSH, ERROR],
    [READ, OKAY],
  ])
  assert.deepEqual(troubles, ['disk xvda: EIO: i/o error, fdatasync'])
  assert.equal(frontend.device.counters.flushes, 0)
})

test('a disk that is taken away in the middle of a flush answers nothing any more', async () => {
  const { storage, frontend } = slowDisk()
  frontend.submit([flush, write(8)])
  frontend.device.close()
  await storage.end()
  assert.deepEqual(told(frontend.responses()), [])
  assert.deepEqual(storage.done, ['flush'])
})

test('a frontend that connects anew waits for the flush of the one before', async () => {
  const { storage, frontend } = slowDisk()
  frontend.submit([flush])
  // As Linux does when it unplugs its driver and plugs it in again.
  frontend.write('state', 5)
  frontend.write('state', 6)
  frontend.write('state', 1)
  frontend.host.settle()
  frontend.connect()
  assert.deepEqual(told(frontend.submit([write(8)])), [])
  await storage.end()
  assert.deepEqual(told(frontend.responses()), [[WRITE, OKAY]])
})

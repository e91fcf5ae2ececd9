import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as abi from '../../xen/abi/blkif.ts'
import { GTF_reading, GTF_writing } from '../../xen/abi/grant-table.ts'
import type { DiskImage } from './disk-image.ts'
import { MemoryStorage } from './memory-storage.ts'
import { OverlayImage } from './overlay.ts'
import { RawImage } from './raw.ts'
import { BlockTestHost, type TestFrontend } from './test-frontend.ts'

const { BLKIF_OP_READ: READ, BLKIF_OP_WRITE: WRITE } = abi
const OKAY = abi.BLKIF_RSP_OKAY
const ERROR = abi.BLKIF_RSP_ERROR
const SECTORS = 4096

/** Records what reached the medium, and fails when told to. */
class TestStorage extends MemoryStorage {
  readonly done: string[] = []
  failure: Error | undefined

  override write(offset: number, bytes: Uint8Array): void {
    if (this.failure) throw this.failure
    this.done.push(`write ${offset} ${bytes.length}`)
    super.write(offset, bytes)
  }

  override flush(): void {
    if (this.failure) throw this.failure
    this.done.push('flush')
  }

  override close(): void {
    this.done.push('close')
  }
}

function disk(isReadOnly = false) {
  const bytes = new Uint8Array(SECTORS * 512)
  for (let i = 0; i < SECTORS; i++) bytes.fill((i % 250) + 1, i * 512, i * 512 + 512)
  const storage = new TestStorage(bytes, isReadOnly)
  return { storage, image: new RawImage(storage) as DiskImage }
}

function connected(options: Parameters<TestFrontend['connect']>[0] = {}, width: 32 | 64 = 64) {
  const host = new BlockTestHost()
  const troubles: string[] = []
  const { storage, image } = disk()
  const frontend = host.frontend({
    image,
    hasPersistentGrants: true,
    onComplaint: (text) => troubles.push(text),
  })
  frontend.width = width
  frontend.connect(options)
  return { host, frontend, storage, troubles }
}

const whole = (ref: number) => ({ ref, first: 0, last: 7 })
const statuses = (responses: readonly { status: number }[]) => responses.map((r) => r.status)

/** How many grants of the guest are in use. */
function pinned({ guest }: TestFrontend): number {
  return guest.domain.grants.activeGrants().length
}

test('the ends of a device walk through the states that blkif.h draws', () => {
  const host = new BlockTestHost()
  const { image, storage } = disk()
  const frontend = host.frontend({ image })
  assert.equal(frontend.backend('state'), '2')
  for (const [key, value] of [
    ['max-ring-page-order', '4'],
    ['multi-queue-max-queues', '4'],
    ['feature-max-indirect-segments', '256'],
    ['feature-flush-cache', '1'],
    ['feature-barrier', '1'],
    ['feature-discard', '0'],
  ] as const) {
    assert.equal(frontend.backend(key), value, key)
  }
  assert.equal(frontend.backend('sectors'), undefined)
  frontend.connect()
  assert.equal(frontend.backend('state'), '4')
  assert.equal(frontend.backend('sectors'), String(SECTORS))
  assert.equal(frontend.backend('sector-size'), '512')
  assert.equal(frontend.backend('info'), '0')
  assert.equal(pinned(frontend), 1)

  frontend.write('state', 5)
  assert.equal(frontend.backend('state'), '5')
  frontend.write('state', 6)
  assert.equal(frontend.backend('state'), '6')
  assert.equal(pinned(frontend), 0)

  // Another kernel starts in the same guest.
  frontend.write('state', 1)
  assert.equal(frontend.backend('state'), '2')
  frontend.connect()
  assert.deepEqual(
    statuses(frontend.submit([{ operation: READ, segments: [whole(frontend.dataRef(0))] }])),
    [OKAY],
  )
  frontend.device.close()
  assert.equal(frontend.backend('state'), undefined)
  assert.equal(host.xenstore.read(frontend.paths.front), undefined)
  assert.deepEqual(storage.done, ['flush', 'close'])
  assert.equal(pinned(frontend), 0)
})

for (const [title, width, options] of [
  ['one page', 64, {}],
  ['a ring of 16 pages', 64, { order: 4 }],
  ['a 32-bit frontend', 32, {}],
  ['a 32-bit ring of 4 pages', 32, { order: 2 }],
  ['persistent grants', 64, { isPersistent: true }],
  ['four queues of two pages', 64, { queues: 4, order: 1 }],
] as const) {
  test(`what is written is read again: ${title}`, () => {
    const { frontend, storage } = connected(options, width)
    const queues = 'queues' in options ? options.queues : 1
    for (let round = 0; round < 3 * frontend.entries; round += 7) {
      const queue = round % queues
      const page = round % 90
      const address = frontend.dataAddress(page)
      frontend.guest.put(address, new Uint8Array(4096).fill(round % 256))
      frontend.guest.put(frontend.dataAddress(page + 100), new Uint8Array(4096))
      const sector = (round * 13) % (SECTORS - 8)
      const segments = [{ ref: frontend.dataRef(page), first: 2, last: 6 }]
      const back = [{ ref: frontend.dataRef(page + 100), first: 3, last: 7 }]
      const requests = Array.from({ length: 7 }, (_, i) => [
        { operation: WRITE, sector, segments, id: BigInt(round) << 40n },
        { operation: READ, sector, segments: back, id: BigInt(i) },
      ]).flat()
      const responses = frontend.submit(requests.slice(0, 7), queue)
      assert.deepEqual(
        responses,
        requests.slice(0, 7).map(({ id, operation }) => ({ id, operation, status: OKAY })),
      )
      const read = frontend.guest.get(frontend.dataAddress(page + 100), 4096)
      assert.deepEqual(read.subarray(3 * 512), new Uint8Array(5 * 512).fill(round % 256))
      assert.deepEqual(read.subarray(0, 3 * 512), new Uint8Array(3 * 512))
    }
    assert.ok(storage.contents().length === SECTORS * 512)
  })
}

test('indirect requests move a megabyte at once', () => {
  const { frontend, storage } = connected()
  const segments = Array.from({ length: 240 }, (_, i) => whole(frontend.dataRef(i)))
  for (let i = 0; i < 240; i++) {
    frontend.guest.put(frontend.dataAddress(i), new Uint8Array(4096).fill(i))
  }
  const request = { operation: abi.BLKIF_OP_INDIRECT, sector: 8, segments }
  const [written] = frontend.submit([{ ...request, indirect: WRITE }])
  // Linux looks for the operation that it meant.
  assert.deepEqual(written, { id: 0n, operation: WRITE, status: OKAY })
  assert.deepEqual(storage.done, ['write 4096 983040'])
  assert.deepEqual(
    storage.contents().subarray(4096 * 240, 4096 * 241),
    new Uint8Array(4096).fill(239),
  )
  for (let i = 0; i < 240; i++) frontend.guest.put(frontend.dataAddress(i), new Uint8Array(4096))
  assert.deepEqual(statuses(frontend.submit([{ ...request, indirect: READ }])), [OKAY])
  assert.equal(frontend.guest.get(frontend.dataAddress(200), 1)[0], 200)
  assert.equal(pinned(frontend), 1)
})

test('a flush is answered when everything before it has reached the medium', () => {
  const { frontend, storage } = connected()
  const segments = [whole(frontend.dataRef(0))]
  frontend.submit([
    { operation: WRITE, sector: 0, segments },
    { operation: abi.BLKIF_OP_FLUSH_DISKCACHE },
    { operation: abi.BLKIF_OP_WRITE_BARRIER, sector: 8, segments },
    { operation: abi.BLKIF_OP_WRITE_BARRIER },
  ])
  assert.deepEqual(storage.done, [
    'write 0 4096',
    'flush',
    'flush',
    'write 4096 4096',
    'flush',
    'flush',
  ])
  storage.failure = new Error('no space left')
  const failed = frontend.submit([{ operation: abi.BLKIF_OP_FLUSH_DISKCACHE }])
  assert.deepEqual(statuses(failed), [ERROR])
})

test('an image that fails is told once; the guest gets errors, and can go on', () => {
  const { frontend, storage, troubles } = connected()
  const write = { operation: WRITE, segments: [whole(frontend.dataRef(0))] }
  storage.failure = new Error('no space left on device')
  assert.deepEqual(statuses(frontend.submit([write, write, write])), [ERROR, ERROR, ERROR])
  storage.failure = undefined
  assert.deepEqual(statuses(frontend.submit([write])), [OKAY])
  assert.deepEqual(troubles, ['disk xvda: no space left on device'])
  assert.equal(frontend.device.counters.errors, 3)
})

test('a read-only disk says so, and is not written', () => {
  const host = new BlockTestHost()
  const { image, storage } = disk(true)
  const frontend = host.frontend({ image, isCdrom: true })
  frontend.connect()
  assert.equal(frontend.backend('info'), String(abi.VDISK_CDROM | abi.VDISK_READONLY))
  assert.equal(frontend.backend('mode'), 'r')
  const segments = [whole(frontend.dataRef(0))]
  const requests = [
    { operation: WRITE, segments },
    { operation: abi.BLKIF_OP_WRITE_BARRIER, segments },
    { operation: READ, segments },
  ]
  assert.deepEqual(statuses(frontend.submit(requests)), [ERROR, ERROR, OKAY])
  frontend.device.close()
  assert.deepEqual(storage.done, ['close'])
})

test('discarded blocks read as zeros, where the image can', () => {
  const host = new BlockTestHost()
  const { image, storage } = disk()
  const overlay = new OverlayImage(image)
  const frontend = host.frontend({ image: overlay })
  frontend.connect()
  assert.equal(frontend.backend('feature-discard'), '1')
  assert.equal(frontend.backend('discard-granularity'), '65536')
  const segments = [whole(frontend.dataRef(0))]
  const responses = frontend.submit([
    { operation: abi.BLKIF_OP_DISCARD, sector: 100, sectors: 400 },
    { operation: READ, sector: 128, segments },
    { operation: abi.BLKIF_OP_DISCARD, sector: SECTORS - 1, sectors: 2 },
    { operation: abi.BLKIF_OP_DISCARD, sector: 0, sectors: 2n ** 64n - 1n },
  ])
  assert.deepEqual(statuses(responses), [OKAY, OKAY, ERROR, ERROR])
  assert.deepEqual(frontend.guest.get(frontend.dataAddress(0), 4096), new Uint8Array(4096))
  assert.deepEqual(storage.done, [], 'what is below an overlay stays as it is')
  const { frontend: raw } = connected()
  const refused = raw.submit([{ operation: abi.BLKIF_OP_DISCARD, sector: 0, sectors: 8 }])
  assert.deepEqual(statuses(refused), [abi.BLKIF_RSP_EOPNOTSUPP])
})

test('a frontend that sleeps gets one event for a batch, one that polls gets none', () => {
  const { frontend } = connected()
  const read = { operation: READ, segments: [whole(frontend.dataRef(0))] }
  frontend.takeEvent()
  frontend.submit([read, read, read])
  assert.equal(frontend.takeEvent(), true)
  frontend.poke('rsp_event', 1000)
  frontend.submit([read])
  assert.equal(frontend.takeEvent(), false)
})

test('persistent grants stay mapped until the frontend goes', () => {
  const { frontend } = connected({ isPersistent: true })
  const write = (page: number) => ({
    operation: WRITE,
    segments: [whole(frontend.dataRef(page))],
  })
  frontend.submit([write(0), write(1), write(0)])
  assert.equal(pinned(frontend), 3)
  const { grants } = frontend.guest.domain
  assert.ok(grants.entries.read(frontend.dataRef(1)).flags & (GTF_reading | GTF_writing))
  frontend.write('state', 6)
  assert.equal(pinned(frontend), 0)
  assert.equal(grants.entries.read(frontend.dataRef(1)).flags & (GTF_reading | GTF_writing), 0)
})

test('a disk is unplugged when the guest has let it go', () => {
  const { frontend, storage } = connected()
  let isDetached = false
  frontend.device.detach(() => {
    isDetached = true
  })
  assert.equal(frontend.backend('state'), '5')
  assert.equal(frontend.backend('online'), '0')
  assert.equal(isDetached, false)
  frontend.write('state', 5)
  assert.equal(isDetached, false)
  frontend.write('state', 6)
  assert.equal(isDetached, true)
  assert.equal(frontend.backend('state'), undefined)
  assert.deepEqual(storage.done, ['flush', 'close'])
})

test('a disk that no driver has taken is unplugged at once', () => {
  const host = new BlockTestHost()
  const frontend = host.frontend({ image: disk().image })
  let isDetached = false
  frontend.device.detach(() => {
    isDetached = true
  })
  assert.equal(isDetached, true)
})

test('a guest with much to do gives others their turn', () => {
  const { host, frontend } = connected({ order: 4 })
  const request = {
    operation: abi.BLKIF_OP_INDIRECT,
    indirect: READ,
    segments: Array.from({ length: 256 }, () => whole(frontend.dataRef(0))),
  }
  frontend.enqueue(Array.from({ length: 20 }, () => request))
  host.xen.hypervisor.deliverHostEvents()
  assert.equal(frontend.responses().length, 0, 'not in the middle of what the guest does')
  host.xen.hypervisor.runDeferred()
  assert.equal(frontend.responses().length, 8, 'as many as make 8 MiB')
  host.settle()
  assert.equal(frontend.responses().length, 12)
})

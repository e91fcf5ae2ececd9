import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TestPage } from '../xenstore/test-clients.ts'
import { ConsoleRing, xencons_interface } from './ring.ts'

/** The guest's driver: prints as much as there is room for, and reads what it finds. */
class Guest {
  readonly page: TestPage
  readonly #onEvent: () => void

  constructor(page: TestPage, onEvent: () => void) {
    this.page = page
    this.#onEvent = onEvent
  }

  /** Gives the number of bytes that found room. */
  print(text: string): number {
    const view = this.page.page()
    const { out_cons, out_prod } = xencons_interface.read(view, 0)
    const room = 2048 - ((out_prod - out_cons) >>> 0)
    const count = Math.min(room, text.length)
    for (let i = 0; i < count; i++) {
      view.setUint8(1024 + ((out_prod + i) % 2048), text.charCodeAt(i))
    }
    xencons_interface.set(view, 0, 'out_prod', (out_prod + count) >>> 0)
    this.#onEvent()
    return count
  }

  read(limit = 1024): string {
    const view = this.page.page()
    const { in_cons, in_prod } = xencons_interface.read(view, 0)
    const count = Math.min(limit, (in_prod - in_cons) >>> 0)
    let text = ''
    for (let i = 0; i < count; i++) {
      text += String.fromCharCode(view.getUint8((in_cons + i) % 1024))
    }
    xencons_interface.set(view, 0, 'in_cons', (in_cons + count) >>> 0)
    this.#onEvent()
    return text
  }
}

function boot(start = 0) {
  const page = new TestPage()
  xencons_interface.write(page.page(), 0, {
    in_cons: start,
    in_prod: start,
    out_cons: start,
    out_prod: start,
  })
  const refusals: string[] = []
  const console = new ConsoleRing(page, { onComplaint: (reason) => refusals.push(reason) })
  const guest = new Guest(page, () => console.onEvent())
  const heard: string[] = []
  console.listen((bytes) => heard.push(new TextDecoder().decode(bytes)))
  return { page, console, guest, heard, refusals }
}

test('the rings and their indices lie where console.h puts them', () => {
  assert.equal(xencons_interface.size, 3088)
  const fields = ['in', 'out', 'in_cons', 'in_prod', 'out_cons', 'out_prod'] as const
  assert.deepEqual(
    fields.map((f) => xencons_interface.offsetOf(f)),
    [0, 1024, 3072, 3076, 3080, 3084],
  )
})

test('what a guest prints reaches every listener and the scrollback, and the guest gets room', () => {
  const { page, console, guest, heard } = boot()
  const second: number[] = []
  const end = console.listen((bytes) => second.push(bytes.length))
  guest.print('hello ')
  end()
  guest.print('world')
  assert.deepEqual(heard, ['hello ', 'world'])
  assert.deepEqual(second, [6])
  assert.equal(console.scrollback.text(), 'hello world')
  assert.equal(page.notifications, 2)
  assert.deepEqual(page.writes, [
    [3080, 4],
    [3080, 4],
  ])
})

test('text of any length passes through both rings in order, also past 2^32', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 3000, unit: 'binary-ascii' }), { maxLength: 8 }),
      fc.constantFrom(0, 1000, 0xfffffff0),
      fc.integer({ min: 1, max: 1024 }),
      (texts, start, limit) => {
        const { console, guest } = boot(start)
        let printed = ''
        let typed = ''
        for (const text of texts) {
          printed += text.slice(0, guest.print(text))
          console.write(new TextEncoder().encode(text))
          typed += text
        }
        let got = ''
        for (let piece = guest.read(limit); piece !== ''; piece = guest.read(limit)) got += piece
        assert.equal(console.scrollback.text(), printed)
        assert.equal(got, typed)
        assert.equal(console.waitingInput, 0)
      },
    ),
  )
})

test('input waits for room and the guest is notified only when some has come', () => {
  const { page, console, guest } = boot()
  console.write(new Uint8Array(1500).fill(0x61))
  assert.equal(console.waitingInput, 476)
  assert.equal(page.notifications, 1)
  console.write(new Uint8Array(1))
  assert.equal(page.notifications, 1)
  assert.equal(guest.read(100).length, 100)
  assert.equal(console.waitingInput, 377)
})

test('indices that no ring can have are refused, said once, and change nothing', () => {
  const hostile = [
    { out_prod: 2049 },
    { out_prod: 0xffffffff },
    { out_cons: 1 },
    { in_prod: 1025 },
    { in_cons: 1 },
  ]
  for (const indices of hostile) {
    const { page, console, heard, refusals } = boot()
    xencons_interface.write(page.page(), 0, indices)
    const before = page.bytes.slice()
    console.write(new Uint8Array([0x61]))
    console.onEvent()
    console.onEvent()
    assert.equal(refusals.length, 1, JSON.stringify(indices))
    if (!('in_prod' in indices) && !('in_cons' in indices)) {
      assert.deepEqual(page.bytes.subarray(1024, 3072), before.subarray(1024, 3072))
    } else {
      assert.deepEqual(page.bytes, before)
    }
    assert.deepEqual(heard, [])
  }
})

test('whatever a guest writes into its page, the console neither throws nor hangs', () => {
  const write = fc.tuple(fc.integer({ min: 3072, max: 3087 }), fc.nat(255))
  fc.assert(
    fc.property(fc.array(write), (writes) => {
      const { page, console } = boot()
      for (const [at, byte] of writes) {
        page.bytes[at] = byte
        console.write(new Uint8Array(10))
        console.onEvent()
      }
    }),
  )
})

test('a console that is saved and restored in the middle goes on as if it had not been', () => {
  const { page, console, guest } = boot()
  guest.print('before ')
  console.write(new Uint8Array(1500).fill(0x62))
  const restored = new ConsoleRing(page)
  restored.restore(structuredClone(console.save()))
  const other = new Guest(page, () => restored.onEvent())
  other.print('after')
  assert.equal(restored.scrollback.text(), 'before after')
  assert.equal(other.read().length + other.read().length, 1500)
})

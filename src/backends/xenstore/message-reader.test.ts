import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { MessageReader } from './message-reader.ts'
import { encodeMessage, type Message, XENSTORE_PAYLOAD_MAX } from './wire.ts'

const message = fc.record(
  {
    type: fc.nat(0xffffffff),
    requestId: fc.nat(0xffffffff),
    transactionId: fc.nat(0xffffffff),
    payload: fc.uint8Array({ maxLength: 200 }),
  },
  { noNullPrototype: true },
)

/** Hands bytes over in pieces no longer than `pieces` say, in turn. */
function feed(reader: MessageReader, bytes: Uint8Array, pieces: readonly number[]) {
  const got: (Message | 'too-long')[] = []
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const length = Math.min(reader.wanted, pieces[i % pieces.length] ?? 1)
    const piece = bytes.subarray(at, at + length)
    at += piece.length
    const result = reader.accept(piece)
    if (result) got.push(result)
    if (result === 'too-long') break
  }
  return got
}

const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 })

test('messages come out as they were put in, wherever the stream is cut', () => {
  fc.assert(
    fc.property(fc.array(message), pieces, (messages, cuts) => {
      const stream = messages.flatMap((m) => [...encodeMessage(m)])
      assert.deepEqual(feed(new MessageReader(), Uint8Array.from(stream), cuts), messages)
    }),
  )
})

test('a header and a payload are laid out as xs_wire.h says', () => {
  const bytes = encodeMessage({
    type: 11,
    requestId: 0x01020304,
    transactionId: 7,
    payload: new Uint8Array([0x2f, 0]),
  })
  const header = [11, 0, 0, 0, 4, 3, 2, 1, 7, 0, 0, 0, 2, 0, 0, 0]
  assert.deepEqual([...bytes], [...header, 0x2f, 0])
})

test('a payload of 4096 bytes is taken, and a header that announces 4097 is refused', () => {
  const header = (length: number) => {
    const bytes = new Uint8Array(16)
    new DataView(bytes.buffer).setUint32(12, length, true)
    return bytes
  }
  const reader = new MessageReader()
  assert.equal(reader.accept(header(XENSTORE_PAYLOAD_MAX)), undefined)
  assert.equal(reader.wanted, XENSTORE_PAYLOAD_MAX)
  assert.equal(new MessageReader().accept(header(XENSTORE_PAYLOAD_MAX + 1)), 'too-long')
  assert.equal(new MessageReader().accept(header(0xffffffff)), 'too-long')
})

test('random bytes never make it throw or want more than one message', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 500 }), pieces, (bytes, cuts) => {
      const reader = new MessageReader()
      feed(reader, bytes, cuts)
      assert.ok(reader.wanted <= XENSTORE_PAYLOAD_MAX)
    }),
  )
})

test('a message that has arrived in part survives being saved', () => {
  fc.assert(
    fc.property(message, fc.nat(300), pieces, (sent, cut, cuts) => {
      const bytes = encodeMessage(sent)
      const at = Math.min(cut, bytes.length - 1)
      const first = new MessageReader()
      feed(first, bytes.subarray(0, at), cuts)
      const second = new MessageReader()
      second.restore(first.save())
      assert.deepEqual(feed(second, bytes.subarray(at), cuts), [sent])
    }),
  )
})

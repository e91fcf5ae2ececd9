import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteWriter } from './bytes.ts'

/** LEB128 by its definition (specification 5.2.2), on bigint; and the count of bytes read. */
function decode(bytes: Uint8Array, isSigned: boolean): [value: bigint, count: number] {
  let value = 0n
  let shift = 0n
  for (const [i, byte] of bytes.entries()) {
    value |= BigInt(byte & 0x7f) << shift
    shift += 7n
    if (byte & 0x80) continue
    return [isSigned ? BigInt.asIntN(Number(shift), value) : value, i + 1]
  }
  throw new Error('no end')
}

function written(write: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter(1)
  write(out)
  return out.bytes.slice(0, out.length)
}

/** The fewest bytes that hold a signed number. */
function fewest(value: bigint): number {
  let count = 1
  while (BigInt.asIntN(7 * count, value) !== value) count++
  return count
}

const edges = Array.from({ length: 64 }, (_, i) => 1n << BigInt(i)).flatMap((n) => [
  n,
  n - 1n,
  -n,
  -n - 1n,
])

test('signed numbers of 64 bits decode to what was written, in the fewest bytes', () => {
  const check = (wide: bigint) => {
    const value = BigInt.asIntN(64, wide)
    const bytes = written((out) => out.signed64(value))
    assert.deepEqual(decode(bytes, true), [value, bytes.length])
    assert.equal(bytes.length, fewest(value))
  }
  edges.forEach(check)
  fc.assert(fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 63n) - 1n }), check))
})

test('signed numbers of 32 bits decode to what was written, in the fewest bytes', () => {
  const check = (n: number) => {
    const bytes = written((out) => out.signed32(n))
    assert.deepEqual(decode(bytes, true), [BigInt(n), bytes.length])
    assert.equal(bytes.length, fewest(BigInt(n)))
  }
  edges.forEach((n) => check(Number(BigInt.asIntN(32, n))))
  fc.assert(fc.property(fc.integer(), check))
})

test('unsigned numbers decode to what was written', () => {
  const check = (n: number) => {
    const bytes = written((out) => out.unsigned(n))
    assert.deepEqual(decode(bytes, false), [BigInt(n), bytes.length])
  }
  edges.filter((n) => n >= 0n && n < 1n << 53n).forEach((n) => check(Number(n)))
  fc.assert(fc.property(fc.nat(Number.MAX_SAFE_INTEGER), check))
})

test('a part is preceded by its size, however large it is', () => {
  for (const size of [0, 1, 127, 128, 16383, 16384, 100_000, 3_000_000]) {
    const bytes = written((out) => {
      out.byte(0xaa)
      const start = out.open()
      for (let i = 0; i < size; i++) out.byte(i)
      out.close(start)
      out.byte(0xbb)
    })
    const [found, count] = decode(bytes.subarray(1), false)
    assert.equal(found, BigInt(size))
    assert.equal(bytes.length, size + count + 2)
    assert.equal(bytes[0], 0xaa)
    assert.equal(bytes.at(-1), 0xbb)
    const part = bytes.subarray(1 + count, -1)
    assert.ok(part.every((byte, i) => byte === (i & 0xff)))
  }
})

test('names are in UTF-8', () => {
  assert.deepEqual([...written((out) => out.name('aß'))], [3, 0x61, 0xc3, 0x9f])
})

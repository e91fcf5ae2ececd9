import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { UserError } from '../base/errors.ts'
import { decompress, detectCompression } from '../toolstack/image/decompress/compression.ts'
import { fixture, GZIP, ZSTD } from '../toolstack/image/decompress/fixtures.ts'
import { sample } from '../toolstack/image/decompress/sample.ts'
import { nodeDecompressors } from './decompressors.ts'

for (const [format, base64] of [
  ['gzip', GZIP],
  ['zstd', ZSTD],
] as const) {
  const data = fixture(base64)

  test(`what ${format}(1) wrote is recognised and decompressed`, async () => {
    assert.equal(detectCompression(data), format)
    const size = { limit: 1 << 20, expected: 2309 }
    const result = await decompress(format, data, size, nodeDecompressors)
    assert.deepEqual(Uint8Array.from(result), sample())
  })

  test(`what ${format}(1) wrote, cut or damaged, gives a UserError`, async () => {
    const half = data.slice(0, data.length >> 1)
    const damaged = data.slice()
    damaged[damaged.length - 3]! ^= 0xff
    for (const bad of [half, damaged]) {
      const result = decompress(format, bad, { limit: 1 << 20 }, nodeDecompressors)
      await assert.rejects(result, UserError)
    }
  })

  test(`what ${format}(1) wrote is not decompressed beyond the limit`, async () => {
    const result = decompress(format, data, { limit: 2000 }, nodeDecompressors)
    await assert.rejects(result, (error) => error instanceof UserError && /2000/.test(error.why))
  })
}

test('the end of a zstd frame is not looked for beyond it', async () => {
  const many = zstdCompressSync(new Uint8Array(3 << 20))
  const result = await nodeDecompressors.zstd(many, { limit: 4 << 20 })
  assert.equal(result.length, 3 << 20)
})

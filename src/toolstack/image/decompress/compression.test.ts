import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../../../base/errors.ts'
import { type Compression, decompress, detectCompression } from './compression.ts'
import type { Decompressors } from './decompressors.ts'
import { BZIP2, fixture, LZ4_FRAME, LZ4_LEGACY, LZMA, LZO, XZ, XZ_X86 } from './fixtures.ts'
import { sample } from './sample.ts'

const ONLY_OURS: Decompressors = {
  gzip: () => Promise.reject(new Error('not decoded here')),
  zstd: () => Promise.reject(new Error('not decoded here')),
}

interface Case {
  readonly tool: string
  readonly format: Compression
  readonly data: Uint8Array
  /** Whether the format has a checksum over its contents. */
  readonly isChecked: boolean
}

const CASES: readonly Case[] = [
  { tool: 'lz4 -l', format: 'lz4', data: fixture(LZ4_LEGACY), isChecked: false },
  { tool: 'lz4', format: 'lz4', data: fixture(LZ4_FRAME), isChecked: true },
  { tool: 'xz --x86', format: 'xz', data: fixture(XZ_X86), isChecked: true },
  { tool: 'xz', format: 'xz', data: fixture(XZ), isChecked: true },
  { tool: 'xz --format=lzma', format: 'lzma', data: fixture(LZMA), isChecked: false },
  { tool: 'lzop', format: 'lzo', data: fixture(LZO), isChecked: false },
  { tool: 'bzip2', format: 'bzip2', data: fixture(BZIP2), isChecked: true },
]

const LIMIT = 1 << 20

/** The contents, or the UserError; anything else thrown fails the test. */
async function attempt(format: Compression, data: Uint8Array): Promise<Uint8Array | UserError> {
  try {
    return await decompress(format, data, { limit: LIMIT }, ONLY_OURS)
  } catch (error) {
    if (error instanceof UserError) return error
    throw error
  }
}

for (const { tool, format, data, isChecked } of CASES) {
  test(`what ${tool} wrote is recognised and decompressed`, async () => {
    assert.equal(detectCompression(data), format)
    assert.deepEqual(await attempt(format, data), sample())
  })

  test(`what ${tool} wrote, cut anywhere, gives a UserError or the whole contents`, async () => {
    for (let size = 0; size < data.length; size++) {
      const result = await attempt(format, data.slice(0, size))
      if (result instanceof UserError) continue
      // A legacy LZ4 file ends where a block ends: nothing says that more should come.
      if (result.length > 0) assert.deepEqual(result, sample(), `cut at ${size}`)
    }
  })

  test(`what ${tool} wrote, damaged, never throws anything but a UserError`, async () => {
    let seed = 12345
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff
      return (seed >>> 8) % below
    }
    for (let round = 0; round < 400; round++) {
      const damaged = data.slice()
      const at = random(data.length)
      damaged[at] = (damaged[at] as number) ^ (1 + random(255))
      const result = await attempt(format, damaged)
      if (isChecked && !(result instanceof UserError) && result.length > 0) {
        assert.deepEqual(result, sample(), `byte ${at} damaged`)
      }
    }
  })

  test(`what ${tool} wrote is not decompressed beyond the limit`, async () => {
    await assert.rejects(
      decompress(format, data, { limit: 2000 }, ONLY_OURS),
      (error) => error instanceof UserError && /2000/.test(error.why),
    )
  })
}

test('a hostile size does not make a buffer of that size', async () => {
  const size = { limit: 2 ** 40, expected: 2 ** 39 }
  assert.deepEqual(await decompress('lz4', fixture(LZ4_LEGACY), size, ONLY_OURS), sample())
})

test('data of no known format are not recognised', () => {
  assert.equal(detectCompression(new Uint8Array(0)), undefined)
  assert.equal(detectCompression(new TextEncoder().encode('\x7fELF')), undefined)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UserError } from '../../base/errors.ts'
import { fixture, LZ4_LEGACY, XZ_X86 } from './decompress/fixtures.ts'
import { PT_LOAD } from './elf.ts'
import { openKernel } from './kernel.ts'
import { join, number, text } from './tiny-elf.ts'
import { NO_DECOMPRESSORS, tinyBzImage, tinyPvhElf } from './tiny-kernel.ts'

const ELF = tinyPvhElf(0x100000n, [
  { type: PT_LOAD, paddr: 0x100000n, data: Uint8Array.of(0xf4, 0xeb, 0xfd) },
])

const open = (bytes: Uint8Array) => openKernel(bytes, 'tiny', NO_DECOMPRESSORS)

/** The legacy LZ4 frame of data that are stored as literals only. */
function lz4(data: Uint8Array): Uint8Array {
  const extra = data.length - 15
  const lengths = [...Array(Math.floor(extra / 255)).fill(255), extra % 255]
  const block = join(Uint8Array.of(0xf0, ...lengths), data)
  return join(Uint8Array.of(0x02, 0x21, 0x4c, 0x18), number(BigInt(block.length), 4), block)
}

test('a raw ELF image is opened', async () => {
  const kernel = await open(ELF)
  assert.deepEqual([kernel.container, kernel.compression], ['ELF', undefined])
  assert.equal(kernel.notes.phys32Entry, 0x100000n)
  assert.equal(kernel.fileBytes, ELF.length)
})

test('a bzImage gives its kernel, version and longest command line', async () => {
  const payload = join(lz4(ELF), number(BigInt(ELF.length), 4))
  const kernel = await open(tinyBzImage(payload))
  assert.deepEqual([kernel.container, kernel.compression], ['bzImage', 'lz4'])
  assert.equal(kernel.version, '6.1.0-tiny')
  assert.equal(kernel.commandLineLimit, 2047)
  assert.deepEqual(kernel.elf.bytes, ELF)
})

test('a bzImage whose kernel is not compressed is opened', async () => {
  const kernel = await open(tinyBzImage(ELF))
  assert.deepEqual([kernel.container, kernel.compression], ['bzImage', undefined])
})

test('an ELF image that is compressed as a whole is opened', async () => {
  const gzip = { ...NO_DECOMPRESSORS, gzip: () => Promise.resolve(ELF) }
  const kernel = await openKernel(Uint8Array.of(0x1f, 0x8b, 8), 'xen.gz', gzip)
  assert.deepEqual([kernel.container, kernel.compression], ['ELF', 'gzip'])
})

test('a payload of another size than it says is refused', async () => {
  const payload = join(lz4(ELF), number(BigInt(ELF.length + 1), 4))
  await assert.rejects(open(tinyBzImage(payload)), /should have/)
})

test('a payload in an unknown format is named by its first bytes', async () => {
  const payload = join(number(0x1122334455667788n), number(8n, 4))
  await assert.rejects(open(tinyBzImage(payload)), /begins with 88 77 66 55/)
})

test('a payload that holds no kernel is refused', async () => {
  for (const base64 of [LZ4_LEGACY, XZ_X86]) {
    const payload = join(fixture(base64), number(2309n, 4))
    await assert.rejects(open(tinyBzImage(payload)), /not an ELF file/)
  }
})

test('other kinds of file are named', async () => {
  await assert.rejects(open(new Uint8Array(0)), /The file is empty/)
  await assert.rejects(open(text('!<arch>\ndebian-binary')), /a Debian package/)
  await assert.rejects(open(text('070701000')), /a cpio archive/)
  await assert.rejects(open(text('hello')), /neither an ELF file nor a Linux bzImage/)
})

test('an old bzImage without a payload is refused', async () => {
  const image = tinyBzImage(ELF)
  image[0x206] = 5
  await assert.rejects(open(image), /boot protocol 2.5/)
})

test('a bzImage cut anywhere gives a UserError', async () => {
  const image = tinyBzImage(join(lz4(ELF), number(BigInt(ELF.length), 4)))
  for (let size = 0; size < image.length; size++) {
    await assert.rejects(open(image.slice(0, size)), UserError)
  }
})

test('a bzImage with damaged bytes gives a UserError or a kernel', async () => {
  const image = tinyBzImage(join(lz4(ELF), number(BigInt(ELF.length), 4)))
  const damage = fc.array(
    fc.tuple(fc.integer({ min: 0x1f1, max: image.length - 1 }), fc.nat(255)),
    {
      maxLength: 6,
    },
  )
  await fc.assert(
    fc.asyncProperty(damage, async (changes) => {
      const bytes = image.slice()
      for (const [at, value] of changes) bytes[at] = value
      await open(bytes).catch((error: unknown) => {
        if (!(error instanceof UserError)) throw error
      })
    }),
    { numRuns: 2000 },
  )
})

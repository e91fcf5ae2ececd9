// Debian's own kernels against other tools' reading of them: readelf, lz4 and xz. Skipped where
// the kernels were not fetched (`tools/fetch-guests.ts`) or a tool is missing.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { lintKernel } from '../toolstack/build/linter.ts'
import { planPvh } from '../toolstack/build/pvh.ts'
import { isLoadable } from '../toolstack/image/elf.ts'
import { type KernelImage, openKernel } from '../toolstack/image/kernel.ts'
import { defaultCacheFolder } from './artifact-cache.ts'
import { nodeDecompressors } from './decompressors.ts'

const CASES = [
  { flavour: 'cloud', compression: 'lz4', command: ['lz4', '-dcq'] },
  { flavour: 'generic', compression: 'xz', command: ['xz', '-dcq'] },
] as const

/** Runs a tool; undefined, with the test skipped, when it does not exist. */
function tool(
  t: TestContext,
  [program, ...args]: readonly [string, ...string[]],
  input?: Uint8Array,
): Buffer | undefined {
  try {
    return execFileSync(program, args, {
      input,
      maxBuffer: 1 << 28,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    t.skip(`${program} is not installed`)
    return undefined
  }
}

/** The payload without the size behind it, found by its magic number, as extract-vmlinux does. */
function payloadByMagic(file: Buffer, compression: 'lz4' | 'xz'): Buffer {
  const magic = { lz4: [0x02, 0x21, 0x4c, 0x18], xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00] }
  const start = file.indexOf(Uint8Array.from(magic[compression]))
  const length = file.readUInt32LE(0x24c)
  return file.subarray(start, start + length - 4)
}

function describeSegments(kernel: KernelImage): string[] {
  const hex = (n: bigint | number): string => n.toString(16)
  return kernel.elf.segments
    .filter(isLoadable)
    .map((s) => [s.vaddr, s.paddr, s.data.length, s.memsz].map(hex).join(' '))
}

for (const { flavour, compression, command } of CASES) {
  test(`Debian’s ${flavour} kernel is read as ${command[0]} and readelf read it`, async (t) => {
    const path = join(defaultCacheFolder(), `linux-${flavour}`, 'vmlinuz')
    if (!existsSync(path)) return t.skip('the kernel was not fetched')
    const file = readFileSync(path)
    const kernel = await openKernel(file, path, nodeDecompressors)
    assert.equal(kernel.compression, compression)

    const vmlinux = tool(t, command, payloadByMagic(file, compression))
    if (!vmlinux) return
    assert.ok(vmlinux.equals(kernel.elf.bytes), 'the kernel inside is the same')

    const folder = mkdtempSync(join(tmpdir(), 'xenolith-vmlinux-'))
    t.after(() => rmSync(folder, { recursive: true }))
    writeFileSync(join(folder, 'vmlinux'), vmlinux)
    const listing = tool(t, ['readelf', '-lnW', join(folder, 'vmlinux')])?.toString()
    if (listing === undefined) return
    const loads = listing.matchAll(/^ +LOAD +\S+ +0x(\S+) 0x(\S+) 0x(\S+) 0x(\S+)/gm)
    const expected = Array.from(loads, ([, ...numbers]) =>
      numbers.map((n) => n.replace(/^0+(?=.)/, '')).join(' '),
    )
    assert.deepEqual(describeSegments(kernel), expected)
    const entryNote = /\(0x00000012\)\s+description data: ((?:[0-9a-f]{2} )+)/.exec(listing)?.[1]
    const entry = Buffer.from((entryNote ?? '').replaceAll(' ', ''), 'hex').readBigUInt64LE()
    assert.equal(kernel.notes.phys32Entry, entry)
    assert.deepEqual(lintKernel(kernel), [])

    const layout = planPvh({ kernel, memoryBytes: 256 * 2 ** 20, commandLine: 'console=hvc0' })
    assert.equal(BigInt(layout.entry.eip), entry)
  })
}

/** Opens a file that `tools/fetch-guests.ts` fetched; undefined, with the test skipped, if not. */
async function openCached(t: TestContext, name: string): Promise<KernelImage | undefined> {
  const path = join(defaultCacheFolder(), name)
  if (existsSync(path)) return openKernel(readFileSync(path), path, nodeDecompressors)
  t.skip('the image was not fetched')
  return undefined
}

test('GRUB’s PVH image and xen-shim can be laid out in 32 MiB', async (t) => {
  const grub = 'grub-xen-host-grub-i386-xen_pvh.bin/grub-i386-xen_pvh.bin'
  for (const name of [grub, 'xen-utils-4.17-xen-shim/xen-shim']) {
    const kernel = await openCached(t, name)
    if (!kernel) return
    const { entry } = planPvh({ kernel, memoryBytes: 32 * 2 ** 20, commandLine: '' })
    assert.equal(BigInt(entry.eip), kernel.notes.phys32Entry)
  }
})

test('GRUB’s 32-bit PV image is read although its last note is cut short', async (t) => {
  const kernel = await openCached(t, 'grub-xen-host-grub-i386-xen.bin/grub-i386-xen.bin')
  if (!kernel) return
  assert.deepEqual([kernel.notes.guestOs, kernel.notes.paeMode], ['GRUB', 'yes'])
  assert.ok(lintKernel(kernel).some(({ rule }) => rule === 'cut-note'))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UserError } from '../../base/errors.ts'
import { PT_LOAD, PT_NOTE } from '../image/elf.ts'
import { type KernelImage, openKernel } from '../image/kernel.ts'
import { number, type TinySegment, text, tinyElf, tinyNote } from '../image/tiny-elf.ts'
import { NO_DECOMPRESSORS, tinyPvhElf, tinyPvhKernel } from '../image/tiny-kernel.ts'
import type { GuestPhysicalMemory } from './guest-physical-memory.ts'
import { type PvhConfig, planPvh, pvhPopulated, writePvh } from './pvh.ts'

const MiB = 2 ** 20

/** Memory that is full of a poison, so that what is not written shows. */
class PoisonedMemory implements GuestPhysicalMemory {
  readonly bytes: Uint8Array
  readonly zeroed: [number, number][] = []

  constructor(size: number) {
    this.bytes = new Uint8Array(size).fill(0xc2)
  }

  write(gpa: number, bytes: Uint8Array): void {
    if (gpa < this.bytes.length) this.bytes.set(bytes, gpa)
  }

  zero(gpa: number, length: number): void {
    this.zeroed.push([gpa, length])
    if (gpa < this.bytes.length) this.bytes.fill(0, gpa, gpa + length)
  }

  u32(gpa: number): number {
    return new DataView(this.bytes.buffer).getUint32(gpa, true)
  }

  u64(gpa: number): number {
    return Number(new DataView(this.bytes.buffer).getBigUint64(gpa, true))
  }
}

const open = (elf: Uint8Array): Promise<KernelImage> => openKernel(elf, 'tiny', NO_DECOMPRESSORS)

async function plan(changes: Partial<PvhConfig>) {
  const kernel = await tinyPvhKernel()
  return planPvh({ kernel, memoryBytes: 4 * MiB, commandLine: '', ...changes })
}

function rejects(changes: Partial<PvhConfig>, why: RegExp): Promise<void> {
  return assert.rejects(plan(changes), (error) => {
    assert.ok(error instanceof UserError, String(error))
    assert.match(`${error.why}\n${error.remedy}`, why)
    return true
  })
}

test('a PVH domain is laid out as public/arch-x86/hvm/start_info.h describes', async () => {
  const config: PvhConfig = {
    kernel: await tinyPvhKernel(),
    memoryBytes: 4 * MiB,
    commandLine: 'console=hvc0 quiet',
    ramdisk: { name: 'initrd', bytes: new Uint8Array(5000).fill(0x77) },
    acpi: { rsdp: 0xfc008000, tables: [{ address: 0xfc008000, bytes: new Uint8Array(36) }] },
  }
  const layout = planPvh(config)
  const memory = new PoisonedMemory(4 * MiB)
  writePvh(config, layout, memory)

  assert.deepEqual([...memory.bytes.subarray(0x100000, 0x100005)], [0xf4, 0xeb, 0xfd, 0, 0])
  assert.equal(memory.bytes[0x100fff], 0, 'the segment is zeroed up to p_memsz')

  const start = layout.entry.ebx
  assert.equal(memory.u32(start), 0x336ec578)
  assert.equal(memory.u32(start + 4), 1, 'version')
  assert.equal(memory.u32(start + 8), 0, 'flags')
  assert.equal(memory.u32(start + 12), 1, 'nr_modules')
  const modules = memory.u64(start + 16)
  const commandLine = memory.u64(start + 24)
  assert.equal(memory.u64(start + 32), 0xfc008000, 'rsdp_paddr')
  const map = memory.u64(start + 40)
  assert.equal(memory.u32(start + 48), 3, 'memmap_entries')

  const end = memory.bytes.indexOf(0, commandLine)
  const written = new TextDecoder().decode(memory.bytes.subarray(commandLine, end))
  assert.equal(written, 'console=hvc0 quiet')
  const ramdisk = memory.u64(modules)
  assert.equal(ramdisk % 4096, 0)
  assert.equal(memory.u64(modules + 8), 5000)
  assert.ok(memory.bytes.subarray(ramdisk, ramdisk + 5000).every((byte) => byte === 0x77))
  assert.deepEqual([memory.u64(map), memory.u64(map + 8), memory.u32(map + 16)], [0, 4 * MiB, 1])
  assert.deepEqual(
    [memory.u64(map + 48), memory.u64(map + 56), memory.u32(map + 64)],
    [0xfeff8000, 0x8000, 2],
  )
  assert.deepEqual(memory.zeroed.at(-1), [0xfeff8000, 0x8000], 'the special pages are zeroed')
})

test('the first vCPU starts as docs/misc/pvh.pandoc says', async () => {
  const { entry, startInfo } = await plan({})
  assert.equal(entry.eip, 0x100000)
  assert.equal(entry.ebx, startInfo.start)
  assert.deepEqual([entry.cr0, entry.cr4, entry.efer, entry.eflags], [0x11, 0, 0, 2])
  assert.deepEqual([entry.cs.attributes, entry.cs.limit], [0xc9b, 0xffffffff])
  assert.deepEqual([entry.ds.attributes, entry.ss.attributes], [0xc93, 0xc93])
  assert.deepEqual([entry.tr.attributes, entry.tr.limit], [0x8b, 0x67])
})

test('without a ramdisk there is no module, and no address of one', async () => {
  const config = { kernel: await tinyPvhKernel(), memoryBytes: 4 * MiB, commandLine: '' }
  const layout = planPvh(config)
  const memory = new PoisonedMemory(4 * MiB)
  writePvh(config, layout, memory)
  assert.equal(memory.u32(layout.entry.ebx + 12), 0)
  assert.equal(memory.u64(layout.entry.ebx + 16), 0)
})

test('kernel, ramdisk and start info never overlap and always fit', async () => {
  const kernel = await tinyPvhKernel()
  fc.assert(
    fc.property(fc.nat(2 * MiB), fc.nat(600), (ramdiskSize, lineLength) => {
      const config = {
        kernel,
        memoryBytes: 4 * MiB,
        commandLine: 'x'.repeat(lineLength),
        ramdisk: { name: 'initrd', bytes: new Uint8Array(ramdiskSize) },
      }
      const { kernel: placed, ramdisk, startInfo } = planPvh(config)
      assert.ok(ramdisk && placed.end <= ramdisk.start)
      assert.ok(ramdisk.start + ramdisk.size <= startInfo.start)
      assert.ok(startInfo.start + startInfo.size <= 4 * MiB)
    }),
    { numRuns: 50 },
  )
})

test('all that the layout names has frames behind it, in whole pages', async () => {
  const acpi = { rsdp: 0xfc000000, tables: [{ address: 0xfc000000, bytes: new Uint8Array(36) }] }
  assert.deepEqual(pvhPopulated(await plan({ acpi })), [
    { start: 0, size: 4 * MiB },
    { start: 0xfc000000, size: 4096 },
    { start: 0xfeff8000, size: 0x8000 },
  ])
})

test('too little memory says how much is needed', async () => {
  const ramdisk = { name: 'initrd.gz', bytes: new Uint8Array(8 * MiB) }
  await rejects({ ramdisk }, /initrd\.gz has 8 MiB.*needs 10 MiB.*has 4 MiB.\n.*memory=10/)
})

test('a command line is as long as Linux takes it, and no longer', async () => {
  const kernel = { ...(await tinyPvhKernel()), commandLineLimit: 2047 }
  await plan({ kernel, commandLine: 'x'.repeat(2047) })
  await rejects({ kernel, commandLine: 'x'.repeat(2048) }, /2048 bytes; tiny takes 2047/)
})

test('a command line with a NUL is refused', async () => {
  await rejects({ commandLine: 'a\0b' }, /NUL character at position 1/)
})

test('kernels that cannot start as PVH say why', async () => {
  const pv = tinyElf({
    bits: 64,
    segments: [{ type: PT_NOTE, data: tinyNote(6, text('linux')) }],
  })
  await rejects({ kernel: await open(pv) }, /no PVH note \(XEN_ELFNOTE_PHYS32_ENTRY\).*PV kernel/)
  const plain = tinyElf({ bits: 64, segments: [] })
  await rejects({ kernel: await open(plain) }, /nor any other note for Xen/)
  const multiboot = tinyElf({
    bits: 32,
    segments: [{ type: PT_LOAD, data: number(0x1badb002n, 4) }],
  })
  await rejects({ kernel: await open(multiboot) }, /32-bit multiboot image/)
})

test('segments that overlap, lie above 4 GiB, or miss the entry point are refused', async () => {
  const data = Uint8Array.of(0xf4)
  const at = (paddr: bigint, memsz = 0x1000n, flags = 7): TinySegment => ({
    type: PT_LOAD,
    flags,
    paddr,
    memsz,
    data,
  })
  const kernel = (...segments: TinySegment[]) => open(tinyPvhElf(0x100000n, segments))
  await rejects(
    { kernel: await kernel(at(0x100000n), at(0x100800n)) },
    /0x100000 and 0x100800 overlap/,
  )
  await rejects({ kernel: await kernel(at(0x100000n), at(0xfffff000n, 0x1001n)) }, /above 4 GiB/)
  await rejects({ kernel: await kernel(at(0x200000n)) }, /entry point 0x100000 lies outside/)
  await rejects({ kernel: await kernel(at(0x100000n, 0x1000n, 0)) }, /no segment to load/)
  await rejects({ kernel: await kernel(at(0x100000n), at(0xfc000000n)) }, /below 4032 MiB/)
})

test('a segment without flags is not loaded', async () => {
  const data = Uint8Array.of(0xf4)
  const elf = tinyPvhElf(0x100000n, [
    { type: PT_LOAD, paddr: 0x100000n, memsz: 0x1000n, data },
    { type: PT_LOAD, flags: 0, paddr: 0x101000n, memsz: 0x1000n, data: new Uint8Array(0) },
  ])
  const config = { kernel: await open(elf), memoryBytes: 4 * MiB, commandLine: '' }
  const memory = new PoisonedMemory(4 * MiB)
  writePvh(config, planPvh(config), memory)
  assert.equal(memory.bytes[0x100800], 0)
})

// What both sides boot when devices are measured: Debian's cloud kernel, and the demo's ramdisk with
// the drivers of both worlds and the programs of the measurement put on top. Linux unpacks archives
// that follow each other one over the other.

import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { defaultCacheFolder } from '../../src/node/artifact-cache.ts'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { DebianPackages } from '../../src/node/debian-packages.ts'
import { nodeDecompressors } from '../../src/node/decompressors.ts'
import { type CpioEntry, writeCpio } from '../../src/toolstack/image/cpio.ts'
import { openKernel } from '../../src/toolstack/image/kernel.ts'

/** In the order in which they have to be loaded. */
const VIRTIO = [
  ...['virtio_ring', 'virtio', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci'],
  ...['virtio_blk', 'failover', 'net_failover', 'virtio_net'],
]
const FRONT_ENDS = ['xen-blkfront', 'xen-netfront']

/** Loads QEMU's drivers; ours are loaded by the ramdisk's init. */
export const LOAD_VIRTIO = `for m in ${VIRTIO.join(' ')}; do insmod /lib/modules/$m.ko; done`

/** Paths of what is booted. */
export interface DeviceImage {
  /** As Debian packs it, for ours. */
  readonly kernel: string
  /** The ELF file inside, for QEMU. */
  readonly elf: string
  readonly ramdisk: string
}

/**
 * Builds everything in a folder.
 * @param programs files and folders to add to the ramdisk
 * @throws UserError when Debian's packages can neither be found nor fetched
 */
export async function deviceImage(
  programs: readonly CpioEntry[],
  into: string,
): Promise<DeviceImage> {
  const say = (line: string) => console.error(line)
  const packages = new DebianPackages(defaultCacheFolder(), say)
  const name = await packages.resolve('linux-image-cloud-amd64', /^linux-image-\d/)
  const { folder } = await packages.unpack(name, into)
  const [kernel = ''] = globSync(join(folder, 'boot/vmlinuz-*'))
  const found = globSync(join(folder, 'lib/modules/*/kernel/**/*.ko'))
  const modules = [...FRONT_ENDS, ...VIRTIO].map((module): CpioEntry => {
    const file = found.find((path) => basename(path) === `${module}.ko`) ?? module
    return { kind: 'file', path: `lib/modules/${module}.ko`, data: readFileSync(file) }
  })
  const base = readFileSync((await demoGuest({ say })).ramdisk)
  // Archives begin at multiples of four bytes.
  const padding = Buffer.alloc(-base.length & 3)
  const ramdisk = join(into, 'ramdisk')
  writeFileSync(ramdisk, Buffer.concat([base, padding, writeCpio([...modules, ...programs])]))
  const elf = join(into, 'vmlinux')
  const opened = await openKernel(readFileSync(kernel), kernel, nodeDecompressors)
  writeFileSync(elf, opened.elf.bytes)
  return { kernel, elf, ramdisk }
}

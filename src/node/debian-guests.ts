// Guests made from Debian packages, kept in the cache: kernels, the installer, and the demo guest
// (Debian's cloud kernel with a ramdisk of busybox).

import { copyFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { UserError } from '../base/errors.ts'
import { makeDemoRamdisk } from '../toolstack/image/demo-ramdisk.ts'
import { defaultCacheFolder, obtainArtifact } from './artifact-cache.ts'
import { type DebianArchitecture, DebianPackages, type UnpackedPackage } from './debian-packages.ts'

const gzipAsync = promisify(gzip)

/** Bumped when the contents of the demo guest change. */
const DEMO_VERSION = '4'

const FRONT_ENDS = ['drivers/block/xen-blkfront.ko', 'drivers/net/xen-netfront.ko']

export interface FetchOptions {
  /** The cache folder; this user's by default. */
  readonly cacheFolder?: string | undefined
  /** Told, in one line each, what takes time. */
  readonly say?: ((line: string) => void) | undefined
}

/** Paths of a guest's files. */
export interface GuestFiles {
  readonly kernel: string
  readonly ramdisk: string
}

/**
 * Debian's kernels: `cloud` is small and LZ4-compressed, `generic` has all drivers (xz), `686` is
 * one of 32 bits without PAE, for processors that have no more (benchmarks of other emulators).
 */
export type KernelFlavour = 'cloud' | 'generic' | '686'

const META_PACKAGES: Readonly<Record<KernelFlavour, string>> = {
  cloud: 'linux-image-cloud-amd64',
  generic: 'linux-image-amd64',
  '686': 'linux-image-686',
}

/**
 * The demo guest; it says DEMO_INIT_LINE on its console and gives a shell.
 * @throws UserError when it is not in the cache and cannot be made
 */
export async function demoGuest(options: FetchOptions = {}): Promise<GuestFiles> {
  const { cacheFolder, packages } = setUp(options)
  const folder = await obtainArtifact(cacheFolder, {
    name: 'demo',
    version: DEMO_VERSION,
    make: async (into, scratch) => {
      const linux = await unpackKernel(packages, 'cloud', scratch)
      const busybox = await packages.unpack('busybox-static', scratch)
      await copyFile(await kernelFile(linux), join(into, 'vmlinuz'))
      const modulesFolder = join(linux.folder, 'lib/modules', releaseOf(linux), 'kernel')
      const modules = await Promise.all(
        FRONT_ENDS.map(async (path) => ({
          name: path.slice(path.lastIndexOf('/') + 1),
          bytes: await readFile(join(modulesFolder, path)),
        })),
      )
      const archive = makeDemoRamdisk(await readFile(join(busybox.folder, 'bin/busybox')), modules)
      await writeFile(join(into, 'initrd.gz'), await gzipAsync(archive, { level: 9 }))
    },
  })
  return { kernel: join(folder, 'vmlinuz'), ramdisk: join(folder, 'initrd.gz') }
}

/**
 * Path of a Debian kernel (a bzImage).
 * @throws UserError when it is not in the cache and cannot be fetched
 */
export async function debianKernel(
  flavour: KernelFlavour,
  options: FetchOptions = {},
): Promise<string> {
  const { cacheFolder, packages } = setUp(options, flavour === '686' ? 'i386' : 'amd64')
  const folder = await obtainArtifact(cacheFolder, {
    name: `linux-${flavour}`,
    version: '1',
    make: async (into, scratch) => {
      const linux = await unpackKernel(packages, flavour, scratch)
      await copyFile(await kernelFile(linux), join(into, 'vmlinuz'))
    },
  })
  return join(folder, 'vmlinuz')
}

/**
 * Debian 12's installer, the network-boot image in text mode.
 * @throws UserError when it is not in the cache and cannot be fetched
 */
export async function debianInstaller(options: FetchOptions = {}): Promise<GuestFiles> {
  const { cacheFolder, packages } = setUp(options)
  const folder = await obtainArtifact(cacheFolder, {
    name: 'debian-installer-12',
    version: '1',
    make: async (into, scratch) => {
      const { folder } = await packages.unpack('debian-installer-12-netboot-amd64', scratch)
      const images = 'usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64'
      for (const file of ['linux', 'initrd.gz']) {
        await copyFile(join(folder, images, file), join(into, file))
      }
    },
  })
  return { kernel: join(folder, 'linux'), ramdisk: join(folder, 'initrd.gz') }
}

/**
 * Path of one file out of any Debian package, for images such as GRUB's.
 * @param path inside the package, without a leading slash
 * @throws UserError when it is not in the cache and cannot be fetched
 */
export async function debianFile(
  packageName: string,
  path: string,
  options: FetchOptions & { readonly architecture?: DebianArchitecture } = {},
): Promise<string> {
  const { architecture = 'amd64' } = options
  const { cacheFolder, packages } = setUp(options, architecture)
  const file = path.slice(path.lastIndexOf('/') + 1)
  const suffix = architecture === 'amd64' ? '' : `-${architecture}`
  const folder = await obtainArtifact(cacheFolder, {
    name: `${packageName}-${file}${suffix}`,
    version: path,
    make: async (into, scratch) => {
      const { folder } = await packages.unpack(packageName, scratch)
      await copyFile(join(folder, path), join(into, file))
    },
  })
  return join(folder, file)
}

function setUp(
  options: FetchOptions,
  architecture: DebianArchitecture = 'amd64',
): { cacheFolder: string; packages: DebianPackages } {
  const cacheFolder = options.cacheFolder ?? defaultCacheFolder()
  const say = options.say ?? (() => {})
  return { cacheFolder, packages: new DebianPackages(cacheFolder, say, architecture) }
}

async function unpackKernel(
  packages: DebianPackages,
  flavour: KernelFlavour,
  scratch: string,
): Promise<UnpackedPackage> {
  return packages.unpack(await packages.resolve(META_PACKAGES[flavour], /^linux-image-\d/), scratch)
}

function releaseOf(linux: UnpackedPackage): string {
  return linux.name.replace('linux-image-', '')
}

async function kernelFile(linux: UnpackedPackage): Promise<string> {
  const boot = join(linux.folder, 'boot')
  const file = (await readdir(boot)).find((name) => name.startsWith('vmlinuz-'))
  if (file) return join(boot, file)
  throw new UserError(
    `Cannot use the Debian package ${linux.name}.`,
    'It has no boot/vmlinuz-* inside.',
    'Give a kernel of your own instead: --kernel=FILE.',
  )
}

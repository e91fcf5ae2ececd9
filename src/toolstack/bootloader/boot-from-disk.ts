// Finds what a guest boots on the guest's own disk, as pygrub does: the first file system with a boot
// loader's configuration says it, or the user names the files. All of it is done again at each boot,
// since the guest may have got a new kernel meanwhile.

import { UserError } from '../../base/errors.ts'
import type { DiskImage } from '../../backends/block/disk-image.ts'
import { ImageError } from '../../backends/block/storage.ts'
import { type BootChoice, type BootEntry, type BootMenu, entryNamed } from './boot-menu.ts'
import { extlinuxMenu } from './extlinux.ts'
import { MOST_CONFIG_BYTES } from './grub/commands.ts'
import { grubMenu } from './grub/grub-menu.ts'
import type { BootloaderOptions } from './pygrub-arguments.ts'
import { shownText } from './shown-text.ts'
import { type FilePlace, type Volume, type VolumeSet, Volumes } from './volumes.ts'

type ReadMenu = (volumes: VolumeSet, volume: Volume, path: string, text: string) => BootMenu

/** Where configurations lie, in the order in which they are looked for: pygrub's, and two more. */
export const CONFIGURATIONS: readonly (readonly [path: string, read: ReadMenu])[] = [
  ['/boot/grub/grub.cfg', grubMenu],
  ['/grub/grub.cfg', grubMenu],
  ['/boot/grub2/grub.cfg', grubMenu],
  ['/grub2/grub.cfg', grubMenu],
  ['/boot/isolinux/isolinux.cfg', extlinuxMenu],
  ['/boot/extlinux/extlinux.conf', extlinuxMenu],
  ['/boot/extlinux.conf', extlinuxMenu],
  ['/extlinux/extlinux.conf', extlinuxMenu],
  ['/extlinux.conf', extlinuxMenu],
  ['/boot/syslinux/syslinux.cfg', extlinuxMenu],
  ['/syslinux/syslinux.cfg', extlinuxMenu],
]

/** No kernel is larger. */
const MOST_KERNEL_BYTES = 2 ** 28
/** Ramdisks follow each other at multiples of this. */
const RAMDISK_ALIGNMENT = 4
/** Of what comes from the disk, in characters. */
const LONGEST_NAME = 200
const LONGEST_ERROR = 1500
/** Entries named in an error. */
const MOST_NAMED = 20

export interface DiskBoot {
  readonly kernel: { readonly name: string; readonly bytes: Uint8Array }
  readonly ramdisk: { readonly name: string; readonly bytes: Uint8Array } | undefined
  readonly commandLine: string
  /** What was chosen, in one line. */
  readonly chosen: string
}

export interface BootDisk {
  readonly image: Pick<DiskImage, 'size' | 'read'>
  /** As it is called to the user. */
  readonly source: string
}

/**
 * Reads kernel and ramdisk.
 * @param mostRamdiskBytes the domain's memory
 * @throws UserError that says what is missing and where
 */
export function bootFromDisk(
  disk: BootDisk,
  options: BootloaderOptions,
  mostRamdiskBytes: number,
): DiskBoot {
  try {
    const volumes = Volumes.open(disk.image, options.offset)
    const { choice, chosen } = findChoice(volumes, options)
    const args = [choice.args, options.args].filter(Boolean).join(' ')
    return {
      kernel: read(volumes, choice.kernel, 'kernel', MOST_KERNEL_BYTES),
      ramdisk: readRamdisks(volumes, choice.ramdisks, mostRamdiskBytes),
      commandLine: args,
      chosen: shownText(chosen, LONGEST_NAME),
    }
  } catch (error) {
    if (!(error instanceof ImageError)) throw error
    const why = shownText(error.message, LONGEST_ERROR)
    throw new UserError(`Cannot boot from the disk ${disk.source}.`, why, REMEDY)
  }
}

const REMEDY =
  'Name the files yourself (bootloader_args = [ "--kernel=/boot/vmlinuz", "--ramdisk=/boot/initrd.img" ]), ' +
  'or give a kernel of the host with kernel= in place of bootloader=.'

function findChoice(
  volumes: Volumes,
  options: BootloaderOptions,
): { choice: BootChoice; chosen: string } {
  if (options.kernel !== undefined) return namedFiles(volumes, options.kernel, options.ramdisk)
  const without: string[] = []
  const wrong: string[] = []
  for (const volume of volumes.all) {
    try {
      const found = findMenu(volumes, volume)
      if (found) return chooseFrom(found, volume, options.entry)
      const what = `${volume.title} (${volume.fs.kind}) has none of grub.cfg and extlinux.conf`
      without.push(`${what} where they belong${dirtyRemark(volume)}`)
    } catch (error) {
      // Another volume may have a better one.
      if (!(error instanceof ImageError)) throw error
      wrong.push(error.message)
    }
  }
  if (wrong.length > 0) throw new ImageError(wrong.join(' '))
  throw new ImageError(
    `There is no boot configuration: ${[...without, ...volumes.others].join('; ')}.`,
  )
}

function chooseFrom(
  { menu, path }: { menu: BootMenu; path: string },
  volume: Volume,
  named: string | undefined,
): { choice: BootChoice; chosen: string } {
  const where = `${volume.title}, ${path}`
  const entry = chosenEntry(menu, named, where)
  return { choice: inFile(where, () => entry.choose()), chosen: `"${entry.title}" of ${where}` }
}

function namedFiles(
  volumes: Volumes,
  kernel: string,
  ramdisk: string | undefined,
): { choice: BootChoice; chosen: string } {
  const volume = volumes.all.find(({ fs }) => fs.find(kernel) !== undefined)
  if (!volume) {
    const looked = volumes.all.map(({ title, fs }) => `${title} (${fs.kind})`)
    const all = [...looked.map((title) => `it is not on ${title}`), ...volumes.others]
    throw new ImageError(`The kernel ${kernel} is not there: ${all.join('; ')}.`)
  }
  const place = (path: string): FilePlace => ({ volume, path, named: path })
  const ramdisks = ramdisk === undefined ? [] : [place(ramdisk)]
  const choice = { kernel: place(kernel), ramdisks, args: '' }
  return { choice, chosen: `${kernel} of ${volume.title}` }
}

function findMenu(volumes: Volumes, volume: Volume): { menu: BootMenu; path: string } | undefined {
  for (const [path, readMenu] of CONFIGURATIONS) {
    const found = inFile(`${volume.title}, ${path}`, () => {
      const file = volume.fs.find(path)
      if (file?.type !== 'file') return undefined
      const text = new TextDecoder().decode(file.read(MOST_CONFIG_BYTES))
      return { menu: readMenu(volumes, volume, path, text), path }
    })
    if (found) return found
  }
  return undefined
}

function chosenEntry(menu: BootMenu, named: string | undefined, where: string): BootEntry {
  const entry = named === undefined ? menu.standard : entryNamed(menu, named)
  if (entry) return entry
  if (menu.entries.length === 0) throw new ImageError(`${capital(where)} has no menu entries.`)
  const titles = menu.entries.slice(0, MOST_NAMED).map(({ title }, i) => `${i}: "${title}"`)
  const more = menu.entries.length > MOST_NAMED ? ', …' : ''
  throw new ImageError(
    `${capital(where)} has no entry "${named}". It has ${titles.join(', ')}${more}.`,
  )
}

function readRamdisks(volumes: Volumes, places: readonly FilePlace[], mostBytes: number) {
  const files = []
  let left = mostBytes
  for (const place of places) {
    const file = read(volumes, place, 'ramdisk', left)
    files.push(file)
    left -= file.bytes.length
  }
  const [first] = files
  if (!first || files.length === 1) return first
  const aligned = (size: number) => Math.ceil(size / RAMDISK_ALIGNMENT) * RAMDISK_ALIGNMENT
  const all = new Uint8Array(files.reduce((sum, { bytes }) => sum + aligned(bytes.length), 0))
  let at = 0
  for (const { bytes } of files) {
    all.set(bytes, at)
    at += aligned(bytes.length)
  }
  return { name: files.map(({ name }) => name).join(' + '), bytes: all }
}

function read(volumes: Volumes, place: FilePlace, what: string, mostBytes: number) {
  const { volume, path, named } = place
  if (!volume) throw new ImageError(`The ${what} ${named} is on a device that is not there.`)
  return inFile(`${volume.title}, the ${what} ${path}`, () => {
    const file = volumes.find(place)
    if (!file) throw new ImageError(`There is no such file${dirtyRemark(volume)}.`)
    if (file.type !== 'file') throw new ImageError('It is no file.')
    const name = shownText(path.slice(path.lastIndexOf('/') + 1), LONGEST_NAME)
    return { name, bytes: file.read(mostBytes) }
  })
}

function dirtyRemark({ fs }: Volume): string {
  return fs.isDirty ? ' (it was not unmounted, and may have more in its journal)' : ''
}

/** Says where a mistake is. */
function inFile<T>(where: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof ImageError)) throw error
    throw new ImageError(`${capital(where)}: ${error.message}`)
  }
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

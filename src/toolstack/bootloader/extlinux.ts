// The menu of an extlinux.conf, syslinux.cfg or isolinux.cfg (Syslinux 6, doc/syslinux.txt): labels
// with a kernel, ramdisks and arguments. A kernel that is a module of Syslinux (*.c32) cannot be booted.

import { ImageError } from '../../backends/block/storage.ts'
import { type BootChoice, type BootEntry, type BootMenu, MOST_ENTRIES } from './boot-menu.ts'
import type { FilePlace, Volume, VolumeSet } from './volumes.ts'

const MOST_CONFIG_BYTES = 2 ** 20
const MOST_INCLUDES = 16

interface Label {
  readonly name: string
  title?: string
  kernel?: string
  ramdisks: string[]
  args?: string
}

/**
 * Reads the configuration.
 * @param path where it lies on `volume`
 * @throws ImageError if it makes no sense
 */
export function extlinuxMenu(
  volumes: VolumeSet,
  volume: Volume,
  path: string,
  text: string,
): BootMenu {
  const reader = new ConfigReader(volumes, volume, path)
  reader.add(text)
  return reader.menu()
}

class ConfigReader {
  readonly #volumes: VolumeSet
  readonly #volume: Volume
  readonly #folder: string
  readonly #labels: Label[] = []
  #default: string | undefined
  #marked: Label | undefined
  #hasMenu = false
  #args = ''
  #includes = 0

  constructor(volumes: VolumeSet, volume: Volume, path: string) {
    this.#volumes = volumes
    this.#volume = volume
    this.#folder = path.slice(0, path.lastIndexOf('/') + 1)
  }

  add(text: string): void {
    for (const line of text.split(/\r?\n/)) {
      const [, keyword = '', value = ''] = /^\s*(\S+)\s*(.*?)\s*$/.exec(line) ?? []
      if (keyword !== '' && !keyword.startsWith('#')) this.#setting(keyword.toLowerCase(), value)
    }
  }

  menu(): BootMenu {
    const entries = this.#labels.map((label) => this.#entry(label))
    const at = (label: Label | undefined) =>
      label ? entries[this.#labels.indexOf(label)] : undefined
    const named = this.#labels.find(({ name }) => name === this.#default)
    // What the menu marks counts where a menu is shown, or DEFAULT is the program that shows it.
    const standard = this.#hasMenu || !named ? (this.#marked ?? named) : named
    return { entries, standard: at(standard) ?? entries[0] }
  }

  #setting(keyword: string, value: string): void {
    const label = this.#labels.at(-1)
    switch (keyword) {
      case 'default':
        this.#default = value
        return
      case 'ui':
        this.#hasMenu = true
        return
      case 'include':
        return this.#include(value)
      case 'label':
        if (this.#labels.length >= MOST_ENTRIES) throw new ImageError('It has too many labels.')
        this.#labels.push({ name: value, ramdisks: [] })
        return
      case 'menu':
        return this.#menu(value, label)
      case 'kernel':
      case 'linux':
        if (label) label.kernel = value
        return
      case 'initrd':
        if (label) label.ramdisks = value.split(',')
        return
      case 'append':
        if (label) label.args = value
        else this.#args = value
    }
  }

  #menu(setting: string, label: Label | undefined): void {
    const [, keyword = '', value = ''] = /^(\S+)\s*(.*)$/.exec(setting) ?? []
    const word = keyword.toLowerCase()
    if (word === 'include') this.#include(value.replace(/\s.*/, ''))
    if (word === 'default') this.#marked = label
    // A caret marks the key that chooses it.
    if (word === 'label' && label) label.title = value.replace('^', '')
  }

  #include(path: string): void {
    if (++this.#includes > MOST_INCLUDES) throw new ImageError('It includes too many files.')
    const place = this.#place(path)
    const file = this.#volumes.find(place)
    if (file?.type !== 'file')
      throw new ImageError(`It includes ${place.path}, which is not there.`)
    this.add(new TextDecoder().decode(file.read(MOST_CONFIG_BYTES)))
  }

  #entry(label: Label): BootEntry {
    return {
      title: label.title ?? label.name,
      ids: [label.name],
      choose: () => this.#choose(label),
    }
  }

  #choose(label: Label): BootChoice {
    if (label.kernel === undefined) throw new ImageError(`The label "${label.name}" has no kernel.`)
    const [kernel = '', ...more] = label.kernel.split(/\s+/)
    if (kernel.endsWith('.c32')) {
      throw new ImageError(`The label "${label.name}" starts ${kernel}, a program of Syslinux.`)
    }
    // "-" takes the arguments of all labels away.
    const append = label.args === '-' ? '' : (label.args ?? this.#args)
    const words = [...more, ...append.split(/\s+/)].filter(Boolean)
    const inArgs = words.filter((word) => INITRD.test(word))
    const paths = [
      ...label.ramdisks,
      ...inArgs.flatMap((word) => word.replace(INITRD, '').split(',')),
    ]
    return {
      kernel: this.#place(kernel),
      ramdisks: paths.filter(Boolean).map((path) => this.#place(path)),
      args: words.filter((word) => !INITRD.test(word)).join(' '),
    }
  }

  /** A path that does not begin with a slash is meant from the folder of the configuration. */
  #place(named: string): FilePlace {
    const path = named.startsWith('/') ? named : `${this.#folder}${named}`
    return { volume: this.#volume, path, named }
  }
}

const INITRD = /^initrd=/i

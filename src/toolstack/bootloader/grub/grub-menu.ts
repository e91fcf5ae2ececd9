// The menu that a grub.cfg comes to. The whole configuration is executed, and the body of each entry
// when it is chosen, so that what is found is what GRUB would boot: with the entry that
// grub-set-default or grub-reboot has chosen, and with conditions on what the disk has.

import { ImageError } from '../../../backends/block/storage.ts'
import { type BootChoice, type BootEntry, type BootMenu, MOST_ENTRIES } from '../boot-menu.ts'
import type { Volume, VolumeSet } from '../volumes.ts'
import { GRUB_COMMANDS } from './commands.ts'
import { Interpreter, type MenuItem } from './interpreter.ts'
import { parseGrubScript } from './parser.ts'

/** What GRUB's own build for PVH guests of Xen says of itself. */
const PLATFORM: readonly (readonly [string, string])[] = [
  ['grub_cpu', 'i386'],
  ['grub_platform', 'xen_pvh'],
  ['feature_menuentry_id', 'y'],
  ['feature_menuentry_options', 'y'],
  ['feature_platform_search_hint', 'y'],
  ['feature_default_font_path', 'y'],
  ['feature_all_video_module', 'y'],
  ['feature_timeout_style', 'y'],
  ['feature_nativedisk_cmd', 'y'],
  ['feature_200_final', 'y'],
]

/** Submenus in submenus. */
const DEEPEST_MENU = 8

/** An item with where it stands: numbers from the top menu down. */
interface Placed {
  readonly item: MenuItem
  readonly entry: BootEntry
  readonly titles: readonly string[]
}

/**
 * Executes the configuration.
 * @param path where it lies on `volume`
 * @throws ImageError if it makes no sense
 */
export function grubMenu(volumes: VolumeSet, volume: Volume, path: string, text: string): BootMenu {
  const folder = path.slice(0, path.lastIndexOf('/'))
  const variables = new Map([
    ...PLATFORM,
    ['root', volume.name],
    ['prefix', `(${volume.name})${folder}`],
    ['config_directory', `(${volume.name})${folder}`],
    ['config_file', `(${volume.name})${path}`],
  ])
  const machine = new Interpreter(volumes, variables, GRUB_COMMANDS)
  machine.run(parseGrubScript(text))
  const placed: Placed[] = []
  const { items } = machine
  openSubmenus(machine, items, [], placed)
  return {
    entries: placed.map(({ entry }) => entry),
    standard: standardEntry(items, placed, machine.get('default')),
  }
}

/** Executes the bodies of submenus, and puts all entries in a row. */
function openSubmenus(
  machine: Interpreter,
  items: readonly MenuItem[],
  titles: readonly string[],
  placed: Placed[],
): void {
  if (titles.length > DEEPEST_MENU) throw new ImageError('Its boot menu goes too deep.')
  for (const item of items) {
    if (placed.length >= MOST_ENTRIES) throw new ImageError('Its boot menu has too many entries.')
    const path = [...titles, item.title]
    if (item.items) {
      machine.items = item.items
      machine.call(item.body, item.args)
      openSubmenus(machine, item.items, path, placed)
    } else placed.push({ item, titles: path, entry: entryOf(machine, item, path) })
  }
}

function entryOf(machine: Interpreter, item: MenuItem, titles: readonly string[]): BootEntry {
  const ids = [titles.join('>'), ...(item.id === undefined ? [] : [item.id])]
  return { title: item.title, ids, choose: () => choose(machine, item) }
}

function choose(machine: Interpreter, item: MenuItem): BootChoice {
  const variables = new Map(machine.variables)
  machine.loaded = { ramdisks: [] }
  machine.variables.set('chosen', item.id ?? item.title)
  machine.call(item.body, item.args)
  const { kernel, ramdisks, other } = machine.loaded
  machine.variables.clear()
  for (const [name, value] of variables) machine.variables.set(name, value)
  if (!kernel) {
    const how = other === undefined ? 'loads no kernel' : `starts something by "${other}"`
    throw new ImageError(`The menu entry "${item.title}" ${how}.`)
  }
  return { kernel: kernel.place, ramdisks, args: kernel.args.map(quoted).join(' ') }
}

/** An argument as GRUB passes it on. */
function quoted(arg: string): string {
  return /\s/.test(arg) ? `"${arg.replace(/["\\]/g, '\\$&')}"` : arg
}

/**
 * The entry that `default` means: numbers, titles or ids, from the top menu down with ">" between; the
 * first entry if it means none.
 */
function standardEntry(
  items: readonly MenuItem[],
  placed: readonly Placed[],
  text: string,
): BootEntry | undefined {
  const parts = text.split(/(?<!>)>(?!>)/).map((part) => part.replaceAll('>>', '>'))
  let menu = items
  let found: MenuItem | undefined
  for (const part of parts) {
    found = itemNamed(menu, part)
    if (!found?.items) break
    menu = found.items
  }
  // A submenu by itself means its first entry.
  while (found?.items) found = found.items[0]
  const byPath = placed.find(({ item }) => item === found)?.entry
  // An entry of a submenu that is named without it.
  const byName = placed.find(({ item }) => item.title === text || item.id === text)?.entry
  return byPath ?? byName ?? placed[0]?.entry
}

function itemNamed(menu: readonly MenuItem[], named: string): MenuItem | undefined {
  if (/^\d+$/.test(named)) return menu[Number(named)]
  return menu.find(({ title, id }) => title === named || id === named)
}

// What a boot loader's configuration comes to, whatever its syntax: entries to choose from.

import type { FilePlace } from './volumes.ts'

/** What an entry boots. */
export interface BootChoice {
  readonly kernel: FilePlace
  /** Loaded one behind the other. */
  readonly ramdisks: readonly FilePlace[]
  /** The kernel's command line. */
  readonly args: string
}

export interface BootEntry {
  readonly title: string
  /** What else it can be called by. */
  readonly ids: readonly string[]
  /**
   * What it boots.
   * @throws ImageError if it boots nothing that we can start
   */
  choose(): BootChoice
}

export interface BootMenu {
  /** In the order of the file, those of submenus where the submenu stands; as pygrub counts them. */
  readonly entries: readonly BootEntry[]
  /** What boots if nobody chooses; undefined if there is no entry. */
  readonly standard: BootEntry | undefined
}

/** The most entries of a menu. */
export const MOST_ENTRIES = 1000

/** The entry that is meant: by its number, counted from 0, its title, or another name of it. */
export function entryNamed(menu: BootMenu, named: string): BootEntry | undefined {
  if (/^\d+$/.test(named)) return menu.entries[Number(named)]
  return menu.entries.find(({ title, ids }) => title === named || ids.includes(named))
}

// A random program: items of machine code that name each other, the state that they start in, and
// what happens while they run. Items can be taken out and the rest still fits together.

import * as L from './layout.ts'

/** A place in an item's bytes that depends on where things lie. */
export interface Fixup {
  readonly at: number
  /** Bytes; a distance that does not fit into one byte becomes 0. */
  readonly size: 1 | 4 | 8
  /** Relative to the end of the item. */
  readonly isRelative?: boolean
  /** An item, or a linear address. */
  readonly item?: number
  readonly linear?: number
  /** Added to the address. */
  readonly delta?: number
}

/** An instruction or a piece of data in the code. */
export interface Item {
  readonly bytes: readonly number[]
  readonly fixups?: readonly Fixup[] | undefined
  /** The item is put where only this many of its bytes lie on the page that it starts on. */
  readonly onPage?: number
  /** It is data: control does not come here. */
  readonly isData?: boolean
  isRemoved?: boolean
}

export type EventKind = 'interrupt' | 'nmi' | 'flush' | 'translate' | 'forget'

/** Something that happens before a slice. */
export interface ProgramEvent {
  readonly slice: number
  readonly kind: EventKind
  /** The vector, or the items at which blocks are translated. */
  readonly vector?: number
  readonly items?: readonly number[]
}

export interface Program {
  readonly seed: number
  readonly bits: 32 | 64
  readonly isUser: boolean
  readonly items: readonly Item[]
  /** Page offset at which the code starts. */
  readonly start: number
  readonly registers: readonly bigint[]
  readonly flags: number
  /** Linear addresses with which FS and GS begin. */
  readonly bases: readonly [fs: number, gs: number]
  readonly data: Uint8Array
  /** Vector registers, 16 bytes each. */
  readonly vectors: Uint8Array
  /** x87 registers, 10 bytes each. */
  readonly x87: Uint8Array
  readonly fcw: number
  readonly fsw: number
  readonly ftw: number
  readonly mxcsr: number
  /** DR0 to DR3 and DR7. */
  readonly breakpoints: readonly number[]
  /** For handlers.ts. */
  readonly options: number
  readonly hasIst: boolean
  readonly isTaskSwitched: boolean
  /** CR4.SMAP, with RFLAGS.AC set at first. */
  readonly hasSmap: boolean
  /** CR0.AM. */
  readonly checksAlignment: boolean
  /** Instructions of the slices, again and again. */
  readonly slices: readonly number[]
  /** Instructions after which the program is ended. */
  readonly total: number
  /** Mode of the machine that it is compared on (src/x86/translator/options.ts). */
  readonly mode: string
  readonly events: readonly ProgramEvent[]
}

/** Where the items of a program lie, and the bytes of the code pages. */
export interface Layout {
  /** Linear addresses; of removed items that of what follows. */
  readonly addresses: readonly number[]
  readonly bytes: Uint8Array
  /** For each byte, the offset of the following instruction. */
  readonly resume: Uint16Array
  readonly end: number
}

const INT = 0xcd
const INT3 = 0xcc
const JMP = 0xe9

/** Lays the items out in the code pages. */
export function layOut(program: Program): Layout {
  const bytes = new Uint8Array(L.CODE_BYTES).fill(INT3)
  const addresses: number[] = []
  const starts: number[] = []
  const jumps: (readonly [at: number, to: number])[] = []
  let at = program.start
  for (const item of program.items) {
    const { onPage } = item
    if (onPage !== undefined && !item.isRemoved) {
      const place = ((at + 5 + onPage + 4095) & -4096) - onPage
      if (place + 64 < L.CODE_BYTES) {
        jumps.push([at, place])
        starts.push(at)
        at = place
      }
    }
    addresses.push(L.CODE + at)
    if (item.isRemoved || at + item.bytes.length + 2 > L.CODE_BYTES) continue
    bytes.set(item.bytes, at)
    if (!item.isData) starts.push(at)
    at += item.bytes.length
  }
  bytes.set([INT, L.END_VECTOR], at)
  starts.push(at)
  const view = new DataView(bytes.buffer)
  for (const [from, to] of jumps) {
    bytes[from] = JMP
    view.setInt32(from + 1, to - from - 5, true)
  }
  for (const [i, item] of program.items.entries()) {
    const start = (addresses[i] as number) - L.CODE
    if (!item.isRemoved && start + item.bytes.length + 2 <= L.CODE_BYTES)
      fix(view, item, start, addresses)
  }
  return { addresses, bytes, resume: resumeTable(starts, at), end: L.CODE + at }
}

function fix(view: DataView, item: Item, start: number, addresses: readonly number[]): void {
  for (const { at, size, isRelative, item: to, linear, delta = 0 } of item.fixups ?? []) {
    const address = (to === undefined ? linear : addresses[to]) as number
    const value = address + delta - (isRelative ? L.CODE + start + item.bytes.length : 0)
    if (size === 1) view.setInt8(start + at, value === (value << 24) >> 24 ? value : 0)
    else view.setInt32(start + at, value, true)
    if (size === 8) view.setInt32(start + at + 4, value < 0 ? -1 : 0, true)
  }
}

function resumeTable(starts: readonly number[], end: number): Uint16Array {
  const resume = new Uint16Array(L.CODE_BYTES).fill(end)
  const sorted = starts.toSorted((a, b) => a - b)
  let from = 0
  for (const start of sorted) {
    if (start > from) resume.fill(start, from, start)
    from = Math.max(from, start)
  }
  return resume
}

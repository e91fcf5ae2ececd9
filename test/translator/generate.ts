// Makes random programs: what programs do with control flow, memory, their own code, page tables and
// exceptions, around instructions of common.ts and exotic.ts.

import { Random } from '../silicon/random.ts'
import { datum, type Halves, integer } from '../silicon/values.ts'
import { accessRun } from './access-run.ts'
import { Common } from './common.ts'
import { encode, little, load, loadAddress } from './encoder.ts'
import { exotic } from './exotic.ts'
import { MENDS, SETS_STACK } from './handlers.ts'
import * as L from './layout.ts'
import type { EventKind, Item, Program, ProgramEvent } from './program.ts'

const RCX = 1
const FLAG_IF = 0x200
const FLAG_AC = 0x40000
const CLAC = 0xca
const STAC = 0xcb
/** Slices to choose from, and how many instructions a program may take with each. */
const SLICES: readonly (readonly [slice: number, total: number, weight: number])[] = [
  [1, 300, 1],
  [2, 600, 1],
  [7, 2000, 4],
  [64, 6000, 6],
  [1000, 12_000, 6],
  [100_000, 20_000, 6],
]
/** What programs of a mode change in it; half of them nothing. */
const MODES = {
  hot: [',no-links', ',seed=1'],
  always: [',no-sites', ',no-links', ',seed=2'],
} as const
/** Places at which regions may begin that are asked for at once. */
const MOST_PLACES = 8
const WEIGHTED = SLICES.flatMap((slice) => Array.from({ length: slice[2] }, () => slice))

/** An item that may name others that do not exist yet. */
type Slot = (here: number, count: number) => Item

export class Generator {
  readonly #bits: 32 | 64
  readonly #isUser: boolean
  /** Some programs of the supervisor have its way to the user's pages closed from time to time. */
  readonly #hasSmap: boolean
  readonly #r: Random
  readonly #common: Common
  readonly #seed: number
  readonly #slots: Slot[] = []
  /** Numbers of the items at which functions begin. */
  readonly #functions: number[] = []
  #functionsWanted = 0
  readonly #bases: readonly [number, number]
  #depth = 0

  constructor(seed: number) {
    const r = new Random(seed)
    this.#seed = seed
    this.#r = r
    this.#bits = r.oneIn(4) ? 32 : 64
    this.#isUser = r.oneIn(2)
    this.#hasSmap = this.#bits === 64 && !this.#isUser && seed % 5 === 0
    this.#common = new Common(this.#bits, r)
    const base = () => r.pick([0, L.DATA, L.DATA + 0x800, 0x1000])
    this.#bases = this.#bits === 64 ? [base(), base()] : [0, 0]
  }

  make(): Program {
    const r = this.#r
    this.#functionsWanted = r.below(4)
    this.#body(6 + r.below(30))
    this.#push({ bytes: [0xcd, L.END_VECTOR] })
    for (let i = 0; i < this.#functionsWanted; i++) this.#function()
    const items = this.#slots.map((slot, here) => slot(here, this.#slots.length))
    return { items: items.map((item) => this.#place(item)), ...this.#state(items.length) }
  }

  // Building blocks.

  #push(...items: readonly (Item | Slot)[]): void {
    for (const item of items) this.#slots.push(typeof item === 'function' ? item : () => item)
  }

  get #here(): number {
    return this.#slots.length
  }

  /** Some items lie across the border of a page. */
  #place(item: Item): Item {
    const r = this.#r
    if (item.isData || !r.oneIn(150)) return item
    return { ...item, onPage: r.oneIn(3) ? r.below(30) : r.below(item.bytes.length + 1) }
  }

  #body(count: number): void {
    for (let i = 0; i < count; i++) this.#construct()
  }

  #construct(): void {
    const r = this.#r
    if (this.#hasSmap && r.oneIn(6)) {
      this.#push({ bytes: [0x0f, 0x01, r.oneIn(3) ? CLAC : STAC] })
    }
    const kind = r.below(100)
    if (kind < 34) this.#push(...this.#common.any())
    else if (kind < 40) this.#push(...accessRun(this.#common))
    else if (kind < 48) this.#push(...this.#common.probe())
    else if (kind < 60) this.#push(...exotic(this.#bits, r, this.#bases))
    else if (kind < 68) this.#push(this.#forward())
    else if (kind < 70) this.#push(this.#anywhere())
    else if (kind < 78) this.#loop()
    else if (kind < 82) this.#call()
    else if (kind < 84) this.#jumpTable()
    else if (kind < 86) this.#returnTo()
    else if (kind < 89) this.#patch()
    else if (kind < 91) this.#mapping()
    else if (kind < 96) this.#push(...this.#special())
    else if (kind < 97) this.#chain()
    else this.#push(this.#common.flags(), this.#forward())
  }

  #branch(
    opcodes: { readonly short: readonly number[]; readonly long: readonly number[] },
    item: number,
    delta = 0,
  ): Item {
    const isShort = opcodes.long.length === 0 || (opcodes.short.length > 0 && this.#r.oneIn(2))
    const opcode = isShort ? opcodes.short : opcodes.long
    const size = isShort ? 1 : 4
    return {
      bytes: [...opcode, ...little(0, size)],
      fixups: [{ at: opcode.length, size, isRelative: true, item, delta }],
    }
  }

  #jcc(condition: number, item: number): Item {
    return this.#branch({ short: [0x70 + condition], long: [0x0f, 0x80 + condition] }, item)
  }

  #forward(): Slot {
    const r = this.#r
    const condition = r.below(17)
    const by = 2 + r.below(8)
    return (here, count) => {
      const target = Math.min(here + by, count - 1)
      if (condition === 16)
        return this.#branch({ short: [r.pick([0xe0, 0xe1, 0xe2, 0xe3])], long: [] }, target)
      return this.#jcc(condition, target)
    }
  }

  /** To any item, from time to time into its middle. */
  #anywhere(): Slot {
    const r = this.#r
    return (_here, count) => {
      const item = r.below(count)
      const delta = r.oneIn(8) ? r.below(4) : 0
      if (r.oneIn(3)) return this.#branch({ short: [0xeb], long: [0xe9] }, item, delta)
      const condition = r.below(16)
      return this.#branch(
        { short: [0x70 + condition], long: [0x0f, 0x80 + condition] },
        item,
        delta,
      )
    }
  }

  /** A loop that a counter bounds, with other loops inside. */
  #loop(): void {
    const r = this.#r
    const { counters } = this.#common
    const counter = counters[this.#depth] ?? -1
    if (counter < 0 || r.oneIn(5)) return this.#plainLoop()
    const count = r.oneIn(8) ? 200 + r.below(1000) : 2 + r.below(40)
    const form = r.below(4)
    const isUp = form === 3
    this.#push(load(this.#bits, counter, isUp ? 0 : count))
    const top = this.#here
    this.#depth++
    this.#body(1 + r.below(7))
    this.#depth--
    const step = (opcode: number, reg: number, immediate: readonly number[]) =>
      encode(this.#bits, { opcode: [opcode], reg, rm: counter, size: this.#bits, immediate })
    if (form === 0) this.#push(step(0xff, 1, []))
    if (form === 1) this.#push(step(0x83, 5, [1]))
    if (form === 2) this.#push(step(0x83, 0, [255]), step(0x83, 7, [0]))
    if (isUp) this.#push(step(0xff, 0, []), step(0x81, 7, little(count, 4)))
    const condition = isUp ? r.pick([2, 5, 12]) : r.pick([5, 5, 7, 15])
    this.#push(() => this.#jcc(condition, top))
  }

  /** A loop by LOOP, or by a counter in memory. */
  #plainLoop(): void {
    const r = this.#r
    if (r.oneIn(2)) {
      this.#push(load(this.#bits, RCX, 1 + r.below(30)))
      const top = this.#here
      this.#push(...this.#common.any())
      this.#push(this.#common.arithmetic())
      this.#push(() => this.#branch({ short: [r.pick([0xe2, 0xe2, 0xe0, 0xe1])], long: [] }, top))
      return
    }
    const cell = { base: -1, displacement: L.DATA + 0x40 + r.below(8) * 8 }
    const at = (opcode: number, reg: number, immediate: readonly number[]) =>
      encode(this.#bits, { opcode: [opcode], reg, rm: cell, size: 32, immediate })
    this.#push(at(0xc7, 0, little(2 + r.below(20), 4)))
    const top = this.#here
    this.#depth++
    this.#body(1 + r.below(4))
    this.#depth--
    this.#push(at(0xff, 1, []), () => this.#jcc(5, top))
  }

  // Calls and computed branches.

  #function(): void {
    const r = this.#r
    const start = this.#here
    this.#functions.push(start)
    this.#body(1 + r.below(6))
    if (r.oneIn(4)) this.#recursion(start)
    if (r.oneIn(6)) this.#push(this.#changeReturn())
    if (r.oneIn(6)) this.#push({ bytes: [0xc2, r.below(3) * 8, 0] })
    else this.#push({ bytes: r.oneIn(12) ? [0xf3, 0xc3] : [0xc3] })
  }

  /** The function calls itself while a counter in memory lasts. */
  #recursion(start: number): void {
    const rm = { base: -1, displacement: L.DATA + 0x100 }
    this.#push(encode(this.#bits, { opcode: [0x80], reg: 4, rm, size: 8, immediate: [0x1f] }))
    this.#push(encode(this.#bits, { opcode: [0xfe], reg: 1, rm, size: 8 }))
    this.#push((here) => this.#jcc(8, here + 2))
    this.#push(() => this.#branch({ short: [], long: [0xe8] }, start))
  }

  #changeReturn(): Item {
    const r = this.#r
    const rm = { base: 4, displacement: 0 }
    if (r.oneIn(2))
      return encode(this.#bits, {
        opcode: [0x83],
        reg: 0,
        rm,
        size: this.#bits,
        immediate: [r.pick([1, 2, 3, 5, 255])],
      })
    // The same code in its other mapping.
    return encode(this.#bits, {
      opcode: [0x81],
      reg: 6,
      rm,
      size: this.#bits,
      immediate: little(L.AGAIN, 4),
    })
  }

  #callee(): number {
    return this.#functions.length === 0 ? 0 : this.#r.pick(this.#functions)
  }

  #call(): void {
    const r = this.#r
    if (this.#functionsWanted === 0) return
    const register = r.pick([0, 2, ...(this.#bits === 64 ? [8, 11] : [])])
    const isFar = r.oneIn(5)
    const go = r.oneIn(4) ? 4 : 2
    const before = register > 7 ? [0x41] : []
    switch (r.below(4)) {
      case 0:
        this.#push(() => loadAddress(this.#bits, register, this.#callee(), isFar))
        return this.#push({ bytes: [...before, 0xff, 0xc0 | (go << 3) | (register & 7)] })
      case 1: {
        // Through a word of the data, which is written first.
        const rm = { base: -1, displacement: L.DATA + 0x80 + r.below(4) * 8 }
        this.#push(() => loadAddress(this.#bits, 0, this.#callee(), isFar))
        this.#push(encode(this.#bits, { opcode: [0x89], reg: 0, rm, size: this.#bits }))
        return this.#push(encode(this.#bits, { opcode: [0xff], reg: go, rm, size: 32 }))
      }
      default:
        return this.#push(() => this.#branch({ short: [], long: [0xe8] }, this.#callee()))
    }
  }

  #jumpTable(): void {
    const r = this.#r
    const { index } = this.#common
    const bytes = this.#bits / 8
    const immediate = [3]
    this.#push(encode(this.#bits, { opcode: [0x83], reg: 4, rm: index, size: 32, immediate }))
    const scale = this.#bits === 64 ? 3 : 2
    const rex = index > 7 ? [0x42] : []
    const go = r.oneIn(4) ? 2 : 4
    const at = rex.length + 3
    this.#push((here) => ({
      bytes: [...rex, 0xff, (go << 3) | 4, (scale << 6) | ((index & 7) << 3) | 5, 0, 0, 0, 0],
      fixups: [{ at, size: 4, item: here + 1 }],
    }))
    const by = Array.from({ length: 4 }, () => 1 + r.below(12))
    this.#push((here, count) => ({
      isData: true,
      bytes: Array.from({ length: bytes * 4 }, () => 0),
      fixups: by.map((distance, i) => ({
        at: i * bytes,
        size: bytes as 4 | 8,
        item: Math.min(here + distance, count - 1),
      })),
    }))
  }

  /** A RET to where no CALL has been. */
  #returnTo(): void {
    const r = this.#r
    const by = 2 + r.below(6)
    const far = r.oneIn(5) ? L.AGAIN : 0
    this.#push((here, count) => ({
      bytes: [0x68, 0, 0, 0, 0],
      fixups: [{ at: 1, size: 4, item: Math.min(here + by, count - 1), delta: far }],
    }))
    this.#push({ bytes: [0xc3] })
  }

  // Code and mappings that change.

  /** A store into the code, of this mapping or the other. */
  #patch(): void {
    const r = this.#r
    const { bits } = this
    const distance = r.oneIn(3) ? r.below(200) - 100 : r.below(12) - 6
    const delta = r.below(5) + (r.oneIn(4) ? L.AGAIN : 0)
    const size = r.pick([8, 8, 16, 32] as const)
    const wide = size === 8 ? 0 : 1
    const form = r.below(6)
    const value = r.pick([
      little(r.next() | 0, size / 8),
      Array.from({ length: size / 8 }, () => 0x90),
    ])
    const reg = r.below(3)
    const at = (here: number, count: number) => ({
      base: -1,
      displacement: delta,
      item: Math.min(Math.max(here + distance, 0), count - 1),
    })
    if (form === 5) {
      this.#push((here, count) =>
        loadAddress(bits, 7, Math.min(Math.max(here + distance, 0), count - 1), false),
      )
      this.#push(load(bits, RCX, 1 + r.below(6)))
      return this.#push({ bytes: [0xf3, r.pick([0xaa, 0xa4])] })
    }
    this.#push((here, count) => {
      const rm = at(here, count)
      switch (form) {
        case 0:
          return encode(bits, { opcode: [0xc6 + wide], reg: 0, rm, size, immediate: value })
        case 1:
          return encode(bits, { opcode: [0xfe + wide], reg: reg & 1, rm, size })
        case 2:
          return encode(bits, { opcode: [0x0f, 0x11], reg, rm, size: 32 })
        case 3:
          return encode(bits, {
            opcode: [0x80],
            reg: r.pick([0, 6]),
            rm,
            size: 8,
            immediate: [r.pick([1, 2, 4, 8, 0x10])],
          })
        default:
          return encode(bits, { opcode: [0x88 + wide], reg, rm, size })
      }
    })
  }

  get bits(): 32 | 64 {
    return this.#bits
  }

  /** Another entry in a page table, and INVLPG; users fault instead. */
  #mapping(): void {
    const r = this.#r
    const isCode = r.oneIn(2)
    const number = r.below(isCode ? 4 : 3)
    const linear = (isCode ? L.CODE : L.DATA) + number * 4096
    const frames = isCode ? [L.CODE_FRAME, L.CODE_FRAME, L.OTHER_FRAME] : [L.DATA_FRAME]
    const page = isCode ? number : r.below(3)
    const rights = isCode ? r.pick([7, 7, 7, 7, 5]) : r.pick([7, 7, 5, 6])
    const entry = r.pick(frames) + page * 4096 + rights
    const table = (isCode ? L.PT_CODE : L.PT_DATA) + number * 8
    const sib = this.#bits === 64 ? [0x04, 0x25] : [0x05]
    const store = [0xc7, ...sib, ...little(L.SUPERVISOR_32 + table, 4), ...little(entry, 4)]
    const invlpg = this.#bits === 64 ? [0x0f, 0x01, 0x3c, 0x25] : [0x0f, 0x01, 0x3d]
    const reload = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8]
    const flush = r.oneIn(4) ? reload : [...invlpg, ...little(linear, 4)]
    this.#push({ bytes: [...store, ...flush] })
  }

  // What needs the host, and changes of the flags that the processor heeds.

  #special(): Item[] {
    const r = this.#r
    const bytes = (...all: number[]): Item[] => [{ bytes: all }]
    switch (r.below(12)) {
      case 0:
        return bytes(0x0f, 0xa2)
      case 1:
        return bytes(
          ...r.pick([
            [0x0f, 0x31],
            [0x0f, 0x31],
            [0x0f, 0x01, 0xf9],
          ]),
        )
      case 2:
        return bytes(0xfb)
      case 3:
        return bytes(0xfa)
      case 4:
        return bytes(0xe6, r.pick([L.PORT_INTERRUPT, L.PORT_INTERRUPT, L.PORT_EXIT, 0x80]))
      case 5:
        return bytes(0xe4, 0x80)
      case 6:
        return bytes(0xf3, 0x90)
      case 7:
        return bytes(...r.pick([[0xcc], [0xcd, 0x60 + r.below(64)], [0x0f, 0x0b], [0xf4]]))
      case 8:
      case 9: {
        const flags = (r.next() & 0x244ed5) | (r.oneIn(5) ? 0x100 : 0) | (r.oneIn(2) ? FLAG_IF : 0)
        return [{ bytes: [0x68, ...little(flags, 4)] }, { bytes: [0x9d] }]
      }
      case 10:
        return this.#isUser || r.oneIn(2)
          ? bytes(0x0f, 0x06)
          : bytes(0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8)
      default:
        return this.#segment()
    }
  }

  /** Loads of segment registers; in 32-bit code segments are flat or not. */
  #segment(): Item[] {
    const r = this.#r
    const selector = r.oneIn(3) ? 0 : this.#isUser ? L.USER_DATA : L.DATA32
    const segment = r.pick(this.#isUser ? [0, 3, 4, 5] : [0, 4, 5])
    return [load(this.#bits, 0, selector), { bytes: [0x8e, 0xc0 | (segment << 3)] }]
  }

  /** Additions and subtractions that hand a carry on. */
  #chain(): void {
    const r = this.#r
    for (let i = 2 + r.below(4); i > 0; i--) {
      this.#push(this.#common.arithmetic(r.pick([0, 2, 2, 3, 3, 5])))
      if (r.oneIn(2))
        this.#push({
          bytes: this.#bits === 64 ? [0x48, 0xff, 0xc0 + r.below(3)] : [0x40 + r.below(3)],
        })
    }
  }

  // The state to start in.

  #state(itemCount: number): Omit<Program, 'items'> {
    const r = this.#r
    const isUser = this.#isUser
    const chosen = r.pick(WEIGHTED)
    const isMixed = r.oneIn(4)
    const slices = isMixed ? Array.from({ length: 5 }, () => r.pick(SLICES)[0]) : [chosen[0]]
    const iopl = isUser && r.oneIn(3) ? 0x3000 : 0
    const translation = r.oneIn(4) ? 'always' : 'hot'
    return {
      seed: this.#seed,
      bits: this.#bits,
      isUser,
      start: r.below(0x800),
      registers: this.#registers(),
      flags:
        2 |
        (this.#hasSmap ? FLAG_AC : 0) |
        iopl |
        (r.next() & 0x8d5) |
        (r.oneIn(3) ? 0 : FLAG_IF) |
        (r.oneIn(8) ? 0x400 : 0),
      bases: this.#bases,
      data: this.#data(L.DATA_BYTES),
      vectors: this.#data(256),
      x87: this.#data(80),
      fcw: r.oneIn(2) ? 0x37f : 0x40 | (r.next() & 0xf3f),
      fsw: r.next() & 0x7f00,
      ftw: r.below(256),
      mxcsr: r.oneIn(2) ? 0x1f80 : (r.next() & 0xffc0) | 0x1000,
      breakpoints: r.oneIn(16) ? this.#breakpoints() : [],
      options: (r.oneIn(2) ? MENDS : 0) | (r.oneIn(2) ? SETS_STACK : 0),
      // A handler could not be entered on a stack that is closed to it.
      hasIst: (!isUser ? !r.oneIn(4) : r.oneIn(4)) || this.#hasSmap,
      hasSmap: this.#hasSmap,
      isTaskSwitched: r.oneIn(8),
      checksAlignment: r.oneIn(4),
      slices,
      total: isMixed ? 2000 : chosen[1],
      mode: modeOf(this.#seed, translation),
      events: this.#events(itemCount, translation),
    }
  }

  #registers(): bigint[] {
    const r = this.#r
    const halves: Halves = { lo: 0, hi: 0 }
    const { pointers, counters } = this.#common
    return Array.from({ length: 16 }, (_, n) => {
      integer(r, halves)
      if (this.#bits === 32 && n > 7) return 0n
      if (n === 4) return BigInt(L.STACK_START)
      if (pointers.includes(n))
        return BigInt(L.DATA + r.pick([0x800, 0xff0, 0x1000, 0x1ff0, r.below(0x2000)]))
      if (counters.includes(n) || n === this.#common.index) return BigInt(1 + r.below(20))
      return this.#bits === 64 ? (BigInt(halves.hi) << 32n) | BigInt(halves.lo) : BigInt(halves.lo)
    })
  }

  #data(bytes: number): Uint8Array {
    const halves: Halves = { lo: 0, hi: 0 }
    const words = new Uint32Array(Math.ceil(bytes / 8) * 2)
    for (let i = 0; i < words.length; i += 2) {
      // Pages are alike: random numbers for each byte would take longer than the program.
      if (i >= 512) {
        words.copyWithin(i, i - 512, i - 510)
        continue
      }
      datum(this.#r, halves)
      words[i] = halves.lo
      words[i + 1] = halves.hi
    }
    return new Uint8Array(words.buffer, 0, bytes)
  }

  #breakpoints(): number[] {
    const r = this.#r
    const addresses: number[] = []
    let dr7 = 0x400
    for (let i = 0; i < 4; i++) {
      const kind = r.pick([0, 1, 3])
      const length = kind === 0 ? 0 : r.pick([0, 1, 3])
      addresses.push(kind === 0 ? L.CODE + r.below(0x900) : (L.DATA + r.below(0x2000)) & -4)
      if (r.oneIn(2)) dr7 |= (2 << (i * 2)) | ((kind | (length << 2)) << (16 + i * 4))
    }
    return [...addresses, dr7]
  }

  #events(itemCount: number, translation: 'hot' | 'always'): ProgramEvent[] {
    const r = this.#r
    const events = Array.from({ length: r.below(5) }, (): ProgramEvent => {
      const kind = r.pick<EventKind>(['interrupt', 'interrupt', 'nmi', 'flush', 'forget'])
      const slice = r.oneIn(2) ? 0 : r.below(40)
      return kind === 'interrupt' ? { slice, kind, vector: 0x80 + r.below(16) } : { slice, kind }
    })
    const times = translation === 'hot' ? 2 : r.below(2)
    for (let slice = 0; slice < times; slice += 1 + r.below(2)) {
      const items = Array.from({ length: 1 + r.below(MOST_PLACES) }, () => r.below(itemCount))
      events.push({ slice, kind: 'translate', items })
    }
    return events
  }
}

/** Some programs run without this or that means of the translator, or by other policies. */
function modeOf(seed: number, translation: 'hot' | 'always'): string {
  const changes = MODES[translation]
  return translation + (changes[seed % (2 * changes.length)] ?? '')
}

/** The program of a seed: the same one everywhere. */
export function programOf(seed: number): Program {
  return new Generator(seed).make()
}

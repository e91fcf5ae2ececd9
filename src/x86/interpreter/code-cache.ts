// Where decoded blocks are kept and found: by the host address of their first byte and the mode
// they were decoded for. Host frames that hold decoded code are marked; a write into such a
// frame finds the blocks it overlaps, and drops them. A dropped block's records stay where they
// are with a handler that leaves, so that a processor that is in the middle of one notices. Their
// room is only used again after a flush.
//
// The arena that records lie in has a large part, and two small ones that are filled in turns when all
// was forgotten, before the large one is filled again: whoever looked for the block that did not fit
// may still be reading the record it came from, wherever that lies.

import type { HostMemory } from '../memory/host-memory.ts'
import { type BlockBuilder, type Built, MAX_BLOCK_RECORDS } from './block-builder.ts'
import { BlockHints } from './block-hints.ts'
import { BlockTable, type Chained } from './block-table.ts'
import { HANDLER_DEAD } from './handlers.ts'
import { RECORD_SIZE, REC_HANDLER, REC_LINK } from './record.ts'

const PAGE_SHIFT = 12
const PAGE = 1 << PAGE_SHIFT
/**
 * Writes one behind another by which a frame is being filled. When such a one hits code, all of the
 * frame is dropped, so that those that follow need no look.
 */
const FILLING = 4
const MAX_BLOCK_BYTES = MAX_BLOCK_RECORDS * RECORD_SIZE

/** A block of decoded instructions. */
export interface Block extends Chained<Block> {
  readonly rec: number
  readonly records: number
  /** Host address of the byte behind the last one. */
  readonly end: number
  /** Host address of the page on which a crossing instruction goes on, or -1. */
  readonly nextPage: number
  readonly isCrossing: boolean
  /** How much it was seen running, and how often it was looked at for that, by the translator. */
  heat: number
  looks: number
}

/** What is known of a frame that holds decoded code. */
interface Frame {
  readonly blocks: Block[]
  /** Where the last write ended, and how many before it went on where another one did. */
  writtenTo: number
  adjoining: number
}

export class CodeCache {
  readonly #memory: HostMemory
  readonly #builder: BlockBuilder
  /** Where the small parts of the arena begin, where the large one does, and where it ends. */
  readonly #spares: readonly [number, number]
  readonly #main: number
  /** Where the large one ends now. */
  #mainEnd: number
  readonly #arenaEnd: number
  readonly #blocks = new BlockTable<Block>()
  readonly #hints = new BlockHints()
  readonly #frames = new Map<number, Frame>()
  /** One byte for each host frame: does it hold decoded code. */
  readonly #hasCode: Uint8Array
  readonly #protect: (host: number) => void
  readonly #forgetAll: () => void
  readonly #dropped: () => void
  readonly #recordDropped: (rec: number) => void
  /** Where the next record goes, and where the part of the arena ends that is being filled. */
  #next: number
  #end: number
  blocksBuilt = 0
  instructionsDecoded = 0
  invalidations = 0
  blocksDropped = 0
  flushes = 0

  /**
   * `protect` is called with the host address of a page that gets its first decoded code,
   * `forgetAll` when all blocks vanish: no record that was handed out may be used again;
   * `dropped` when some blocks were dropped; `recordDropped` before that with each of their
   * records, while it has its handler; `mostBytes` is what allow() may make of `arenaBytes`.
   */
  constructor(
    memory: HostMemory,
    builder: BlockBuilder,
    arenaBytes: number,
    protect: (host: number) => void,
    forgetAll: () => void,
    dropped: () => void,
    recordDropped: (rec: number) => void = () => {},
    mostBytes = arenaBytes,
  ) {
    this.#memory = memory
    this.#builder = builder
    this.#protect = protect
    this.#forgetAll = forgetAll
    this.#dropped = dropped
    this.#recordDropped = recordDropped
    const arena = memory.allocate(mostBytes, 64, 'decoded code')
    const spare = Math.max(Math.ceil(MAX_BLOCK_BYTES / 64) * 64, (arenaBytes >>> 12) << 6)
    this.#spares = [arena, arena + spare]
    this.#main = arena + 2 * spare
    this.#mainEnd = arena + arenaBytes
    this.#arenaEnd = arena + mostBytes
    this.#next = arena
    this.#end = this.#main - spare
    this.#hasCode = new Uint8Array(memory.size / 4096)
  }

  /** All records lie below this address. */
  get recordsEnd(): number {
    return this.#arenaEnd
  }

  /** First record of the block at a host address if it has been decoded and may be linked to; or 0. */
  known(host: number, mode: number): number {
    const block = this.#blocks.get(host, mode)
    return block && !block.isCrossing ? block.rec : 0
  }

  /** As known, where it was looked up lately. */
  hint(host: number, mode: number): number {
    return this.#hints.find(host, mode)
  }

  /** The block at a host address has not been seen running, as far as the translator knows. */
  cool(host: number, mode: number): void {
    const block = this.#blocks.get(host, mode)
    if (!block) return
    block.heat = 0
    block.looks = 0
  }

  /** Does the frame of a host address hold decoded code, so that writes must be told. */
  hasCode(host: number): boolean {
    return this.#hasCode[host >>> PAGE_SHIFT] !== 0
  }

  /**
   * First record of the block at a host address, built if need be; 0 if the instruction there
   * goes on in a page that `nextPage` cannot give. Blocks with `isCrossing` set must not be
   * linked to.
   */
  find(host: number, mode: number, features: ReadonlySet<string>, nextPage: () => number): Block {
    const known = this.#blocks.get(host, mode)
    if (known) {
      if (known.nextPage < 0) {
        this.#hints.remember(host, mode, known.rec)
        return known
      }
      const next = nextPage()
      if (next < 0) return NOTHING
      if (next === known.nextPage) return known
      this.#remove(known)
    }
    return this.#build(host, mode, features, nextPage)
  }

  #build(host: number, mode: number, features: ReadonlySet<string>, nextPage: () => number): Block {
    if (this.#next + MAX_BLOCK_BYTES > this.#end) this.#findRoom()
    let crossed = -1
    const built: Built | undefined = this.#builder.build(this.#next, host, mode, features, () => {
      crossed = nextPage()
      return crossed
    })
    if (!built) return NOTHING
    this.#next += built.records * RECORD_SIZE
    this.blocksBuilt++
    this.instructionsDecoded += built.records
    const block: Block = {
      mode,
      heat: 0,
      looks: 0,
      rec: built.rec,
      records: built.records,
      start: host,
      end: host + built.bytes,
      nextPage: built.isCrossing ? crossed : -1,
      isCrossing: built.isCrossing,
      following: undefined,
    }
    this.#blocks.add(block)
    this.#register(block, host)
    if (built.isCrossing) this.#register(block, crossed)
    return block
  }

  /** The arena may be so large from now on, as far as room was kept for it. */
  allow(bytes: number): void {
    this.#mainEnd = Math.min(this.#spares[0] + bytes, this.#arenaEnd)
  }

  /** Goes on in the large part of the arena, or forgets everything if that is full. */
  #findRoom(): void {
    if (this.#end >= this.#mainEnd) return this.flush()
    if (this.#end <= this.#main) this.#next = this.#main
    this.#end = this.#mainEnd
  }

  #register(block: Block, host: number): void {
    const number = host >>> PAGE_SHIFT
    const frame = this.#frames.get(number)
    if (frame) {
      frame.blocks.push(block)
      return
    }
    this.#frames.set(number, { blocks: [block], writtenTo: 0, adjoining: 0 })
    this.#hasCode[number] = 1
    this.#protect(number << PAGE_SHIFT)
  }

  /** To be called after bytes of host memory have changed. True if blocks were dropped. */
  written(host: number, size: number): boolean {
    const last = (host + size - 1) >>> PAGE_SHIFT
    let dropped = false
    for (let frame = host >>> PAGE_SHIFT; frame <= last; frame++) {
      if (this.#hasCode[frame] && this.#writtenFrame(frame, host, size)) dropped = true
    }
    return dropped
  }

  #writtenFrame(number: number, host: number, size: number): boolean {
    const frame = this.#frames.get(number) as Frame
    frame.adjoining = host === frame.writtenTo ? frame.adjoining + 1 : 0
    frame.writtenTo = host + size
    const hit = frame.blocks.filter((block) => overlaps(block, number, host, size))
    if (hit.length === 0) return false
    this.invalidations++
    // A block that goes on at the start of its own page is listed twice.
    const all = new Set(frame.blocks)
    const dropped = frame.adjoining < FILLING ? new Set(hit) : all
    for (const block of dropped) this.#remove(block)
    this.#unlink(all, dropped)
    this.#dropped()
    return true
  }

  /** Takes a block from everywhere. */
  #remove(block: Block): void {
    this.#drop(block)
    this.#unlist(block, block.start)
    if (block.nextPage >= 0) this.#unlist(block, block.nextPage)
  }

  /** Makes a block's records leave. */
  #drop(block: Block): void {
    this.blocksDropped++
    const { u32 } = this.#memory
    for (let i = 0; i < block.records; i++) {
      const rec = block.rec + i * RECORD_SIZE
      this.#recordDropped(rec)
      u32[(rec + REC_HANDLER) >>> 2] = HANDLER_DEAD
    }
    this.#blocks.delete(block)
    this.#hints.forget(block.start)
  }

  #unlist(block: Block, host: number): void {
    const number = host >>> PAGE_SHIFT
    const { blocks } = this.#frames.get(number) as Frame
    blocks.splice(blocks.indexOf(block), 1)
    if (blocks.length > 0) return
    this.#frames.delete(number)
    this.#hasCode[number] = 0
  }

  /**
   * Lets the branches of blocks look again for those that were dropped. What other instructions have
   * in place of a link has 16 bits at most, and no record lies so low: regions' bytes come first.
   */
  #unlink(blocks: Iterable<Block>, dropped: Iterable<Block>): void {
    const { u32 } = this.#memory
    const dead = new Set<number>()
    for (const { rec } of dropped) dead.add(rec)
    for (const { rec, records } of blocks) {
      for (let i = 0; i < records; i++) {
        const at = (rec + i * RECORD_SIZE + REC_LINK) >>> 2
        if (dead.has(u32[at] as number)) u32[at] = 0
      }
    }
  }

  /** Forgets all blocks. */
  flush(): void {
    this.#blocks.clear()
    this.#hints.forgetAll()
    this.#frames.clear()
    this.#hasCode.fill(0)
    this.flushes++
    const [first, second] = this.#spares
    this.#next = this.flushes % 2 === 0 ? first : second
    this.#end = this.#next + second - first
    this.#forgetAll()
  }
}

const NOTHING: Block = {
  mode: 0,
  rec: 0,
  records: 0,
  start: 0,
  end: 0,
  nextPage: -1,
  isCrossing: false,
  heat: 0,
  looks: 0,
  following: undefined,
}

/** Does a block have some of the bytes that were written to a frame. */
function overlaps(block: Block, frame: number, host: number, size: number): boolean {
  const page = frame * PAGE
  const isHit = (start: number, end: number) => host < end && host + size > start
  if (
    block.start >>> PAGE_SHIFT === frame &&
    isHit(block.start, Math.min(block.end, page + PAGE))
  ) {
    return true
  }
  // A crossing instruction has as many bytes on its second page as its end passes the first one by.
  return block.nextPage === page && isHit(page, page + (block.end % PAGE))
}

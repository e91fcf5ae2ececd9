// The physical map (P2M) of a translated domain: which machine frame lies at each guest frame, and
// what it is there as. A radix tree of two levels: chunks of 1024 entries in a map, so that guest
// frames far apart (RAM, the page of the APIC, pages above 4 GiB) cost nothing between them. An
// array leads to the lower ones: every step of a page walk asks for a frame.

import { invariant } from '../base/errors.ts'
import type { Mfn } from '../machine/frame-table.ts'

/** What lies at a guest frame; the names are Xen's (p2m_type_t). */
export const P2mType = {
  invalid: 0,
  ram_rw: 1,
  ram_ro: 2,
  mmio_dm: 3,
  mmio_direct: 4,
  grant_map_rw: 5,
  grant_map_ro: 6,
  map_foreign: 7,
} as const
export type P2mType = (typeof P2mType)[keyof typeof P2mType]

/** Guest frames are below this: 48 bits of guest-physical address. */
export const MAX_GFNS = 2 ** 36

const CHUNK_SHIFT = 10
const CHUNK = 1 << CHUNK_SHIFT
/** Chunks that the array leads to: 16 GiB. */
const LOW_CHUNKS = 4096
const NO_FRAME = -1
const MMIO_FRAME = -2

interface Chunk {
  /** Machine frames, NO_FRAME where there is none. */
  readonly frames: Int32Array
  readonly types: Uint8Array
  /** Entries that are not invalid. */
  used: number
}

/**
 * Told that `count` entries from `gfn` on have changed or gone: translations of them are stale.
 * Entries where nothing was before make no translation stale, and are not told.
 */
export type PhysMapListener = (gfn: number, count: number) => void

/** The plain form of a {@link PhysMap}. */
export interface PhysMapState {
  readonly version: 1
  readonly chunks: readonly {
    readonly index: number
    readonly frames: Int32Array
    readonly types: Uint8Array
  }[]
}

export class PhysMap {
  readonly #chunks = new Map<number, Chunk>()
  readonly #low: (Chunk | undefined)[] = new Array(LOW_CHUNKS).fill(undefined)
  readonly #listeners = new Set<PhysMapListener>()

  #chunkOf(gfn: number): Chunk | undefined {
    const index = Math.floor(gfn / CHUNK)
    return index < LOW_CHUNKS ? this.#low[index] : this.#chunks.get(index)
  }

  #put(index: number, chunk: Chunk): Chunk {
    this.#chunks.set(index, chunk)
    if (index < LOW_CHUNKS) this.#low[index] = chunk
    return chunk
  }

  /** Host frame at a guest frame; -1 if nothing is there, -2 for registers of a device. */
  frameOf(gfn: number): number {
    const chunk = this.#chunkOf(gfn)
    if (!chunk) return NO_FRAME
    const i = gfn % CHUNK
    const frame = chunk.frames[i]
    if (frame === undefined) return NO_FRAME
    return frame < 0 && chunk.types[i] === P2mType.mmio_dm ? MMIO_FRAME : frame
  }

  typeOf(gfn: number): P2mType {
    return (this.#chunkOf(gfn)?.types[gfn % CHUNK] ?? P2mType.invalid) as P2mType
  }

  /** May the guest write to what lies there. */
  isWritable(gfn: number): boolean {
    const type = this.typeOf(gfn)
    return type !== P2mType.ram_ro && type !== P2mType.grant_map_ro
  }

  /** The frame of ordinary memory at a guest frame: RAM, of whoever; undefined for the rest. */
  ramAt(gfn: number): Mfn | undefined {
    const type = this.typeOf(gfn)
    if (type !== P2mType.ram_rw && type !== P2mType.ram_ro) return undefined
    return this.frameOf(gfn) as Mfn
  }

  /** Puts a frame at a guest frame, over whatever was there. `mfn` is -1 for types without one. */
  set(gfn: number, mfn: number, type: P2mType): void {
    invariant(
      Number.isInteger(gfn) && gfn >= 0 && gfn < MAX_GFNS,
      `${gfn} is not a guest frame number`,
    )
    const index = Math.floor(gfn / CHUNK)
    const chunk = this.#chunks.get(index) ?? this.#put(index, newChunk())
    const i = gfn % CHUNK
    const isNew = chunk.types[i] === P2mType.invalid
    if (isNew) chunk.used++
    if (type === P2mType.invalid) chunk.used--
    chunk.frames[i] = mfn
    chunk.types[i] = type
    if (chunk.used === 0) {
      this.#chunks.delete(index)
      if (index < LOW_CHUNKS) this.#low[index] = undefined
    }
    if (isNew) return
    for (const listener of this.#listeners) listener(gfn, 1)
  }

  /** Leaves nothing at a guest frame. */
  remove(gfn: number): void {
    if (this.typeOf(gfn) !== P2mType.invalid) this.set(gfn, NO_FRAME, P2mType.invalid)
  }

  /** The highest guest frame with something behind it; 0 if there is none. */
  get maximumGfn(): number {
    let last: number | undefined
    for (const index of this.#chunks.keys()) if (last === undefined || index > last) last = index
    if (last === undefined) return 0
    const types = (this.#chunks.get(last) as Chunk).types
    let i = CHUNK - 1
    while (types[i] === P2mType.invalid) i--
    return last * CHUNK + i
  }

  /** All entries that are not invalid, in ascending order. */
  *entries(): Generator<{ readonly gfn: number; readonly mfn: number; readonly type: P2mType }> {
    for (const index of [...this.#chunks.keys()].sort((a, b) => a - b)) {
      const chunk = this.#chunks.get(index)
      if (!chunk) continue
      for (let i = 0; i < CHUNK; i++) {
        const type = chunk.types[i] as P2mType
        if (type !== P2mType.invalid) {
          yield { gfn: index * CHUNK + i, mfn: chunk.frames[i] as number, type }
        }
      }
    }
  }

  /** Adds a listener; the answer removes it again. */
  listen(listener: PhysMapListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  save(): PhysMapState {
    const chunks = [...this.#chunks.entries()]
      .sort(([a], [b]) => a - b)
      .map(([index, { frames, types }]) => ({
        index,
        frames: frames.slice(),
        types: types.slice(),
      }))
    return { version: 1, chunks }
  }

  /** Takes a saved state; listeners stay and hear that everything has changed. */
  restore(state: PhysMapState): void {
    invariant(state.version === 1, `a physical map of version ${state.version} is not known`)
    this.#chunks.clear()
    this.#low.fill(undefined)
    for (const { index, frames, types } of state.chunks) {
      const chunk = newChunk()
      chunk.frames.set(frames)
      chunk.types.set(types)
      chunk.used = types.reduce((sum, type) => sum + (type === P2mType.invalid ? 0 : 1), 0)
      this.#put(index, chunk)
    }
    for (const listener of this.#listeners) listener(0, MAX_GFNS)
  }
}

function newChunk(): Chunk {
  return {
    frames: new Int32Array(CHUNK).fill(NO_FRAME),
    types: new Uint8Array(CHUNK),
    used: 0,
  }
}

// What a console has printed since boot, in bounded memory: the beginning, which says how the
// guest booted, and the end, which says what it does now. What lies between goes first.

/** A scrollback as plain data. */
export interface ScrollbackState {
  readonly head: Uint8Array
  readonly tail: Uint8Array
  readonly total: number
}

const DEFAULT_SIZE = 1 << 20

export class Scrollback {
  readonly #headSize: number
  readonly #tailSize: number
  readonly #head: Uint8Array
  #headLength = 0
  /** Grows to twice its bound before it is cut, so that appending costs little. */
  #tail = new Uint8Array(0)
  #tailLength = 0
  #total = 0

  /** Keeps about `size` bytes: a quarter from the start, the rest from the end. */
  constructor(size = DEFAULT_SIZE) {
    this.#headSize = size >> 2
    this.#tailSize = size - this.#headSize
    this.#head = new Uint8Array(this.#headSize)
  }

  /** Bytes ever appended. */
  get total(): number {
    return this.#total
  }

  /** Bytes that are no longer kept, between {@link head} and {@link tail}. */
  get dropped(): number {
    return this.#total - this.#headLength - this.tail.length
  }

  /** The first bytes. */
  get head(): Uint8Array {
    return this.#head.subarray(0, this.#headLength)
  }

  /** The last bytes; none as long as all of them are in {@link head}. */
  get tail(): Uint8Array {
    return this.#tail.subarray(Math.max(0, this.#tailLength - this.#tailSize), this.#tailLength)
  }

  append(bytes: Uint8Array): void {
    this.#total += bytes.length
    const first = bytes.subarray(0, this.#headSize - this.#headLength)
    this.#head.set(first, this.#headLength)
    this.#headLength += first.length
    const rest = bytes.subarray(Math.max(first.length, bytes.length - this.#tailSize))
    if (this.#tailLength + rest.length > this.#tail.length) this.#makeRoom(rest.length)
    this.#tail.set(rest, this.#tailLength)
    this.#tailLength += rest.length
  }

  /** All that is kept, as text; a line says how much is missing where something is. */
  text(): string {
    const { head, tail, dropped } = this
    const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes)
    if (dropped === 0) return decode(concat([head, tail]))
    return `${decode(head)}\n[${dropped} bytes of output are not kept]\n${decode(tail)}`
  }

  save(): ScrollbackState {
    return { head: this.head.slice(), tail: this.tail.slice(), total: this.#total }
  }

  restore(state: ScrollbackState): void {
    this.#head.set(state.head)
    this.#headLength = state.head.length
    this.#tail = state.tail.slice()
    this.#tailLength = state.tail.length
    this.#total = state.total
  }

  #makeRoom(bytes: number): void {
    const kept = this.tail
    const size = Math.min(2 * this.#tailSize, 2 * (kept.length + bytes))
    if (size > this.#tail.length) this.#tail = new Uint8Array(size)
    this.#tail.set(kept)
    this.#tailLength = kept.length
  }
}

function concat(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

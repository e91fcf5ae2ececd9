// A growable buffer of bytes and the number encodings of WebAssembly (specification 5.2.2: LEB128).

/** Bytes that are appended to; the memory is kept for the next use. */
export class ByteWriter {
  bytes: Uint8Array<ArrayBuffer>
  length = 0

  constructor(capacity = 4096) {
    this.bytes = new Uint8Array(capacity)
  }

  byte(value: number): void {
    if (this.length === this.bytes.length) this.#grow(1)
    this.bytes[this.length++] = value
  }

  /** An unsigned number below 2^53. */
  unsigned(value: number): void {
    let rest = value
    while (rest > 0x7fff_ffff) {
      this.byte((rest % 128) | 0x80)
      rest = Math.floor(rest / 128)
    }
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80)
      rest >>>= 7
    }
    this.byte(rest)
  }

  /** A signed number of 32 bits. */
  signed32(value: number): void {
    let rest = value | 0
    while (rest > 0x3f || rest < -0x40) {
      this.byte((rest & 0x7f) | 0x80)
      rest >>= 7
    }
    this.byte(rest & 0x7f)
  }

  /** A signed number of 64 bits. */
  signed64(value: bigint): void {
    const small = Number(value)
    if (small === (small | 0)) {
      this.signed32(small)
      return
    }
    let low = Number(BigInt.asIntN(32, value))
    let high = Number(BigInt.asIntN(32, value >> 32n))
    while (high !== low >> 31 || low > 0x3f || low < -0x40) {
      this.byte((low & 0x7f) | 0x80)
      low = (low >>> 7) | (high << 25)
      high >>= 7
    }
    this.byte(low & 0x7f)
  }

  /** Four bytes, the lowest first. */
  raw32(value: number): void {
    this.byte(value & 0xff)
    this.byte((value >>> 8) & 0xff)
    this.byte((value >>> 16) & 0xff)
    this.byte(value >>> 24)
  }

  /** A name: its length and its UTF-8 bytes. */
  name(text: string): void {
    const start = this.open()
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) {
        this.length = start
        this.append(new TextEncoder().encode(text))
        break
      }
      this.byte(code)
    }
    this.close(start)
  }

  append(bytes: Uint8Array, from = 0, to = bytes.length): void {
    const count = to - from
    if (this.length + count > this.bytes.length) this.#grow(count)
    if (count < 64) {
      for (let i = 0; i < count; i++) this.bytes[this.length + i] = bytes[from + i] as number
    } else {
      this.bytes.set(bytes.subarray(from, to), this.length)
    }
    this.length += count
  }

  /** Begins a part that is preceded by its size in bytes; hand the result to {@link close}. */
  open(): number {
    this.byte(0)
    return this.length
  }

  /** Ends a part: writes its size in front, moving the part if the size needs several bytes. */
  close(start: number): void {
    const size = this.length - start
    if (size < 0x80) {
      this.bytes[start - 1] = size
      return
    }
    const end = this.length
    const extra = size < 0x4000 ? 1 : size < 0x20_0000 ? 2 : size < 0x1000_0000 ? 3 : 4
    if (end + extra > this.bytes.length) this.#grow(extra)
    this.bytes.copyWithin(start + extra, start, end)
    this.length = start - 1
    this.unsigned(size)
    this.length = end + extra
  }

  #grow(count: number): void {
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + count))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }
}

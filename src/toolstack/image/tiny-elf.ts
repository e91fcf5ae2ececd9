// Writes tiny ELF images by hand, for tests: each field where the gABI's tables place it.

export interface TinySegment {
  readonly type: number
  readonly flags?: number
  readonly vaddr?: bigint
  readonly paddr?: bigint
  readonly memsz?: bigint
  readonly data: Uint8Array
}

export interface TinySection {
  readonly name: string
  readonly type: number
  readonly flags?: bigint
  /** Index of another section; the first that is given has index 1. */
  readonly link?: number
  readonly data: Uint8Array
}

export interface TinyElf {
  readonly bits: 32 | 64
  readonly entry?: bigint
  readonly segments: readonly TinySegment[]
  readonly sections?: readonly TinySection[]
}

/** An executable for x86: header, program headers, contents, section headers. */
export function tinyElf({ bits, entry = 0n, segments, sections = [] }: TinyElf): Uint8Array {
  const wide = bits === 64
  const headerSize = wide ? 64 : 52
  const out = new ByteWriter(wide)
  const bodies: { at: number; data: Uint8Array }[] = []
  let end = headerSize + segments.length * (wide ? 56 : 32)
  const place = (data: Uint8Array): number => {
    const at = end
    bodies.push({ at, data })
    end += data.length
    return at
  }
  const segmentOffsets = segments.map(({ data }) => place(data))
  const names = new TextEncoder().encode(['', ...sections.map((s) => s.name), ''].join('\0'))
  const sectionOffsets = sections.map(({ data }) => place(data))
  const namesOffset = place(names)
  const hasSections = sections.length > 0

  out.bytes(0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0)
  out.half(2)
  out.half(wide ? 62 : 3)
  out.long(1)
  out.word(entry)
  out.word(BigInt(headerSize))
  out.word(BigInt(hasSections ? end : 0))
  out.long(0)
  out.half(headerSize)
  out.half(wide ? 56 : 32)
  out.half(segments.length)
  out.half(wide ? 64 : 40)
  out.half(hasSections ? sections.length + 2 : 0)
  out.half(hasSections ? sections.length + 1 : 0)
  for (const [i, segment] of segments.entries()) {
    const { type, flags = 7, vaddr = 0n, paddr = 0n, data } = segment
    out.long(type)
    if (wide) out.long(flags)
    out.word(BigInt(segmentOffsets[i] as number))
    out.word(vaddr)
    out.word(paddr)
    out.word(BigInt(data.length))
    out.word(segment.memsz ?? BigInt(data.length))
    if (!wide) out.long(flags)
    out.word(4n)
  }
  for (const { at, data } of bodies) out.at(at, data)
  if (!hasSections) return out.finish(end)
  const section = (
    name: number,
    type: number,
    offset: number,
    size: number,
    { flags = 0n, link = 0 }: Pick<TinySection, 'flags' | 'link'> = {},
  ): void => {
    out.long(name)
    out.long(type)
    out.word(flags)
    out.word(0n)
    out.word(BigInt(offset))
    out.word(BigInt(size))
    out.long(link)
    out.long(0)
    out.word(1n)
    out.word(0n)
  }
  out.moveTo(end)
  section(0, 0, 0, 0)
  let name = 1
  for (const [i, one] of sections.entries()) {
    section(name, one.type, sectionOffsets[i] as number, one.data.length, one)
    name += one.name.length + 1
  }
  section(0, 3, namesOffset, names.length)
  return out.finish(end + (sections.length + 2) * (wide ? 64 : 40))
}

/** One note: sizes, type, owner and descriptor, both padded to 4 bytes. */
export function tinyNote(type: number, desc: Uint8Array, owner = 'Xen'): Uint8Array {
  const out = new ByteWriter(false)
  out.long(owner.length + 1)
  out.long(desc.length)
  out.long(type)
  out.at(12, new TextEncoder().encode(`${owner}\0`))
  const descAt = 12 + Math.ceil((owner.length + 1) / 4) * 4
  out.at(descAt, desc)
  return out.finish(descAt + Math.ceil(desc.length / 4) * 4)
}

/** A number as a note holds it: 4 or 8 bytes, little-endian. */
export function number(value: bigint, size: 4 | 8 = 8): Uint8Array {
  return Uint8Array.from({ length: size }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn))
}

/** ASCII with a NUL behind it. */
export function text(value: string): Uint8Array {
  return new TextEncoder().encode(`${value}\0`)
}

/** Several byte arrays in a row. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => Array.from(part)))
}

class ByteWriter {
  readonly #buffer = new Uint8Array(1 << 16)
  readonly #view = new DataView(this.#buffer.buffer)
  readonly #wide: boolean
  #at = 0

  constructor(wide: boolean) {
    this.#wide = wide
  }

  moveTo(at: number): void {
    this.#at = at
  }

  at(at: number, data: Uint8Array): void {
    this.#buffer.set(data, at)
  }

  bytes(...bytes: readonly number[]): void {
    this.#buffer.set(bytes, this.#at)
    this.#at += bytes.length
  }

  half(value: number): void {
    this.#view.setUint16(this.#at, value, true)
    this.#at += 2
  }

  long(value: number): void {
    this.#view.setUint32(this.#at, value, true)
    this.#at += 4
  }

  /** Four bytes in ELF32, eight in ELF64. */
  word(value: bigint): void {
    if (this.#wide) this.#view.setBigUint64(this.#at, value, true)
    else this.#view.setUint32(this.#at, Number(value), true)
    this.#at += this.#wide ? 8 : 4
  }

  finish(size: number): Uint8Array {
    return this.#buffer.slice(0, size)
  }
}

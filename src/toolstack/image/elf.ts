// Reads ELF files of x86 (System V gABI, chapters 4 and 5): the header, program headers, section
// headers with their names, and the raw notes. Everything a Xen loader needs, nothing a linker
// does: no relocations, no big-endian files. Symbols are read by symbols/elf-symbols.ts.

import { CheckedBytes, rejectImage } from './checked-bytes.ts'

export const ELF_MAGIC: readonly number[] = [0x7f, 0x45, 0x4c, 0x46]

export const EM_386 = 3
export const EM_X86_64 = 62
export const PT_LOAD = 1
export const PT_NOTE = 4
export const PF_X = 1
export const PF_W = 2
export const PF_R = 4
export const SHT_SYMTAB = 2
export const SHT_NOTE = 7
export const SHT_NOBITS = 8

/** A program header; `data` is the part that the file holds (`data.length` = p_filesz). */
export interface ElfSegment {
  readonly type: number
  readonly flags: number
  readonly offset: number
  readonly vaddr: bigint
  readonly paddr: bigint
  readonly memsz: bigint
  readonly align: bigint
  readonly data: Uint8Array
}

/** A section header. The contents are checked only when asked for. */
export interface ElfSection {
  readonly name: string
  readonly type: number
  readonly flags: bigint
  readonly addr: bigint
  readonly offset: bigint
  readonly size: bigint
  /** Index of another section; of a symbol table, that with the names. */
  readonly link: number
}

export interface ElfNote {
  readonly owner: string
  readonly type: number
  readonly desc: Uint8Array
  /** Whether it claims more bytes than its segment has. */
  readonly isCut: boolean
}

export interface ElfImage {
  /** The file as the user knows it, for messages. */
  readonly name: string
  readonly bits: 32 | 64
  readonly machine: number
  readonly entry: bigint
  readonly segments: readonly ElfSegment[]
  readonly sections: readonly ElfSection[]
  readonly bytes: Uint8Array
}

const SHN_XINDEX = 0xffff
const PN_XNUM = 0xffff

/**
 * Reads an ELF file. Segments are views of `bytes`, not copies.
 * @throws UserError when the file is not a little-endian x86 ELF, or is truncated or damaged
 */
export function parseElf(bytes: Uint8Array, name: string): ElfImage {
  const file = new CheckedBytes(bytes, name)
  const bits = checkIdentification(file)
  const wide = bits === 64
  file.require(0, wide ? 64 : 52, 'the ELF header')
  const machine = file.u16(18, 'e_machine')
  if (machine !== EM_386 && machine !== EM_X86_64) {
    rejectImage(
      name,
      `It is an ELF file for another processor (e_machine ${machine}).`,
      'Give a kernel built for x86: e_machine 3 (i386) or 62 (x86-64).',
    )
  }
  const word = (offset: number, what: string): bigint =>
    wide ? file.u64(offset, what) : BigInt(file.u32(offset, what))
  const tail = wide ? 54 : 42
  const phoff = asOffset(file, word(wide ? 32 : 28, 'e_phoff'), 'e_phoff')
  const shoff = asOffset(file, word(wide ? 40 : 32, 'e_shoff'), 'e_shoff')
  const phnum = file.u16(tail + 2, 'e_phnum')
  if (phnum === PN_XNUM) file.damaged('It claims more than 65,534 program headers.')
  return {
    name,
    bits,
    machine,
    entry: word(24, 'e_entry'),
    segments: readSegments(file, wide, phoff, file.u16(tail, 'e_phentsize'), phnum),
    sections: readSections(file, wide, shoff, tail),
    bytes,
  }
}

function checkIdentification(file: CheckedBytes): 32 | 64 {
  if (!file.startsWith(ELF_MAGIC)) {
    rejectImage(file.name, 'It is not an ELF file.', 'Give an ELF image or a Linux bzImage.')
  }
  const elfClass = file.u8(4, 'e_ident[EI_CLASS]')
  const data = file.u8(5, 'e_ident[EI_DATA]')
  if (elfClass !== 1 && elfClass !== 2) file.damaged(`ELF class ${elfClass} does not exist.`)
  if (data !== 1) {
    rejectImage(
      file.name,
      'It is not a little-endian ELF file.',
      'Give a kernel built for x86, which is little-endian.',
    )
  }
  return elfClass === 2 ? 64 : 32
}

/** File offsets and sizes are 64 bits wide in the file; anything above 2^53 is nonsense anyway. */
function asOffset(file: CheckedBytes, value: bigint, what: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
    file.damaged(`${what} is 0x${value.toString(16)}, beyond any file.`)
  }
  return Number(value)
}

function readSegments(
  file: CheckedBytes,
  wide: boolean,
  phoff: number,
  entrySize: number,
  count: number,
): ElfSegment[] {
  if (count === 0) return []
  if (entrySize < (wide ? 56 : 32)) file.damaged(`e_phentsize ${entrySize} is too small.`)
  file.require(phoff, count * entrySize, 'the table of program headers')
  return Array.from({ length: count }, (_, i) => {
    const at = phoff + i * entrySize
    const what = `program header ${i}`
    const word = (place64: number, place32: number): bigint =>
      wide ? file.u64(at + place64, what) : BigInt(file.u32(at + place32, what))
    const offset = asOffset(file, word(8, 4), `p_offset of ${what}`)
    const fileSize = asOffset(file, word(32, 16), `p_filesz of ${what}`)
    const type = file.u32(at, what)
    const memsz = word(40, 20)
    if (type === PT_LOAD && BigInt(fileSize) > memsz) {
      file.damaged(
        `Segment ${i} has more bytes in the file (${fileSize}) than in memory (${memsz}).`,
      )
    }
    const isUsed = type === PT_LOAD || type === PT_NOTE
    return {
      type,
      flags: file.u32(at + (wide ? 4 : 24), what),
      offset,
      vaddr: word(16, 8),
      paddr: word(24, 12),
      memsz,
      align: word(48, 28),
      data: isUsed ? file.range(offset, fileSize, `segment ${i}`) : new Uint8Array(0),
    }
  })
}

function readSections(
  file: CheckedBytes,
  wide: boolean,
  shoff: number,
  tail: number,
): ElfSection[] {
  if (shoff === 0) return []
  const entrySize = file.u16(tail + 4, 'e_shentsize')
  if (entrySize < (wide ? 64 : 40)) file.damaged(`e_shentsize ${entrySize} is too small.`)
  const header = (i: number): Omit<ElfSection, 'name'> & { nameOffset: number } => {
    const at = shoff + i * entrySize
    const what = `section header ${i}`
    const word = (place64: number, place32: number): bigint =>
      wide ? file.u64(at + place64, what) : BigInt(file.u32(at + place32, what))
    return {
      nameOffset: file.u32(at, what),
      type: file.u32(at + 4, what),
      flags: word(8, 8),
      addr: word(16, 12),
      offset: word(24, 16),
      size: word(32, 20),
      link: file.u32(at + (wide ? 40 : 24), what),
    }
  }
  // With 65,280 sections or more, header 0 holds the true count and the true string table's index.
  const claimed = file.u16(tail + 6, 'e_shnum')
  const count = claimed === 0 ? asOffset(file, header(0).size, 'the count of sections') : claimed
  file.require(shoff, count * entrySize, 'the table of section headers')
  const headers = Array.from({ length: count }, (_, i) => header(i))
  const claimedNames = file.u16(tail + 8, 'e_shstrndx')
  const names = headers[claimedNames === SHN_XINDEX ? (headers[0]?.link ?? 0) : claimedNames]
  const text = names && names.type !== SHT_NOBITS ? rangeOf(file, names, 'the section names') : null
  return headers.map(({ nameOffset, ...rest }) => ({
    name: text ? stringAt(text, nameOffset) : '',
    ...rest,
  }))
}

function rangeOf(
  file: CheckedBytes,
  section: { offset: bigint; size: bigint },
  what: string,
): Uint8Array {
  const offset = asOffset(file, section.offset, `the offset of ${what}`)
  return file.range(offset, asOffset(file, section.size, `the size of ${what}`), what)
}

/** The text from `offset` up to a NUL or the end; empty when `offset` lies outside. */
export function stringAt(bytes: Uint8Array, offset: number): string {
  if (offset >= bytes.length) return ''
  const end = bytes.indexOf(0, offset)
  return new TextDecoder().decode(bytes.subarray(offset, end < 0 ? bytes.length : end))
}

/**
 * The contents of a section: a view, empty for SHT_NOBITS.
 * @throws UserError when the section lies outside the file
 */
export function sectionBytes(elf: ElfImage, section: ElfSection): Uint8Array {
  if (section.type === SHT_NOBITS) return new Uint8Array(0)
  return rangeOf(new CheckedBytes(elf.bytes, elf.name), section, `section ${section.name}`)
}

/** Whether Xen's loader loads the segment: PT_LOAD, and readable, writable or executable. */
export function isLoadable(segment: ElfSegment): boolean {
  return segment.type === PT_LOAD && (segment.flags & (PF_R | PF_W | PF_X)) !== 0
}

/**
 * The notes of a PT_NOTE segment or SHT_NOTE section, names and descriptors padded to 4 bytes.
 * A note that runs over the end is cut there, and is the last: GRUB's 32-bit PV image has one,
 * and Xen's loader takes it.
 */
export function parseNotes(bytes: Uint8Array): ElfNote[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const notes: ElfNote[] = []
  let at = 0
  while (at + 12 <= bytes.length) {
    const owner = at + 12
    const desc = owner + roundUp4(view.getUint32(at, true))
    const end = desc + view.getUint32(at + 4, true)
    if (desc > bytes.length) break
    notes.push({
      owner: stringAt(bytes.subarray(owner, desc), 0),
      type: view.getUint32(at + 8, true),
      desc: bytes.subarray(desc, end),
      isCut: end > bytes.length,
    })
    at = roundUp4(end)
  }
  return notes
}

function roundUp4(n: number): number {
  return Math.ceil(n / 4) * 4
}

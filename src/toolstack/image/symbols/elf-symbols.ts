// The symbol table of an ELF file (System V gABI, chapter 4, "Symbol Table"), of which only code is
// of interest. Kernels of distributions have none; unikernels often do. A table that is damaged is
// as good as none: an image is booted with or without names.

import { UserError } from '../../../base/errors.ts'
import { CheckedBytes } from '../checked-bytes.ts'
import {
  type ElfImage,
  type ElfSection,
  SHT_NOBITS,
  SHT_SYMTAB,
  sectionBytes,
  stringAt,
} from '../elf.ts'
import type { CodeSymbol } from './symbol-table.ts'

const SHF_EXECINSTR = 4n
const STT_NOTYPE = 0
const STT_FUNC = 2
const STB_LOCAL = 0
const SHN_UNDEF = 0
const SHN_LORESERVE = 0xff00
/** More than any kernel has: some hundred thousand. */
const MOST_SYMBOLS = 1_000_000
/** Bytes of a name that are read, as in Linux (KSYM_NAME_LEN). */
const MOST_NAME = 512

/** Its functions, global ones first; empty if it has no symbol table, or a damaged one. */
export function elfSymbols(elf: ElfImage): CodeSymbol[] {
  const table = elf.sections.find(({ type }) => type === SHT_SYMTAB)
  const names = table && elf.sections[table.link]
  if (!table || !names) return []
  try {
    return readSymbols(elf, table, names)
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    return []
  }
}

function readSymbols(elf: ElfImage, table: ElfSection, names: ElfSection): CodeSymbol[] {
  const isWide = elf.bits === 64
  const entrySize = isWide ? 24 : 16
  const file = new CheckedBytes(sectionBytes(elf, table), elf.name)
  const strings = sectionBytes(elf, names)
  const count = Math.min(Math.floor(file.length / entrySize), MOST_SYMBOLS)
  const globals: CodeSymbol[] = []
  const locals: CodeSymbol[] = []
  for (let at = 0; at < count * entrySize; at += entrySize) {
    const info = file.u8(at + (isWide ? 4 : 12), 'a symbol')
    const section = file.u16(at + (isWide ? 6 : 14), 'a symbol')
    if (!isCode(elf, info & 15, section)) continue
    const address = isWide ? file.u64(at + 8, 'a symbol') : BigInt(file.u32(at + 4, 'a symbol'))
    const nameAt = file.u32(at, 'a symbol')
    const name = stringAt(strings.subarray(nameAt, nameAt + MOST_NAME), 0)
    if (name !== '') (info >>> 4 === STB_LOCAL ? locals : globals).push({ address, name })
  }
  return [...globals, ...locals]
}

/** Functions, and labels without a type in sections of code, as assembly has them. */
function isCode(elf: ElfImage, type: number, section: number): boolean {
  if (section === SHN_UNDEF || section >= SHN_LORESERVE) return false
  if (type === STT_FUNC) return true
  const home = elf.sections[section]
  if (type !== STT_NOTYPE || !home || home.type === SHT_NOBITS) return false
  return (home.flags & SHF_EXECINSTR) !== 0n
}

// The names of a guest's kernel code: those that the user gives, else those of its image, be it an ELF
// symbol table or what Linux has for /proc/kallsyms. Names are for people: nothing depends on them.
//
// A kernel does not move in a PVH boot of Linux: what would choose another address for it is the code
// that unpacks a bzImage, and that does not run. One that the guest itself starts by kexec may have
// moved, or be another one: where Linux takes system calls tells (the MSR LSTAR).

import { type ElfImage, isLoadable, PF_X } from '../elf.ts'
import { elfSymbols } from './elf-symbols.ts'
import { readKallsyms } from './kallsyms.ts'
import { type CodeSymbol, SymbolTable } from './symbol-table.ts'

const SYSTEM_CALL_ENTRY = 'entry_SYSCALL_64'
/** Linux moves by multiples of this (CONFIG_PHYSICAL_ALIGN is 2 MiB at least). */
const ALIGNMENT = 0x200000n

export class GuestSymbols {
  readonly #table: SymbolTable
  readonly #systemCallEntry: bigint | undefined

  /** `given`: in place of those that the image has. */
  constructor(elf: ElfImage, given?: readonly CodeSymbol[]) {
    const symbols = given ?? symbolsOf(elf)
    const code = elf.segments.filter((one) => isLoadable(one) && (one.flags & PF_X) !== 0)
    this.#table = new SymbolTable(
      symbols,
      code.map(({ vaddr, memsz }) => ({ start: vaddr, end: vaddr + memsz })),
    )
    this.#systemCallEntry = this.#table.addressOf(SYSTEM_CALL_ENTRY)
  }

  /** How many there are. */
  get size(): number {
    return this.#table.size
  }

  /**
   * The name of a linear address, if it is known.
   * @param lstar where the processor takes system calls; 0 as long as that was not said
   */
  nameAt(address: bigint, lstar: bigint): string | undefined {
    const slide =
      lstar === 0n || this.#systemCallEntry === undefined ? 0n : lstar - this.#systemCallEntry
    // It is another kernel.
    if (slide % ALIGNMENT !== 0n) return undefined
    return this.#table.nameAt(address - slide)
  }
}

function symbolsOf(elf: ElfImage): readonly CodeSymbol[] {
  const symbols = elfSymbols(elf)
  return symbols.length > 0 ? symbols : (readKallsyms(elf.bytes) ?? [])
}

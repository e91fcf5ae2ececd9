// The symbols of a guest's kernel, read when somebody will look at them: the time and the memory that
// they take are for profilers only.

import { readFile } from 'node:fs/promises'
import { url as inspectorUrl } from 'node:inspector'
import { basename } from 'node:path'
import { UserError } from '../base/errors.ts'
import { ELF_MAGIC, parseElf } from '../toolstack/image/elf.ts'
import type { KernelImage } from '../toolstack/image/kernel.ts'
import { elfSymbols } from '../toolstack/image/symbols/elf-symbols.ts'
import { GuestSymbols } from '../toolstack/image/symbols/guest-symbols.ts'
import type { CodeSymbol } from '../toolstack/image/symbols/symbol-table.ts'
import { parseSystemMap } from '../toolstack/image/symbols/system-map.ts'

/** Options of Node that profile a process, or let it be profiled. */
const PROFILERS = /^--(cpu-prof|prof|perf-prof|perf-basic-prof|inspect)/

/** Is this process profiled by Node's own means, or can it be. */
export function isProfiled(
  options: readonly string[] = [
    ...process.execArgv,
    ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/),
  ],
): boolean {
  return inspectorUrl() !== undefined || options.some((option) => PROFILERS.test(option))
}

/**
 * The symbols of a kernel: those of a file, else what its image has.
 * @throws UserError if the file cannot be used
 */
export async function kernelSymbols(
  kernel: KernelImage,
  file: string | undefined,
): Promise<GuestSymbols> {
  return new GuestSymbols(kernel.elf, file === undefined ? undefined : await symbolsOf(file))
}

async function symbolsOf(file: string): Promise<CodeSymbol[]> {
  const bytes = await read(file)
  const name = basename(file)
  if (!ELF_MAGIC.every((byte, i) => bytes[i] === byte)) {
    return parseSystemMap(new TextDecoder().decode(bytes), name)
  }
  const symbols = elfSymbols(parseElf(bytes, name))
  if (symbols.length > 0) return symbols
  throw new UserError(
    `Cannot use the symbols of ${name}.`,
    'It is an ELF file without a symbol table.',
    'Give one that was not stripped, or the System.map of the kernel.',
  )
}

async function read(file: string): Promise<Uint8Array> {
  try {
    return await readFile(file)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new UserError(
      `Cannot read the symbols ${file}.`,
      `${why}.`,
      'Check the path and its rights.',
    )
  }
}

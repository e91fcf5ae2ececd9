// The programs of the suite and their sizes, chosen so that each takes about a second on QEMU 7.2
// on a processor of 2023 (AMD EPYC, 2.6 GHz). What a unit of size is stands in the program's
// source, or can be seen in driver.sh.

/** What a program mostly exercises; the figures are also averaged by it. */
export type Group = 'integer' | 'memory' | 'calls' | 'float' | 'system'

export const GROUPS: readonly Group[] = ['integer', 'memory', 'calls', 'float', 'system']

export interface GuestProgram {
  readonly name: string
  readonly group: Group
  /** How much work it does. */
  readonly size: number
  /** Whether there is no 32-bit build of it. */
  readonly isOnly64?: boolean
}

/** The programs with a multiple of their work, each at least of size 1. */
export const scaled = (programs: readonly GuestProgram[], scale: number): GuestProgram[] =>
  programs.map((program) => ({ ...program, size: Math.max(1, Math.round(program.size * scale)) }))

/** Those without a file of their own in programs/ are busybox's, and stand in driver.sh. */
export const SUITE: readonly GuestProgram[] = [
  { name: 'core', group: 'integer', size: 20000 },
  { name: 'crc32', group: 'integer', size: 140 },
  { name: 'sha256', group: 'integer', size: 40 },
  { name: 'divide', group: 'integer', size: 400, isOnly64: true },
  { name: 'sort', group: 'integer', size: 130 },
  { name: 'bytecode', group: 'integer', size: 700 },
  { name: 'sieve', group: 'memory', size: 80 },
  { name: 'copy', group: 'memory', size: 56 },
  { name: 'chase', group: 'memory', size: 32 },
  { name: 'hash', group: 'memory', size: 350 },
  { name: 'strings', group: 'memory', size: 120 },
  { name: 'recursion', group: 'calls', size: 1800 },
  { name: 'indirect', group: 'calls', size: 1000 },
  { name: 'nbody', group: 'float', size: 400 },
  { name: 'matmul', group: 'float', size: 36 },
  { name: 'single', group: 'float', size: 75 },
  { name: 'libm', group: 'float', size: 450 },
  { name: 'pages', group: 'system', size: 60 },
  { name: 'syscalls', group: 'system', size: 120 },
  { name: 'gzip', group: 'system', size: 5 },
  { name: 'gunzip', group: 'system', size: 14 },
  { name: 'shell', group: 'system', size: 20000 },
  { name: 'spawn', group: 'system', size: 200 },
]

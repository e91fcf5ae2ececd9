// Compares the outcomes of a test case on the processor underneath and on ours.

import { CODE, type Outcome, type TestCase } from './case.ts'
import { UNDEFINED_FLAGS } from './undefined.ts'

const ARITHMETIC = 0x8d5
const DF = 0x400
const USER_END = 0x7ffffffff000n
const NAMES = 'RAX RCX RDX RBX RSP RBP RSI RDI R8 R9 R10 R11 R12 R13 R14 R15'.split(' ')

const hex = (value: bigint | number) => `0x${value.toString(16)}`

/** Differences in words, or nothing. `name`: the instruction. */
export function differences(
  name: string,
  test: TestCase,
  theirs: Outcome,
  ours: Outcome,
): string[] {
  const found: string[] = []
  const differ = (what: string, a: bigint | number, b: bigint | number) => {
    if (a !== b) found.push(`${what}: processor ${hex(a)}, ours ${hex(b)}`)
  }
  const end = theirs.vector === 3 ? theirs.rip - 1n : theirs.rip
  const jumped = ours.vector === 3 && theirs.vector !== 3 && ours.rip - 1n === theirs.rip
  // A branch was taken to where nothing can be fetched: the fault is the next instruction's.
  const isFetchAfterBranch = jumped && theirs.rip !== BigInt(CODE + test.codeOffset)
  if (!isFetchAfterBranch) {
    differ('vector', theirs.vector, ours.vector)
    if (theirs.vector === ours.vector && theirs.vector !== 3) {
      // Linux hides from users whether the kernel's pages are there.
      const hidden = theirs.vector === 14 && theirs.cr2 >= USER_END ? 1 : 0
      differ('error code', theirs.errorCode | hidden, ours.errorCode | hidden)
      if (theirs.vector === 14) differ('CR2', theirs.cr2, ours.cr2)
    }
  }
  differ('RIP', end, ours.vector === 3 ? ours.rip - 1n : ours.rip)
  for (const [i, register] of NAMES.entries()) {
    differ(register, theirs.gpr[i] as bigint, ours.gpr[i] as bigint)
  }
  const hasEnded = theirs.vector === 3 || isFetchAfterBranch
  const undefinedFlags = hasEnded ? (UNDEFINED_FLAGS[name] ?? 0) : 0
  const mask = (ARITHMETIC | DF) & ~undefinedFlags
  differ('flags', theirs.rflags & mask, ours.rflags & mask)
  compareBytes('memory', theirs.memory, ours.memory, found)
  for (const [what, from, to] of FPU_PARTS) {
    compareBytes(what, theirs.fpu.subarray(from, to), ours.fpu.subarray(from, to), found)
  }
  return found
}

/** Parts of the FXSAVE image; the pointers of the last x87 instruction are not kept by all. */
const FPU_PARTS: readonly (readonly [string, number, number])[] = [
  ['FCW', 0, 2],
  ['FSW', 2, 4],
  ['FTW', 4, 5],
  ['MXCSR', 24, 28],
  ...Array.from({ length: 8 }, (_, i) => [`ST${i}`, 32 + i * 16, 42 + i * 16] as const),
  ...Array.from({ length: 16 }, (_, i) => [`XMM${i}`, 160 + i * 16, 176 + i * 16] as const),
]

function compareBytes(what: string, a: Uint8Array, b: Uint8Array, found: string[]): void {
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i]) continue
    const text = (bytes: Uint8Array) =>
      Buffer.from(bytes.subarray(i & ~7, (i & ~7) + 16)).toString('hex')
    found.push(`${what} from byte ${i & ~7}: processor ${text(a)}, ours ${text(b)}`)
    return
  }
}

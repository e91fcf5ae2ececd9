// Makes a failing case smaller while it still fails: whatever can be cleared without the
// difference going away is cleared. Candidates are tried many at a time.

import type { Terms } from './compare.ts'
import { compareBatch } from './suite.ts'
import {
  CODE,
  CODE_AT,
  INSTRUCTION,
  INSTRUCTION_BYTES,
  FPU,
  GPR,
  MEMORY,
  MEMORY_BYTES,
  MODE,
  RECORD_BYTES,
  Records,
  RFLAGS,
  SELECTORS,
  START,
} from './layout.ts'
import { MODES, type Mode } from './modes.ts'
import type { NativeProcessor } from './native.ts'
import type { OurProcessor } from './ours.ts'
import { blankCase } from './text.ts'

const ROUNDS = 4
const LEGACY_PREFIXES = new Set([0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65])

/** The smallest case found, and how its outcomes differ. */
export function minimize(
  native: Pick<NativeProcessor, 'run'>,
  processor: OurProcessor,
  record: Uint8Array,
  terms: Terms,
): { readonly record: Uint8Array; readonly found: readonly string[] } {
  const run = (candidates: readonly Uint8Array[]) => {
    const cases = Records.ofCount(candidates.length)
    for (const [i, candidate] of candidates.entries()) cases.u8.set(candidate, i * RECORD_BYTES)
    const results: (readonly string[] | undefined)[] = []
    compareBatch(native, processor, cases, terms, (i, found) => {
      results[i] = found
    })
    return results
  }
  let smallest = record
  let found = run([record])[0] ?? []
  for (let round = 0; round < ROUNDS; round++) {
    const changes = changesOf(smallest)
    const results = run(changes.map((change) => apply(smallest, [change])))
    const good = changes.filter((_, i) => results[i] !== undefined)
    if (good.length === 0) break
    // All at once if that still fails; else one by one.
    const together = apply(smallest, good)
    const whole = run([together])[0]
    if (whole) {
      smallest = together
      found = whole
      continue
    }
    for (const change of good) {
      const next = apply(smallest, [change])
      const result = run([next])[0]
      if (!result) continue
      smallest = next
      found = result
    }
  }
  return { record: smallest, found }
}

type Change = (record: Uint8Array) => void

function apply(record: Uint8Array, changes: readonly Change[]): Uint8Array {
  const copy = record.slice()
  for (const change of changes) change(copy)
  return copy
}

/** Changes that would make a case smaller. */
function changesOf(record: Uint8Array): Change[] {
  const test = new Records(record)
  const mode = test.word(0, MODE)
  const blank = blankCase(mode)
  const changes: Change[] = []
  const clear = (from: number, bytes: number) => {
    const wanted = blank.slice(from, from + bytes)
    if (wanted.every((byte, i) => byte === record[from + i])) return
    changes.push((copy) => copy.set(wanted, from))
  }
  clear(MEMORY, MEMORY_BYTES)
  clear(FPU, 512)
  for (let n = 0; n < 16; n++) clear(GPR + n * 8, 8)
  for (let n = 0; n < 16; n++) clear(GPR + n * 8 + 4, 4)
  clear(RFLAGS, 2)
  for (let bit = 0; bit < 12; bit++) {
    const at = RFLAGS + (bit >> 3)
    const flag = 1 << (bit & 7)
    const isSet = ((record[at] as number) & ~(blank[at] as number) & flag) !== 0
    if (isSet) changes.push((copy) => (copy[at] = (copy[at] as number) & ~flag))
  }
  for (let segment = 0; segment < 6; segment++) clear(SELECTORS + segment * 2, 2)
  for (let at = FPU + 32; at < FPU + 416; at += 8) clear(at, 8)
  for (const [at, bytes] of [
    [0, 2],
    [2, 2],
    [4, 1],
    [24, 4],
  ] as const)
    clear(FPU + at, bytes)
  for (let at = MEMORY; at < MEMORY + MEMORY_BYTES; at += 8) clear(at, 8)
  if (test.word(0, CODE_AT) !== CODE + 64) changes.push((copy) => move(copy, mode))
  for (let i = 0; i < INSTRUCTION_BYTES; i++) {
    const prefix = record[INSTRUCTION + i] as number
    if (!LEGACY_PREFIXES.has(prefix)) break
    changes.push((copy) => dropPrefix(copy, prefix))
  }
  return changes
}

function dropPrefix(copy: Uint8Array, prefix: number): void {
  for (let at = INSTRUCTION; LEGACY_PREFIXES.has(copy[at] as number); at++) {
    if (copy[at] !== prefix) continue
    copy.copyWithin(at, at + 1, INSTRUCTION + INSTRUCTION_BYTES)
    copy[INSTRUCTION + INSTRUCTION_BYTES - 1] = 0xcc
    return
  }
}

/** Puts the code at its usual place. */
function move(copy: Uint8Array, mode: number): void {
  const test = new Records(copy)
  test.setNumber(0, CODE_AT, CODE + 64)
  test.setWord(0, START, CODE + 64 - (MODES[mode] as Mode).codeBase)
}

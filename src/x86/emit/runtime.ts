// What emitted code calls in TypeScript: slow memory accesses, block look-up, faults and
// instructions that are written in TypeScript. One list, from which both the imports of emitted
// modules and the object that satisfies them are typed.

import type { FuncRef } from '../../wasm/graph.ts'
import type { ModuleBuilder } from '../../wasm/module.ts'

const I32 = 'i32' as const

/** Added to the size of a slow access to the stack: addresses that are not canonical are #SS. */
export const STACK_ACCESS = 0x10000

/**
 * Parameters and results. `cpu` is a state block, `rec` the record of the running instruction,
 * `lo` and `hi` the halves of a linear address. Memory functions give 0 after a fault: the
 * caller returns at once, everything about the fault is in the state block.
 */
const SIGNATURES = {
  /** Host offset of `size` readable bytes (possibly a copy in BOUNCE), or 0. */
  slowRead: [[I32, I32, I32, I32, I32], [I32]],
  /** Writes `size` bytes from BOUNCE. 1, or 0 after a fault. */
  slowWrite: [[I32, I32, I32, I32, I32], [I32]],
  /** Host offset of `size` bytes that may be read and written; BOUNCE if commitModify must follow. */
  slowModify: [[I32, I32, I32, I32, I32], [I32]],
  /** Writes BOUNCE back to where the last slowModify read it. */
  commitModify: [[I32], []],
  /** Limit and rights of the segment in the record: cpu, rec, offset, size, is it a write. */
  checkSegment: [[I32, I32, I32, I32, I32], [I32]],
  /** First record of the block that the near branch `rec` goes to, or 0 when it cannot be run. */
  resolve: [[I32, I32], [I32]],
  /** First record of the block at RIP after the branch `rec`, or 0 when it cannot be run. */
  lookup: [[I32, I32], [I32]],
  /** Records a fault: cpu, rec, vector, error code. */
  raise: [[I32, I32, I32, I32], []],
  /** Runs a TypeScript instruction: cpu, rec, its number. 0: go on; 1: leave. */
  host: [[I32, I32, I32], [I32]],
} as const

export type RuntimeName = keyof typeof SIGNATURES

export type Runtime = {
  readonly slowRead: (cpu: number, rec: number, lo: number, hi: number, size: number) => number
  readonly slowWrite: (cpu: number, rec: number, lo: number, hi: number, size: number) => number
  readonly slowModify: (cpu: number, rec: number, lo: number, hi: number, size: number) => number
  readonly commitModify: (cpu: number) => void
  readonly checkSegment: (
    cpu: number,
    rec: number,
    offset: number,
    size: number,
    write: number,
  ) => number
  readonly resolve: (cpu: number, rec: number) => number
  readonly lookup: (cpu: number, rec: number) => number
  readonly raise: (cpu: number, rec: number, vector: number, code: number) => void
  readonly host: (cpu: number, rec: number, id: number) => number
}

export type RuntimeRefs = Readonly<Record<RuntimeName, FuncRef>>

/** Declares all runtime functions as imports of a module. */
export function importRuntime(module: ModuleBuilder): RuntimeRefs {
  const entries = Object.entries(SIGNATURES).map(([name, [params, results]]) => [
    name,
    module.importFunction('runtime', name, [...params], [...results]),
  ])
  return Object.fromEntries(entries) as RuntimeRefs
}

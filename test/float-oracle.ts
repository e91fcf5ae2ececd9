// The processor underneath as a second source for floating point: compiles tools/float-oracle.c
// where gcc and an x86-64 Linux are at hand, and runs records of operands through it. The layout
// of records and results stands at the head of that file.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Bytes of a record and of a result. */
export const RECORD = 64

/** The compiled oracle. */
export class FloatOracle {
  readonly #folder: string
  readonly #program: string

  private constructor(folder: string) {
    this.#folder = folder
    this.#program = join(folder, 'float-oracle')
  }

  /** Compiles the oracle, or gives undefined where that is not possible. */
  static open(): FloatOracle | undefined {
    if (process.platform !== 'linux' || process.arch !== 'x64') return undefined
    const oracle = new FloatOracle(mkdtempSync(join(tmpdir(), 'float-oracle-')))
    const source = new URL('../tools/float-oracle.c', import.meta.url).pathname
    // The assembly pushes EFLAGS, so the compiler must not keep variables below the stack pointer.
    const flags = ['-O1', '-mno-red-zone', '-o', oracle.#program, source]
    if (spawnSync('gcc', flags, { stdio: 'inherit' }).status === 0) return oracle
    oracle.close()
    return undefined
  }

  /** Runs one operation over all records and returns as many results. */
  run(operation: string, records: Uint8Array): Uint8Array {
    return execFileSync(this.#program, [operation], {
      input: records,
      maxBuffer: records.length + RECORD,
    })
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

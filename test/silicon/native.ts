// The processor underneath, through runner.c.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { CpuVendor } from '../../src/x86/cpuid/models.ts'
import { FEATURES } from '../../src/x86/cpuid/features.ts'
import { vendorUnderneath } from '../processor-underneath.ts'
import { LOST, RECORD_BYTES, Records, VECTOR } from './layout.ts'

const COMPILER = 'gcc'
const OUTPUT_LIMIT = 1 << 30
/** A batch takes less than a second; a case that never ends would take for ever. */
const RUN_LIMIT_MS = 60_000

/** Why the processor underneath cannot be asked, or undefined if it can. */
export function whyNoNative(): string | undefined {
  if (vendorUnderneath() === undefined) return 'needs Linux on a processor by AMD or Intel'
  if (spawnSync(COMPILER, ['--version']).status !== 0) return `needs ${COMPILER}`
  return undefined
}

export class NativeProcessor {
  /** Names of its CPUID features. */
  readonly features: ReadonlySet<string>
  readonly vendor: CpuVendor
  readonly #folder: string
  readonly #runner: string

  /** Compiles the runner; dispose() removes it. */
  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'xenolith-silicon-'))
    this.#runner = join(this.#folder, 'runner')
    const source = join(import.meta.dirname, 'runner.c')
    execFileSync(COMPILER, ['-O1', '-mfsgsbase', '-o', this.#runner, source])
    this.features = this.#readFeatures()
    const vendor = vendorUnderneath()
    if (vendor === undefined) throw new Error(whyNoNative())
    this.vendor = vendor
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true })
  }

  /**
   * Runs all cases. A case that the operating system does not survive (it kills the runner, or
   * never comes back) has the vector {@link LOST} in its outcome.
   */
  run(cases: Records): Records {
    const result = spawnSync(this.#runner, {
      input: cases.u8,
      maxBuffer: OUTPUT_LIMIT,
      timeout: RUN_LIMIT_MS,
    })
    if (result.status === 0 && result.stdout.length === cases.u8.length) {
      return new Records(Uint8Array.from(result.stdout))
    }
    if (result.status === 1)
      throw new Error(`the runner failed: ${result.stderr.toString().trim()}`)
    const outcomes = Records.ofCount(cases.count)
    if (cases.count === 1) {
      outcomes.setWord(0, VECTOR, LOST)
      return outcomes
    }
    const half = (cases.count >> 1) * RECORD_BYTES
    outcomes.u8.set(this.run(new Records(cases.u8.slice(0, half))).u8)
    outcomes.u8.set(this.run(new Records(cases.u8.slice(half))).u8, half)
    return outcomes
  }

  #readFeatures(): Set<string> {
    const registers = new Map<string, number>()
    const lines = execFileSync(this.#runner, ['cpuid'], { encoding: 'utf8' }).trim().split('\n')
    for (const line of lines) {
      const [leaf, subleaf, ...values] = line.split(' ').map((word) => Number.parseInt(word, 16))
      for (const [i, name] of ['eax', 'ebx', 'ecx', 'edx'].entries()) {
        registers.set(`${leaf}.${subleaf}.${name}`, values[i] as number)
      }
    }
    const has = ({
      leaf,
      subleaf,
      register,
      bit,
    }: {
      leaf: number
      subleaf: number
      register: string
      bit: number
    }) => (((registers.get(`${leaf}.${subleaf}.${register}`) ?? 0) >>> bit) & 1) === 1
    return new Set([...FEATURES.values()].filter(has).map(({ name }) => name))
  }
}

// The processor underneath, through runner.c.

import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FEATURES } from '../../src/x86/cpuid/features.ts'
import { RECORD_BYTES, Records } from './layout.ts'

const COMPILER = 'gcc'
const OUTPUT_LIMIT = 1 << 30

/** Why the processor underneath cannot be asked, or undefined if it can. */
export function whyNoNative(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'needs Linux on x86-64'
  if (spawnSync(COMPILER, ['--version']).status !== 0) return `needs ${COMPILER}`
  return undefined
}

export class NativeProcessor {
  /** Names of its CPUID features. */
  readonly features: ReadonlySet<string>
  readonly #folder: string
  readonly #runner: string

  /** Compiles the runner; dispose() removes it. */
  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'xenolith-silicon-'))
    this.#runner = join(this.#folder, 'runner')
    const source = join(import.meta.dirname, 'runner.c')
    execFileSync(COMPILER, ['-O1', '-mfsgsbase', '-o', this.#runner, source])
    this.features = this.#readFeatures()
  }

  dispose(): void {
    rmSync(this.#folder, { recursive: true })
  }

  /** Runs all cases. */
  run(cases: Records): Records {
    const result = spawnSync(this.#runner, { input: cases.u8, maxBuffer: OUTPUT_LIMIT })
    if (result.status === 0 && result.stdout.length === cases.count * RECORD_BYTES) {
      const bytes = new Uint8Array(result.stdout.length)
      bytes.set(result.stdout)
      return new Records(bytes)
    }
    const why = result.stderr.toString().trim() || `signal ${result.signal}`
    throw new Error(`the runner ended with ${result.status}: ${why}`)
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
    const has = ({ leaf, subleaf, register, bit }: { leaf: number; subleaf: number; register: string; bit: number }) =>
      (((registers.get(`${leaf}.${subleaf}.${register}`) ?? 0) >>> bit) & 1) === 1
    return new Set([...FEATURES.values()].filter(has).map(({ name }) => name))
  }
}

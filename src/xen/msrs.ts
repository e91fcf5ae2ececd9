// The model-specific registers that a PVH guest sees beyond those of the processor itself and of
// the local APIC: memory types, machine check, and what AMD kernels touch. The rest is #GP, which
// Linux expects of those it probes. Values are kept; nothing of the machine depends on them.

import { invariant } from '../base/errors.ts'

const MTRR_CAP = 0xfe
const MTRR_PHYS_FIRST = 0x200
const MTRR_PHYS_LAST = 0x20f
const MTRR_DEF_TYPE = 0x2ff
const PATCH_LEVEL = 0x8b
const MCG_CAP = 0x179
const MCG_STATUS = 0x17a
const MCG_CTL = 0x17b
const MC0_CTL = 0x400
const MC_BANKS = 2
const SYSCFG = 0xc0010010
const HWCR = 0xc0010015
const DE_CFG = 0xc0011029
const NB_CFG = 0xc001001f
const INT_PENDING = 0xc0010055
const K7_EVNTSEL_FIRST = 0xc0010000
const K7_PERFCTR_LAST = 0xc0010007

/** The time-stamp counter counts at the frequency of P0. */
const HWCR_TSC_FREQ_SEL = 1n << 24n
const PAT = 0x277
const PAT_RESET = 0x0007040600070406n

/** Eight variable ranges, fixed ranges, write-combining. */
const MTRR_CAP_VALUE = 0x508n
/** MTRRs on, write-back by default, as a PVH guest is started. */
const MTRR_DEF_TYPE_VALUE = 0x806n

const FIXED_RANGES = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f]

/** Read as a constant; writes are #GP. */
const CONSTANT = new Map<number, bigint>([
  [MTRR_CAP, MTRR_CAP_VALUE],
  [MCG_CAP, BigInt(MC_BANKS)],
])

/** Extended access to PCI configuration space is on: a kernel of AMD's then leaves it alone. */
const NB_CFG_VALUE = 1n << 46n

/** Read as a constant; writes are dropped. */
const WRITE_IGNORED = new Map<number, bigint>([
  [PATCH_LEVEL, 0n],
  [MCG_CTL, 0n],
  [SYSCFG, 0n],
  [INT_PENDING, 0n],
  [NB_CFG, NB_CFG_VALUE],
])

/** Kept as written; what they hold at first. */
const STORED = new Map<number, bigint>([
  [MTRR_DEF_TYPE, MTRR_DEF_TYPE_VALUE],
  [MCG_STATUS, 0n],
  [HWCR, HWCR_TSC_FREQ_SEL],
  [PAT, PAT_RESET],
  [DE_CFG, 0n],
  ...FIXED_RANGES.map((index): [number, bigint] => [index, 0x0606060606060606n]),
])
for (let i = MTRR_PHYS_FIRST; i <= MTRR_PHYS_LAST; i++) STORED.set(i, 0n)
for (let i = MC0_CTL; i < MC0_CTL + 4 * MC_BANKS; i++) STORED.set(i, 0n)
for (let i = K7_EVNTSEL_FIRST; i <= K7_PERFCTR_LAST; i++) WRITE_IGNORED.set(i, 0n)

/** The plain form of {@link Msrs}: only what differs from the start. */
export interface MsrsState {
  readonly version: 1
  readonly values: readonly (readonly [number, bigint])[]
}

export class Msrs {
  readonly #values = new Map<number, bigint>()

  /** Undefined is #GP. */
  read(index: number): bigint | undefined {
    return (
      this.#values.get(index) ??
      STORED.get(index) ??
      CONSTANT.get(index) ??
      WRITE_IGNORED.get(index)
    )
  }

  /** False is #GP. */
  write(index: number, value: bigint): boolean {
    if (WRITE_IGNORED.has(index)) return true
    if (!STORED.has(index)) return false
    this.#values.set(index, value)
    return true
  }

  save(): MsrsState {
    return { version: 1, values: [...this.#values] }
  }

  restore(state: MsrsState): void {
    invariant(state.version === 1, `MSRs of version ${state.version} are not known`)
    this.#values.clear()
    for (const [index, value] of state.values) this.#values.set(index, value)
  }
}

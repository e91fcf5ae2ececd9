// The registers of the local APIC, once for both of its faces: at `offset` in the page of the
// xAPIC, and as MSR 0x800 + offset / 16 of the x2APIC. (Intel SDM vol. 3A, tables 10-1 and 10-6.)

export const APIC_ID = 0x20
export const APIC_LVR = 0x30
export const APIC_TPR = 0x80
export const APIC_APR = 0x90
export const APIC_PPR = 0xa0
export const APIC_EOI = 0xb0
export const APIC_RRD = 0xc0
export const APIC_LDR = 0xd0
export const APIC_DFR = 0xe0
export const APIC_SVR = 0xf0
export const APIC_ISR = 0x100
export const APIC_TMR = 0x180
export const APIC_IRR = 0x200
export const APIC_ESR = 0x280
export const APIC_ICR = 0x300
export const APIC_ICR2 = 0x310
export const APIC_LVT_TIMER = 0x320
export const APIC_LVT_THERMAL = 0x330
export const APIC_LVT_PERF = 0x340
export const APIC_LVT_LINT0 = 0x350
export const APIC_LVT_LINT1 = 0x360
export const APIC_LVT_ERROR = 0x370
export const APIC_TMICT = 0x380
export const APIC_TMCCT = 0x390
export const APIC_TDCR = 0x3e0
export const APIC_SELF_IPI = 0x3f0

/** Version 0x14 with six LVT entries, as Xen shows it. */
export const APIC_VERSION = 0x50014

export const MSR_APIC_BASE = 0x1b
export const MSR_TSC_DEADLINE = 0x6e0
export const MSR_X2APIC_FIRST = 0x800
export const MSR_X2APIC_LAST = 0x8ff

export const APIC_BASE_BSP = 1 << 8
export const APIC_BASE_EXTD = 1 << 10
export const APIC_BASE_ENABLE = 1 << 11
export const APIC_DEFAULT_BASE = 0xfee00000

export const SVR_ENABLE = 1 << 8
export const LVT_MASKED = 1 << 16

/** ICR and LVT bits 10:8. */
export const DeliveryMode = {
  fixed: 0,
  lowest: 1,
  smi: 2,
  nmi: 4,
  init: 5,
  startup: 6,
  extInt: 7,
} as const
export type DeliveryMode = (typeof DeliveryMode)[keyof typeof DeliveryMode]

export const ICR_LOGICAL = 1 << 11
export const ICR_ASSERT = 1 << 14
export const ICR_LEVEL = 1 << 15

/** ICR bits 19:18. */
export const Shorthand = { none: 0, self: 1, all: 2, others: 3 } as const

/** Bits of the ESR (SDM vol. 3A, figure 10-9). */
export const ApicError = {
  redirectableIpi: 1 << 4,
  sendIllegalVector: 1 << 5,
  receiveIllegalVector: 1 << 6,
  illegalRegister: 1 << 7,
} as const

/** Bits 18:17 of the timer's LVT entry. */
export const TimerMode = { oneShot: 0, periodic: 1, tscDeadline: 2 } as const

/** Who may touch a register, and which bits software can set. */
export interface Register {
  readonly offset: number
  readonly isReadable: boolean
  readonly isWritable: boolean
  /** The interface the register exists in. */
  readonly face: 'both' | 'xapic' | 'x2apic'
  /** Bits that a write keeps; the others stay 0 in the xAPIC. */
  readonly keeps: number
  /** Bits that a write of the x2APIC may contain; any other is a #GP. */
  readonly accepts: number
}

const registers = new Map<number, Register>()

function register(
  offset: number,
  access: 'r' | 'w' | 'rw',
  options: Partial<Pick<Register, 'face' | 'keeps' | 'accepts'>> & { readonly times?: number } = {},
): void {
  const { face = 'both', keeps = 0xffffffff, times = 1 } = options
  const isReadable = access !== 'w'
  const isWritable = access !== 'r'
  for (let i = 0; i < times; i++) {
    const at = offset + 16 * i
    const accepts = options.accepts ?? keeps
    registers.set(at, { offset: at, isReadable, isWritable, face, keeps, accepts })
  }
}

register(APIC_ID, 'r')
register(APIC_LVR, 'r')
register(APIC_TPR, 'rw', { keeps: 0xff })
register(APIC_APR, 'r', { face: 'xapic' })
register(APIC_PPR, 'r')
register(APIC_EOI, 'w', { keeps: 0 })
register(APIC_RRD, 'r', { face: 'xapic' })
register(APIC_LDR, 'r', { face: 'x2apic' })
register(APIC_DFR, 'rw', { face: 'xapic' })
// Neither focus checking (bit 9) nor suppression of EOI broadcasts (bit 12) exists in this version.
register(APIC_SVR, 'rw', { keeps: 0x1ff })
register(APIC_ISR, 'r', { times: 8 })
register(APIC_TMR, 'r', { times: 8 })
register(APIC_IRR, 'r', { times: 8 })
register(APIC_ESR, 'rw', { keeps: 0 })
// Bits 12 (delivery status), 13, 17:16 and 31:20 are reserved or read-only.
register(APIC_ICR, 'rw', { keeps: 0x000ccfff })
register(APIC_ICR2, 'rw', { face: 'xapic', keeps: 0xff000000 })
// Bit 12 of an LVT entry (delivery status) and bit 14 (remote IRR) are read-only: a write may
// carry what was read before, so the x2APIC accepts them.
register(APIC_LVT_TIMER, 'rw', { keeps: 0x000700ff, accepts: 0x000710ff })
register(APIC_LVT_THERMAL, 'rw', { keeps: 0x000107ff, accepts: 0x000117ff })
register(APIC_LVT_PERF, 'rw', { keeps: 0x000107ff, accepts: 0x000117ff })
register(APIC_LVT_LINT0, 'rw', { keeps: 0x0001a7ff, accepts: 0x0001f7ff, times: 2 })
register(APIC_LVT_ERROR, 'rw', { keeps: 0x000100ff, accepts: 0x000110ff })
register(APIC_TMICT, 'rw')
register(APIC_TMCCT, 'r')
register(APIC_TDCR, 'rw', { keeps: 0xb })
register(APIC_SELF_IPI, 'w', { face: 'x2apic', keeps: 0xff })

const LDR_XAPIC: Register = {
  offset: APIC_LDR,
  isReadable: true,
  isWritable: true,
  face: 'xapic',
  keeps: 0xff000000,
  accepts: 0,
}

/** The register at an offset (a multiple of 16) as one face shows it; undefined if it has none. */
export function registerAt(offset: number, face: 'xapic' | 'x2apic'): Register | undefined {
  // Written by software in the xAPIC, derived from the ID in the x2APIC.
  if (offset === APIC_LDR && face === 'xapic') return LDR_XAPIC
  const found = registers.get(offset)
  return found && (found.face === 'both' || found.face === face) ? found : undefined
}

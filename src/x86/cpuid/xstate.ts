// The state components of XSAVE (Intel SDM vol. 1, chapter 13; CPUID leaf 0xD): which features
// bring them, how large they are and where they lie. The places are Intel's on every model:
// software must take them from leaf 0xD, and so one XSAVE area serves all models.

/** A component of the XSAVE area; `bit` is its place in XCR0, or in IA32_XSS if `isSupervisor`. */
export interface XstateComponent {
  readonly bit: number
  readonly name: string
  /** Any of these CPUID features brings it. */
  readonly features: readonly string[]
  readonly size: number
  /** Offset in the standard format; 0 for supervisor components, which it cannot hold. */
  readonly offset: number
  readonly isSupervisor: boolean
}

/** Bytes of the legacy region and the header, which every XSAVE area has. */
export const XSAVE_BASE_SIZE = 512 + 64

const user = (bit: number, name: string, features: string[], size: number, offset: number) => ({
  bit,
  name,
  features,
  size,
  offset,
  isSupervisor: false,
})

const supervisor = (bit: number, name: string, features: string[], size: number) => ({
  bit,
  name,
  features,
  size,
  offset: 0,
  isSupervisor: true,
})

/** All components beyond x87 (bit 0) and SSE (bit 1), which lie in the legacy region. */
export const XSTATE_COMPONENTS: readonly XstateComponent[] = [
  user(2, 'AVX', ['avx'], 256, 576),
  user(3, 'BNDREGS', ['mpx'], 64, 960),
  user(4, 'BNDCSR', ['mpx'], 64, 1024),
  user(5, 'opmask', ['avx512f'], 64, 1088),
  user(6, 'ZMM_Hi256', ['avx512f'], 512, 1152),
  user(7, 'Hi16_ZMM', ['avx512f'], 1024, 1664),
  user(9, 'PKRU', ['pku'], 8, 2688),
  supervisor(11, 'CET_U', ['cet_ss', 'cet_ibt'], 16),
  supervisor(12, 'CET_S', ['cet_ss', 'cet_ibt'], 24),
]

/** The components that a processor with these features has. */
export function componentsOf(features: ReadonlySet<string>): readonly XstateComponent[] {
  if (!features.has('xsave')) return []
  return XSTATE_COMPONENTS.filter(
    (component) =>
      component.features.some((name) => features.has(name)) &&
      (!component.isSupervisor || features.has('xsaves')),
  )
}

/** The bits that XCR0 may have, x87 and SSE included; 0 without XSAVE. */
export function xcr0Mask(features: ReadonlySet<string>): number {
  return maskOf(componentsOf(features), false, features.has('xsave') ? 3 : 0)
}

/** The bits that IA32_XSS may have. */
export function xssMask(features: ReadonlySet<string>): number {
  return maskOf(componentsOf(features), true, 0)
}

/** Bytes of an XSAVE area in the standard format that holds the components in `mask`. */
export function standardSize(mask: number): number {
  let size = XSAVE_BASE_SIZE
  for (const { bit, offset, size: bytes, isSupervisor } of XSTATE_COMPONENTS) {
    if (!isSupervisor && (mask >> bit) & 1) size = Math.max(size, offset + bytes)
  }
  return size
}

/** Bytes of an XSAVE area in the compacted format; no component we have asks for alignment. */
export function compactedSize(mask: number): number {
  let size = XSAVE_BASE_SIZE
  for (const { bit, size: bytes } of XSTATE_COMPONENTS) if ((mask >> bit) & 1) size += bytes
  return size
}

function maskOf(components: readonly XstateComponent[], isSupervisor: boolean, start: number) {
  return components
    .filter((component) => component.isSupervisor === isSupervisor)
    .reduce((mask, { bit }) => mask | (1 << bit), start)
}

// XCR0 and the areas of XSAVE and FXSAVE. (SDM vol. 1, chapter 13, and 10.5.)

import type { Cpu } from '../cpu.ts'
import { GuestFault } from '../guest-fault.ts'
import * as S from '../state.ts'

const GP = 13

export const XSTATE_X87 = 1n
export const XSTATE_SSE = 2n
export const XSTATE_AVX = 4n

/** Components that XCR0 may enable with these features. */
export function supportedComponents(features: ReadonlySet<string>): bigint {
  return features.has('avx') ? 7n : 3n
}

/** XSETBV. */
export function writeXcr(cpu: Cpu, index: number, value: bigint): void {
  const isKnown = (value & ~supportedComponents(cpu.features)) === 0n
  const hasX87 = (value & XSTATE_X87) !== 0n
  const isConsistent = !(value & XSTATE_AVX) || (value & XSTATE_SSE) !== 0n
  if (index !== 0 || !isKnown || !hasX87 || !isConsistent) throw new GuestFault(GP)
  cpu.setU64(S.XCR0, value)
}

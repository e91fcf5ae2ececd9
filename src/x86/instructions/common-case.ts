// How meanings tell the common case from the rare one.

import type { Value } from '../../wasm/value.ts'
import type { Emitter } from '../emit/emitter.ts'

/**
 * Emits `common` for when the i32 is not 0, else `rare`, which may call the runtime. Where the slow
 * form of the instruction can still take over, the rare case is left to that, and the common one
 * is no arm of a branch.
 */
export function commonly(e: Emitter, isCommon: Value, common: () => void, rare: () => void): void {
  const { f } = e
  if (!e.canRetreat) return f.if(isCommon, common, rare, 'likely')
  f.if(f.eqz(isCommon), () => e.retreat(), undefined, 'unlikely')
  common()
}

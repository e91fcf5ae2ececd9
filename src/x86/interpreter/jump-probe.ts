// How emitted code looks for a block in the jump cache (jump-cache.ts).

import type { FunctionBuilder } from '../../wasm/function.ts'
import type { Value } from '../../wasm/value.ts'
import * as S from '../state.ts'
import { JUMP_CACHE_ENTRY_SHIFT, JUMP_CACHE_SETS } from './jump-cache.ts'

/** The jump cache's entry for a linear address (i64) under a key, and whether it knows that. */
export function probeJumpCache(
  f: FunctionBuilder,
  cpu: Value,
  linear: Value,
  key = f.load('i32.load', cpu, S.JUMP_KEY),
): { readonly entry: Value; readonly isHit: Value } {
  const low = f.wrap(linear)
  const hash = f.xor(low, f.shrU(low, f.i32(12)))
  const index = f.and(hash, f.i32(JUMP_CACHE_SETS - 1))
  const base = f.load('i32.load', cpu, S.JUMP_CACHE)
  const set = f.add(base, f.shl(index, f.i32(JUMP_CACHE_ENTRY_SHIFT + 1)))
  const isSecond = f.ne(f.load('i64.load', set, 0), linear)
  const entry = f.add(set, f.shl(isSecond, f.i32(JUMP_CACHE_ENTRY_SHIFT)))
  const isHit = f.and(
    f.eq(f.load('i64.load', entry, 0), linear),
    f.eq(f.load('i32.load', entry, 12), key),
  )
  return { entry, isHit }
}

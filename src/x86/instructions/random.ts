// RDRAND and RDSEED. (SDM vol. 2.) The numbers come from a generator in the processor's state,
// SplitMix64 (Steele, Lea, Flood, 2014), so that a run with the same seed gives the same ones;
// whoever makes the processor decides on the seed. There is always a number: CF is set.

import type { Value } from '../../wasm/value.ts'
import { define } from '../decode/define.ts'
import type { Emitter } from '../emit/emitter.ts'
import * as S from '../state.ts'

const GOLDEN = 0x9e3779b97f4a7c15n
const MIX_1 = 0xbf58476d1ce4e5b9n
const MIX_2 = 0x94d049bb133111ebn

/** i64: the generator's next number. */
function next(e: Emitter): Value {
  const { f } = e
  const constant = (n: bigint) => f.i64(BigInt.asIntN(64, n))
  const mix = (v: Value, shift: number) => f.xor(v, f.shrU(v, f.i64(shift)))
  const state = f.add(e.stateLoad('i64.load', S.RANDOM), constant(GOLDEN))
  e.stateStore('i64.store', S.RANDOM, state)
  const first = f.mul(mix(state, 30), constant(MIX_1))
  return mix(f.mul(mix(first, 27), constant(MIX_2)), 31)
}

for (const [name, digit, feature] of [
  ['RDRAND', 6, 'rdrand'],
  ['RDSEED', 7, 'rdseed'],
] as const) {
  const rows = ['NP', '66'].map((prefix) => `${prefix} 0F C7 /${digit}:r Ev +${feature}`)
  define(name, rows, (e, dst) => {
    const { f } = e
    const number = next(e)
    e.write(dst, dst.bits === 64 ? number : f.wrap(number))
    const no = f.i32(0)
    e.flags.assign({ cf: f.i32(1), pf: no, af: no, zf: no, sf: no, of: no })
  })
}

// Accesses near each other, off one register, which may change meanwhile, or of the stack.

import type { Common } from './common.ts'
import { encode, RSP } from './encoder.ts'
import type { Item } from './program.ts'

/** What the stack pointer moves by, as bytes that are extended by their sign. */
const MOVES = [8, 16, 24, 0x40, 0xf8, 0xe0, 3]

export function accessRun(common: Common): Item[] {
  const { r, bits } = common
  const base = r.oneIn(4) ? RSP : r.pick(common.pointers)
  const at = base === RSP ? r.below(8) * 8 - 32 : common.displacement()
  return Array.from({ length: 2 + r.below(7) }, () => {
    if (r.oneIn(6)) return r.oneIn(2) ? common.stack() : common.move()
    if (base === RSP && r.oneIn(3)) {
      if (!r.oneIn(4)) return common.stack()
      const immediate = [r.pick(MOVES)]
      return encode(bits, { opcode: [0x83], reg: r.pick([0, 5]), rm: RSP, size: bits, immediate })
    }
    const size = common.size()
    const isWide = size !== 8
    const register = isWide && r.oneIn(30) ? base : common.register(true)
    const opcode = r.pick([0x88, 0x8a, 0x8a, r.below(8) * 8, r.below(8) * 8 + 2])
    return encode(bits, {
      opcode: [opcode + (isWide ? 1 : 0)],
      reg: isWide || bits === 64 ? register : register & 3,
      rm: { base, displacement: at + r.below(150) - 10 },
      size,
    })
  })
}

// Stores of single bytes under a mask (MASKMOVDQU, MASKMOVQ): bytes that are not selected are not
// written, but all must be writable (as on AMD's processors; the manuals leave it open).

import type { Value } from '../../wasm/value.ts'
import type { Cpu } from '../cpu.ts'
import { type Emitter, PF } from '../emit/emitter.ts'
import { GuestFault } from '../guest-fault.ts'
import { probeArea } from '../system/guest-area.ts'
import { putVectors, vectorBytes } from './vector-arguments.ts'

/** Writes those of the low `bytes` bytes of `value` whose mask byte has its top bit set. */
export function writeMasked(
  e: Emitter,
  linear: Value,
  value: Value,
  mask: Value,
  bytes: 8 | 16,
): void {
  putVectors(e, value, mask)
  e.host(bytes === 16 ? writeSixteen : writeEight, linear)
}

const writeSixteen = (cpu: Cpu) => write(cpu, 16)
const writeEight = (cpu: Cpu) => write(cpu, 8)

function write(cpu: Cpu, count: number): void {
  const linear = cpu.argument(0)
  // A copy: writing to memory uses the place where the arguments lie.
  const bytes = vectorBytes(cpu, 32).slice()
  const selected = Array.from({ length: count }, (_, i) => i).filter(
    (i) => ((bytes[16 + i] as number) & 0x80) !== 0,
  )
  const at = (i: number) => BigInt.asUintN(64, linear + BigInt(i))
  try {
    probeArea(cpu, linear, count)
    for (const i of selected) cpu.writeMemory(at(i), 1, BigInt(bytes[i] as number))
  } catch (fault) {
    // CR2 tells of the operand, or of its second page, not of the byte.
    if (!(fault instanceof GuestFault) || fault.vector !== PF) throw fault
    const isFirst = fault.address >> 12n === linear >> 12n
    const address = isFirst ? linear : fault.address & ~0xfffn
    throw new GuestFault(PF, fault.code, address)
  }
}

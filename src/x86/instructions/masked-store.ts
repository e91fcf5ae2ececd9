// Stores of single bytes under a mask (MASKMOVDQU, MASKMOVQ), one by one: bytes that are not
// selected are neither written nor can they fault.

import type { Value } from '../../wasm/value.ts'
import type { Cpu } from '../cpu.ts'
import type { Emitter } from '../emit/emitter.ts'
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
  for (let i = 0; i < count; i++) {
    if ((bytes[16 + i] as number) & 0x80) {
      cpu.writeMemory(BigInt.asUintN(64, linear + BigInt(i)), 1, BigInt(bytes[i] as number))
    }
  }
}

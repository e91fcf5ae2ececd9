// Vectors on their way to parts of instructions that are written in TypeScript: they lie in the
// bounce buffer, which is free between two accesses to memory.

import type { Value } from '../../wasm/value.ts'
import type { Cpu } from '../cpu.ts'
import type { Emitter } from '../emit/emitter.ts'
import * as S from '../state.ts'

/** Puts up to four vectors where {@link vectorBytes} and {@link vectorWords} find them. */
export function putVectors(e: Emitter, ...vectors: Value[]): void {
  for (const [i, vector] of vectors.entries()) {
    e.stateStore('v128.store', S.BOUNCE + 16 * i, vector)
  }
}

/** The first `count` bytes of the vectors. */
export function vectorBytes(cpu: Cpu, count: number): Uint8Array {
  const at = cpu.state + S.BOUNCE
  return cpu.engine.memory.u8.subarray(at, at + count)
}

/** Index in HostMemory.i32 of the first word of the vectors; vector n starts 4 n further. */
export function vectorWords(cpu: Cpu): number {
  return (cpu.state + S.BOUNCE) >>> 2
}

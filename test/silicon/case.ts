// A test of one instruction: the state before it and, from each execution, the state after it.
// The byte layouts are those of struct test_case and struct outcome in runner.c.

/** Where code and data lie, for both executions. */
export const CODE = 0x20000000
export const DATA = 0x10000000
/** Memory that is set before and compared after: around the borders of the data pages. */
export const WINDOWS = [DATA + 4096 - 128, DATA + 8192 - 128, DATA + 12288 - 256] as const
export const WINDOW_BYTES = 256
export const FPU_BYTES = 512

/** First and last address of the data pages: two writable, one read-only, none behind. */
export const READ_ONLY = DATA + 8192
export const MISSING = DATA + 12288

export interface TestCase {
  readonly id: number
  /** Offset of the instruction in the code pages. */
  readonly codeOffset: number
  readonly code: Uint8Array
  readonly gpr: BigUint64Array
  readonly rflags: number
  /** As FXSAVE writes it. */
  readonly fpu: Uint8Array
  readonly memory: Uint8Array
}

export interface Outcome {
  /** Exception vector: 3 when the instruction ended. */
  readonly vector: number
  readonly errorCode: number
  readonly cr2: bigint
  readonly rip: bigint
  readonly gpr: BigUint64Array
  readonly rflags: number
  readonly fpu: Uint8Array
  readonly memory: Uint8Array
}

const MEMORY_BYTES = WINDOWS.length * WINDOW_BYTES
const CASE_BYTES = 8 + 16 + 128 + 8 + FPU_BYTES + MEMORY_BYTES
const OUTCOME_BYTES = 8 + 24 + 128 + 8 + FPU_BYTES + MEMORY_BYTES

export function encodeCases(cases: readonly TestCase[]): Uint8Array {
  const bytes = new Uint8Array(cases.length * CASE_BYTES)
  const view = new DataView(bytes.buffer)
  for (const [i, test] of cases.entries()) {
    let at = i * CASE_BYTES
    view.setUint32(at, test.id, true)
    view.setUint32(at + 4, test.codeOffset, true)
    bytes.set(test.code, at + 8)
    at += 24
    for (const [n, value] of test.gpr.entries()) view.setBigUint64(at + n * 8, value, true)
    view.setBigUint64(at + 128, BigInt(test.rflags), true)
    bytes.set(test.fpu, at + 136)
    bytes.set(test.memory, at + 136 + FPU_BYTES)
  }
  return bytes
}

export function decodeOutcomes(bytes: Uint8Array): Outcome[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: Math.floor(bytes.length / OUTCOME_BYTES) }, (_, i) => {
    const at = i * OUTCOME_BYTES
    const gpr = BigUint64Array.from({ length: 16 }, (_v, n) =>
      view.getBigUint64(at + 32 + n * 8, true),
    )
    const fpu = at + 168
    return {
      vector: view.getUint32(at + 4, true),
      errorCode: Number(view.getBigUint64(at + 8, true)),
      cr2: view.getBigUint64(at + 16, true),
      rip: view.getBigUint64(at + 24, true),
      gpr,
      rflags: Number(view.getBigUint64(at + 160, true)),
      fpu: bytes.subarray(fpu, fpu + FPU_BYTES),
      memory: bytes.subarray(fpu + FPU_BYTES, fpu + FPU_BYTES + MEMORY_BYTES),
    }
  })
}

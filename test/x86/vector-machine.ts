// A machine for tests of vector instructions: XMM registers as numbers of 32 hexadecimal digits,
// the most significant first, as manuals print them.

import * as S from '../../src/x86/state.ts'
import { CODE, SystemMachine } from '../../src/x86/testing/system-machine.ts'
import { assemble } from './assemble.ts'

/** Memory that tests may use: 4 KiB from here on. */
export const SCRATCH = 0x20000

/** What the end of a program was: it reached its HLT. */
export const ENDED = -1

export class VectorMachine extends SystemMachine {
  constructor() {
    super(64)
    this.cpu.setU64(S.XCR0, 3n)
  }

  #at(register: number): number {
    return this.cpu.state + S.VECTORS + register * S.VECTOR_SIZE
  }

  xmm(register: number): string {
    const bytes = this.memory.u8.slice(this.#at(register), this.#at(register) + 16)
    return bytes.reverse().toHex()
  }

  setXmm(register: number, value: string): void {
    const bytes = Uint8Array.fromHex(value.padStart(32, '0')).reverse()
    this.memory.u8.set(bytes, this.#at(register))
  }

  /** Bytes of scratch memory. */
  scratch(offset: number, size: number): Uint8Array {
    const at = this.ram + SCRATCH + offset
    return this.memory.u8.slice(at, at + size)
  }

  get mxcsr(): number {
    return this.cpu.getI32(S.MXCSR)
  }

  set mxcsr(value: number) {
    this.cpu.set32(S.MXCSR, value)
  }

  /** Runs nasm source; gives the vector of the exception that ended it, or ENDED. */
  execute(source: string): number {
    const { cpu } = this
    this.load(CODE, assemble(`${source}\nhlt`, 64, CODE))
    cpu.rip = BigInt(CODE)
    cpu.isHalted = false
    const entry = this.runToHandler(10_000)
    if (entry) return entry.vector
    if (!cpu.isHalted) throw new Error(`the program ended nowhere: ${cpu.shutdownCause}`)
    return ENDED
  }
}

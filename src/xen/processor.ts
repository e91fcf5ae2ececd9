// What the hypervisor needs of a virtual processor. The processor itself is src/x86's; tests use a
// stand-in with plain memory.

/** Numbers of the general registers that hypercalls use, by their encoding. */
export const RAX = 0
export const RCX = 1
export const RDX = 2
export const RBX = 3
export const RSI = 6
export const RDI = 7
export const R8 = 8
export const R10 = 10

export interface RunResult {
  /** Instructions that were executed. */
  readonly executed: number
  /** The budget is used up; HLT; a triple fault; or a callback asked to stop. */
  readonly reason: 'budget' | 'halt' | 'shutdown' | 'exit'
}

export interface Processor {
  readRegister(index: number): bigint
  writeRegister(index: number, value: bigint): void
  rip: bigint
  readonly cpl: number
  readonly codeSize: 16 | 32 | 64
  /** Bits 31:0 of RFLAGS. */
  readonly rflags: number
  /** Stands after HLT until an interrupt comes. */
  isHalted: boolean
  /** Instructions executed since run() was entered, without the running one; 0 outside of it. */
  readonly executedInRun: number
  /**
   * A copy of guest memory at a linear address, with the rights of the running code (or the
   * kernel's, if asked for); undefined if any of it cannot be read.
   */
  readLinear(address: bigint, length: number, asSupervisor?: boolean): Uint8Array | undefined
  /** The same for storing; false if any of it cannot be written. */
  writeLinear(address: bigint, bytes: Uint8Array, asSupervisor?: boolean): boolean
  run(maxInstructions: number): RunResult
  /** Leave run() after the current instruction, or soon after. */
  requestExit(): void
  /**
   * The host has worked for it, beyond what instructions take: `effort` in memory accesses of the
   * host's own code. Who makes too much work in a turn is exhausted, and leaves run().
   */
  exert(effort: number): void
  readonly isExhausted: boolean
  /** A new turn begins. */
  rest(): void
  /** What CpuHost.pendingInterrupt or takeNmi would answer may have changed. */
  interruptsChanged(): void
  /** Translations of guest-physical addresses are stale. */
  flushTlb(): void
}

/** The state of a processor that VCPUOP_initialise gives, decoded (public/hvm/hvm_vcpu.h). */
export interface VcpuContext {
  /** Long mode with flat segments; else the 32-bit segments that follow. */
  readonly is64: boolean
  /** RAX RCX RDX RBX RSP RBP RSI RDI. */
  readonly registers: readonly bigint[]
  readonly rip: bigint
  readonly rflags: bigint
  readonly cr0: bigint
  readonly cr3: bigint
  readonly cr4: bigint
  readonly efer: bigint
  /** For 32-bit contexts; attributes are those of the VMCS: type, S, DPL, P, AVL, L, D/B, G. */
  readonly segments: Readonly<
    Record<'cs' | 'ds' | 'ss' | 'es' | 'tr', { base: number; limit: number; attributes: number }>
  >
}

/** What brings a processor into a state from outside. */
export interface ProcessorControl {
  /** The domain has gone: gives back what it has of the host, and never runs again. */
  retire(): void
  /** The state after INIT: real mode, waiting for nothing. */
  reset(): void
  /** The state after a start-up IPI: real mode at `vector` * 4096. */
  startAt(vector: number): void
  /** The state of VCPUOP_initialise. False if the processor refuses it (CR0, CR4 or EFER). */
  load(context: VcpuContext): boolean
}

/** What the hypervisor needs of a processor's local APIC. */
export interface VcpuApic {
  /** The vector to deliver next, or -1. */
  highestPending(): number
  /** The vector is being delivered. */
  acknowledge(vector: number): void
  /** An edge-triggered interrupt. It waits, as on Xen, while the APIC is switched off. */
  raise(vector: number): void
  /** MSRs 0x1b, 0x6e0 and 0x800 to 0x8ff; undefined is #GP. */
  readMsr(index: number): bigint | undefined
  /** False is #GP. */
  writeMsr(index: number, value: bigint): boolean
  readMmio(offset: number, size: number): number
  writeMmio(offset: number, size: number, value: number): void
  /** The time-stamp counter was moved: a deadline is a value of it. */
  tscChanged(): void
  /** TPR bits 7:4. */
  taskPriority: number
  reset(): void
}

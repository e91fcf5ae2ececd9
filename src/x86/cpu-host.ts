// What a virtual processor asks of the world around it. The hypervisor implements it.

import type { FrameSource } from './mmu/walker.ts'

export interface CpuidResult {
  readonly eax: number
  readonly ebx: number
  readonly ecx: number
  readonly edx: number
}

export interface CpuHost extends FrameSource {
  /** Vector of the interrupt to deliver next, or -1. Asked when interrupts are enabled. */
  pendingInterrupt(): number
  /** The vector is being delivered. */
  acknowledgeInterrupt(vector: number): void
  /** Is a non-maskable interrupt pending; asking takes it. */
  takeNmi(): boolean
  portRead(port: number, size: number): number
  portWrite(port: number, size: number, value: number): void
  mmioRead(gpa: number, size: number): bigint
  mmioWrite(gpa: number, size: number, value: bigint): void
  /** MSRs that are not the processor's own; undefined is #GP. */
  readMsr(index: number): bigint | undefined
  /** False is #GP. */
  writeMsr(index: number, value: bigint): boolean
  cpuid(leaf: number, subleaf: number): CpuidResult
  /** VMCALL or VMMCALL; `isAmd` tells which. */
  vmcall(isAmd: boolean): void
  /** The time-stamp counter, now. */
  readTsc(): bigint
  /** TPR bits 7:4 (CR8). */
  readTaskPriority(): number
  writeTaskPriority(value: number): void
}

// What a virtual processor of a PVH domain asks of the world around it (x86's CpuHost): memory
// through the physical map, interrupts, the few ports and MSRs of the platform, CPUID, time, and
// hypercalls.

import { CPUID_ZERO, type CpuidRegisters, isHypervisorLeaf, xenCpuid } from './cpuid-leaves.ts'
import { MSR_HYPERCALL_PAGE } from './hypercall-page.ts'
import type { Vcpu } from './vcpu.ts'

const LAPIC_PAGE = 0xfee00000
const PAGE = 4096
const MSR_APIC_BASE = 0x1b
const MSR_TSC = 0x10
const MSR_TSC_ADJUST = 0x3b
const MSR_TSC_DEADLINE = 0x6e0
const MSR_X2APIC_FIRST = 0x800
const MSR_X2APIC_LAST = 0x8ff

/** What the host of a processor needs of the hypervisor. */
export interface VcpuHostWorld {
  /** A processor executed VMCALL or VMMCALL. */
  hypercall(vcpu: Vcpu): void
  /** A timer may have been set that ends the round early. */
  deadlinesChanged(vcpu: Vcpu): void
}

export class VcpuHost {
  readonly #vcpu: Vcpu
  readonly #world: VcpuHostWorld

  constructor(vcpu: Vcpu, world: VcpuHostWorld) {
    this.#vcpu = vcpu
    this.#world = world
  }

  /** Host frame at a guest frame; -1 if nothing is there, -2 for registers. */
  frameOf(gfn: number): number {
    return this.#vcpu.domain.physMap.frameOf(gfn)
  }

  /** False where the guest may read but not write. */
  isWritable(gfn: number): boolean {
    return this.#vcpu.domain.physMap.isWritable(gfn)
  }

  pendingInterrupt(): number {
    return this.#vcpu.pendingInterrupt()
  }

  acknowledgeInterrupt(vector: number): void {
    const { domain, info, apic } = this.#vcpu
    // The callback vector does not come from the APIC and stays until the guest clears the flag.
    if (vector === domain.params.callbackVector && info.upcallPending) return
    apic.acknowledge(vector)
  }

  takeNmi(): boolean {
    const isPending = this.#vcpu.isNmiPending
    this.#vcpu.isNmiPending = false
    return isPending
  }

  portRead(port: number, size: number): number {
    const value = this.#vcpu.domain.ports.read(port, size)
    this.#exit('in', port, BigInt(value >>> 0))
    return value
  }

  portWrite(port: number, size: number, value: number): void {
    this.#exit('out', port, BigInt(value >>> 0))
    this.#vcpu.domain.ports.write(port, size, value)
  }

  mmioRead(gpa: number, size: number): bigint {
    const offset = gpa - LAPIC_PAGE
    const isNone = offset < 0 || offset >= PAGE || size > 4
    const value = isNone
      ? (1n << BigInt(8 * size)) - 1n
      : BigInt(this.#vcpu.apic.readMmio(offset, size) >>> 0)
    this.#exit('mmio read', gpa, value)
    return value
  }

  mmioWrite(gpa: number, size: number, value: bigint): void {
    this.#exit('mmio write', gpa, value)
    const offset = gpa - LAPIC_PAGE
    if (offset < 0 || offset >= PAGE || size > 4) return
    this.#vcpu.apic.writeMmio(offset, size, Number(BigInt.asUintN(32, value)))
    this.#world.deadlinesChanged(this.#vcpu)
  }

  readMsr(index: number): bigint | undefined {
    const value = this.#readMsr(index)
    this.#exit('rdmsr', index, value)
    return value
  }

  #readMsr(index: number): bigint | undefined {
    if (isApicMsr(index)) return this.#vcpu.apic.readMsr(index)
    if (index === MSR_HYPERCALL_PAGE) return 0n
    if (index === MSR_TSC) return this.readTsc()
    if (index === MSR_TSC_ADJUST) return this.#tscAdjust
    return this.#vcpu.msrs.read(index)
  }

  writeMsr(index: number, value: bigint): boolean {
    this.#exit('wrmsr', index, value)
    if (isApicMsr(index)) {
      const isDone = this.#vcpu.apic.writeMsr(index, value)
      this.#world.deadlinesChanged(this.#vcpu)
      return isDone
    }
    if (index === MSR_HYPERCALL_PAGE) {
      const { domain, processor } = this.#vcpu
      domain.latchWidth(processor.codeSize === 64 ? 64 : 32)
      return domain.placeHypercallPage(value)
    }
    if (index === MSR_TSC) this.#moveTsc(value - this.readTsc())
    else if (index === MSR_TSC_ADJUST) this.#moveTsc(value - this.#tscAdjust)
    else return this.#vcpu.msrs.write(index, value)
    return true
  }

  cpuid(leaf: number, subleaf: number): CpuidRegisters {
    const { domain, id } = this.#vcpu
    this.#exit('cpuid', leaf)
    if (!isHypervisorLeaf(leaf)) return domain.config.cpuid?.(id, leaf, subleaf) ?? CPUID_ZERO
    return xenCpuid(leaf, subleaf, { domid: domain.domid, vcpu: id, tsc: this.#vcpu.tsc })
  }

  vmcall(): void {
    this.#world.hypercall(this.#vcpu)
    this.#world.deadlinesChanged(this.#vcpu)
  }

  readTsc(): bigint {
    const { domain, tsc } = this.#vcpu
    return tsc.ticksAt(domain.tscTime())
  }

  /** IA32_TSC_ADJUST: how far the guest has moved this counter, by either register (SDM 3B 17.17.3). */
  get #tscAdjust(): bigint {
    const { domain, tsc } = this.#vcpu
    return BigInt.asUintN(64, tsc.offset - domain.tsc.offset)
  }

  #moveTsc(ticks: bigint): void {
    this.#vcpu.tsc.offset += ticks
    this.#vcpu.tscChanged()
    this.#world.deadlinesChanged(this.#vcpu)
  }

  readTaskPriority(): number {
    return this.#vcpu.apic.taskPriority
  }

  writeTaskPriority(value: number): void {
    this.#vcpu.apic.taskPriority = value
    this.#vcpu.kick()
  }

  /** Tells a trace, if one wants to know, why guest code was left. */
  #exit(what: string, at: number, value?: bigint): void {
    const { domain, id } = this.#vcpu
    const { trace } = domain.world
    if (!trace.exits) return
    trace.note({ kind: 'exits', now: domain.now(), domid: domain.domid, vcpu: id, what, at, value })
  }
}

function isApicMsr(index: number): boolean {
  return (
    (index >= MSR_X2APIC_FIRST && index <= MSR_X2APIC_LAST) ||
    index === MSR_APIC_BASE ||
    index === MSR_TSC_DEADLINE
  )
}

// A stand-in for a processor, for tests of the hypervisor: no paging (linear addresses are guest
// physical), and a program of JavaScript functions, each of which takes one instruction or more.

import { Bug } from '../../base/errors.ts'
import type { Processor, ProcessorControl, RunResult, VcpuApic, VcpuContext } from '../processor.ts'
import type { Vcpu } from '../vcpu.ts'
import type { VcpuHost } from '../vcpu-host.ts'

const IF = 0x200

/** One step of a program: does something, and answers how many instructions it was (1 if void). */
export type Step = (processor: FakeProcessor) => number | 'halt' | 'shutdown' | void

export class FakeProcessor implements Processor, ProcessorControl {
  readonly vcpu: Vcpu
  readonly host: VcpuHost
  rip = 0x1000n
  cpl = 0
  codeSize: 16 | 32 | 64 = 64
  rflags = IF
  isHalted = false
  executedInRun = 0
  effort = 0
  /** What run() executes; at the end of it the processor halts. */
  program: Iterator<Step> = [][Symbol.iterator]()
  /** Vectors that were delivered, in order. */
  readonly delivered: number[] = []
  /** Called for each delivered vector. */
  handler: (vector: number) => void = () => {}
  readonly control: (string | VcpuContext)[] = []
  tlbFlushes = 0
  nmis = 0
  #registers = new BigUint64Array(16)
  #wantsExit = false

  constructor(vcpu: Vcpu, host: VcpuHost) {
    this.vcpu = vcpu
    this.host = host
  }

  readRegister(index: number): bigint {
    return this.#registers[index] as bigint
  }

  writeRegister(index: number, value: bigint): void {
    this.#registers[index] = value
  }

  readLinear(address: bigint, length: number): Uint8Array | undefined {
    return this.vcpu.domain.readPhysical(Number(address), length)
  }

  writeLinear(address: bigint, bytes: Uint8Array): boolean {
    return this.vcpu.domain.writePhysical(Number(address), bytes)
  }

  /** Runs the given steps, and then halts. */
  runs(...steps: Step[]): void {
    this.program = steps[Symbol.iterator]()
  }

  run(maxInstructions: number): RunResult {
    if (this.executedInRun !== 0) throw new Bug('run() was entered twice')
    this.#wantsExit = false
    const result = (reason: RunResult['reason']): RunResult => {
      const executed = this.executedInRun
      this.executedInRun = 0
      return { executed, reason }
    }
    for (;;) {
      if (this.host.takeNmi()) {
        this.nmis++
        this.isHalted = false
      }
      this.#takeInterrupts()
      if (this.isHalted) return result('halt')
      if (this.#wantsExit) return result('exit')
      if (this.executedInRun >= maxInstructions) return result('budget')
      const { value: step, done } = this.program.next()
      const outcome = done ? 'halt' : step(this)
      if (outcome === 'shutdown') return result('shutdown')
      this.executedInRun += typeof outcome === 'number' ? outcome : 1
      if (outcome === 'halt') this.isHalted = true
    }
  }

  requestExit(): void {
    this.#wantsExit = true
  }

  exert(effort: number): void {
    this.effort += effort
  }

  get isExhausted(): boolean {
    return this.effort >= 50_000
  }

  rest(): void {
    this.effort = 0
  }

  retire(): void {
    this.control.push('retire')
  }

  interruptsChanged(): void {}

  flushTlb(): void {
    this.tlbFlushes++
  }

  reset(): void {
    this.control.push('reset')
    this.isHalted = false
  }

  startAt(vector: number): void {
    this.control.push(`start at ${vector}`)
  }

  load(context: VcpuContext): boolean {
    this.control.push(context)
    return true
  }

  #takeInterrupts(): void {
    // At most a few: a handler that does not clear the cause would never get anywhere.
    for (let i = 0; i < 8 && this.rflags & IF; i++) {
      const vector = this.host.pendingInterrupt()
      if (vector < 0) return
      this.host.acknowledgeInterrupt(vector)
      this.isHalted = false
      this.delivered.push(vector)
      this.handler(vector)
    }
  }
}

/** A local APIC that delivers the highest vector and knows no priorities. */
export class FakeApic implements VcpuApic {
  readonly raised = new Set<number>()
  readonly written: [number, bigint][] = []
  taskPriority = 0
  kick: () => void = () => {}

  highestPending(): number {
    return Math.max(-1, ...this.raised)
  }

  acknowledge(vector: number): void {
    this.raised.delete(vector)
  }

  raise(vector: number): void {
    this.raised.add(vector)
    this.kick()
  }

  readMsr(index: number): bigint | undefined {
    return index === 0x1b ? 0xfee00900n : undefined
  }

  writeMsr(index: number, value: bigint): boolean {
    this.written.push([index, value])
    return true
  }

  readMmio(offset: number): number {
    return offset === 0x30 ? 0x50014 : 0
  }

  writeMmio(offset: number, _size: number, value: number): void {
    this.written.push([offset, BigInt(value)])
  }

  tscChanged(): void {}

  reset(): void {
    this.raised.clear()
  }
}

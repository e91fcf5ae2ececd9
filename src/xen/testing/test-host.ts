// A host with guests whose processors are stand-ins: makes hypercalls as a guest would, with its
// arguments in guest memory, and looks at what came of them.

import { Bug } from '../../base/errors.ts'
import { FrameTable } from '../../machine/frame-table.ts'
import { VirtualClock } from '../../machine/time.ts'
import { Timers } from '../../machine/timers.ts'
import type { AbiFields, Structure, Values, Width } from '../abi/structure.ts'
import type { Domain, DomainConfig } from '../domain.ts'
import { Hypervisor, type HypervisorOptions } from '../hypervisor.ts'
import { R8, R10, RAX, RBX, RCX, RDI, RDX, RSI } from '../processor.ts'
import type { Vcpu } from '../vcpu.ts'
import { FakeApic, FakeProcessor } from './fake-processor.ts'

const REGISTERS = { 64: [RDI, RSI, RDX, R10, R8], 32: [RBX, RCX, RDX, RSI, RDI] } as const

/** An address at which no guest of a test has memory. */
export const NOWHERE = 0x7fff_f000n

export class TestHost {
  readonly memory: { u8: Uint8Array; u32: Uint32Array }
  readonly frames: FrameTable
  readonly clock = new VirtualClock({ seconds: 1_700_000_000, nanoseconds: 5 })
  readonly timers = new Timers()
  readonly hypervisor: Hypervisor
  readonly processors = new Map<Vcpu, FakeProcessor>()
  readonly apics = new Map<Vcpu, FakeApic>()

  constructor(options: Partial<HypervisorOptions> = {}, frames = 1024) {
    const buffer = new ArrayBuffer(frames * 4096)
    this.memory = { u8: new Uint8Array(buffer), u32: new Uint32Array(buffer) }
    this.frames = new FrameTable(this.memory, 0, frames * 4096)
    this.hypervisor = new Hypervisor({
      frames: this.frames,
      memory: this.memory,
      clock: this.clock,
      timers: this.timers,
      createProcessor: (vcpu, host) => {
        const processor = new FakeProcessor(vcpu, host)
        this.processors.set(vcpu, processor)
        return processor
      },
      createApic: (vcpu) => {
        const apic = new FakeApic()
        apic.kick = () => vcpu.kick()
        this.apics.set(vcpu, apic)
        return apic
      },
      ...options,
    })
  }

  /** A guest with memory from guest frame 0 on, whose first processor is up. */
  guest(config: Partial<DomainConfig> = {}, pages = 64): TestGuest {
    const domain = this.hypervisor.createDomain({
      name: 'test',
      vcpus: 2,
      maxPages: 256,
      ...config,
    })
    for (let gfn = 0; gfn < pages; gfn++) {
      if (!domain.populate(gfn)) throw new Bug('no memory for a guest of a test')
    }
    const guest = new TestGuest(this, domain)
    for (const [i, vcpu] of domain.vcpus.entries()) {
      if (i === 0) vcpu.isInitialised = true
      if (i === 0) vcpu.bringUp()
    }
    return guest
  }
}

export class TestGuest {
  readonly host: TestHost
  readonly domain: Domain
  width: Width = 64
  /** Where arguments are put: page 8 of the guest. */
  readonly argument = 0x8000n

  constructor(host: TestHost, domain: Domain) {
    this.host = host
    this.domain = domain
  }

  vcpu(id = 0): Vcpu {
    const vcpu = this.domain.vcpus[id]
    if (!vcpu) throw new Bug(`no vCPU ${id}`)
    return vcpu
  }

  processor(id = 0): FakeProcessor {
    const found = this.host.processors.get(this.vcpu(id))
    if (!found) throw new Bug(`no processor ${id}`)
    return found
  }

  apic(id = 0): FakeApic {
    const found = this.host.apics.get(this.vcpu(id))
    if (!found) throw new Bug(`no APIC ${id}`)
    return found
  }

  /** Makes a hypercall; again and again, if it asks for that. The result, signed. */
  call(number: number, args: readonly (number | bigint)[], vcpu = 0): number {
    const processor = this.processor(vcpu)
    processor.codeSize = this.width
    processor.writeRegister(RAX, BigInt(number))
    REGISTERS[this.width].forEach((register, i) => {
      processor.writeRegister(register, BigInt.asUintN(64, BigInt(args[i] ?? 0)))
    })
    for (;;) {
      const { rip } = processor
      processor.host.vmcall()
      if (processor.rip === rip) break
      processor.rip = rip
    }
    return Number(BigInt.asIntN(this.width, processor.readRegister(RAX)))
  }

  /** A hypercall `number(operation, pointer to values)`; answers the result and the values after. */
  operate<F extends AbiFields>(
    number: number,
    operation: number,
    structure: Structure<F>,
    values: Partial<Values<F>>,
    more: readonly (number | bigint)[] = [],
  ): { result: number } & Values<F> {
    this.put(this.argument, structure.encode(this.width, values))
    const result = this.call(number, [operation, this.argument, ...more])
    return { result, ...this.read(structure, this.argument) }
  }

  put(address: bigint | number, bytes: Uint8Array): void {
    if (!this.domain.writePhysical(Number(address), bytes)) throw new Bug('no memory to put to')
  }

  get(address: bigint | number, length: number): Uint8Array {
    const bytes = this.domain.readPhysical(Number(address), length)
    if (!bytes) throw new Bug('no memory to get from')
    return bytes
  }

  read<F extends AbiFields>(structure: Structure<F>, address: bigint | number): Values<F> {
    return structure.decode(this.width, this.get(address, structure.size(this.width)))
  }

  put32(address: bigint | number, value: number): void {
    const bytes = new Uint8Array(4)
    new DataView(bytes.buffer).setUint32(0, value, true)
    this.put(address, bytes)
  }

  get32(address: bigint | number): number {
    const bytes = this.get(address, 4)
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true)
  }
}

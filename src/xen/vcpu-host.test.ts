import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SHUTDOWN_poweroff } from './abi/sched.ts'
import { vcpu_time_info } from './abi/xen.ts'
import { PM1A_CONTROL, PM1A_EVENT } from './platform-ports.ts'
import { TestHost } from './testing/test-host.ts'

const ONES = 0xffffffff

test('CPUID shows Xen 4.17 at 0x40000000, as a PVH guest of real Xen saw it', () => {
  const guest = new TestHost().guest()
  const { host } = guest.processor(1)
  assert.deepEqual(host.cpuid(0x40000000, 0), {
    eax: 0x40000005,
    ebx: 0x566e6558,
    ecx: 0x65584d4d,
    edx: 0x4d4d566e,
  })
  assert.equal(host.cpuid(0x40000001, 0).eax, 0x40011)
  assert.deepEqual(host.cpuid(0x40000002, 0), { eax: 1, ebx: 0x40000000, ecx: 0, edx: 0 })
  assert.equal(host.cpuid(0x40000003, 0).ecx, 1_000_000, 'the TSC in kHz')
  assert.deepEqual(host.cpuid(0x40000004, 0), {
    eax: 0x5c,
    ebx: 1,
    ecx: guest.domain.domid,
    edx: 0,
  })
})

test('the other leaves of hypervisors are zero, and native ones come from the configuration', () => {
  const cpuid = (vcpu: number, leaf: number, subleaf: number) => ({
    eax: vcpu,
    ebx: leaf,
    ecx: subleaf,
    edx: 9,
  })
  const guest = new TestHost().guest({ cpuid })
  const { host } = guest.processor(1)
  for (let leaf = 0x40000100; leaf <= 0x40010000 - 0x100; leaf += 0x100) {
    assert.deepEqual(host.cpuid(leaf, 0), { eax: 0, ebx: 0, ecx: 0, edx: 0 })
  }
  assert.deepEqual(host.cpuid(7, 2), { eax: 1, ebx: 7, ecx: 2, edx: 9 })
})

test('a guest moves its counter by the TSC or by TSC_ADJUST, which shows how far; others keep theirs', () => {
  const host = new TestHost()
  const guest = host.guest()
  const { host: own } = guest.processor(0)
  const [tsc, adjust] = [0x10, 0x3b]
  host.clock.advance(1000)
  assert.deepEqual([own.readMsr(tsc), own.readMsr(adjust)], [1000n, 0n])
  assert.equal(own.writeMsr(adjust, 500n), true)
  assert.deepEqual([own.readMsr(tsc), own.readTsc(), own.readMsr(adjust)], [1500n, 1500n, 500n])
  // SDM 3B 17.17.3: a write of the counter that adds X adds X to TSC_ADJUST as well.
  assert.equal(own.writeMsr(tsc, 100n), true)
  assert.deepEqual([own.readMsr(tsc), own.readMsr(adjust)], [100n, 2n ** 64n - 900n])
  assert.equal(guest.processor(1).host.readTsc(), 1000n)
  // vcpu_time_info, 32 bytes into the first vcpu_info, follows: a nanosecond is a tick here.
  const bytes = host.hypervisor.memory.read(guest.domain.shared.mfn, 32, 32)
  const { tsc_timestamp, system_time } = vcpu_time_info.decode(64, bytes)
  assert.deepEqual([tsc_timestamp, system_time], [100n, 1000n])
})

test('the hypercall page is written where the MSR says, for either vendor', () => {
  for (const [isAmd, opcode] of [
    [true, 0xd9],
    [false, 0xc1],
  ] as const) {
    const guest = new TestHost().guest({ isAmd })
    const { host } = guest.processor()
    assert.equal(host.writeMsr(0x40000000, 0x14000n), true)
    const page = guest.get(0x14000, 4096)
    assert.notEqual(page[0], 0xc3)
    // Entry 32, event_channel_op: mov eax, 32; the call; ret.
    assert.deepEqual([...page.subarray(1024, 1033)], [0xb8, 32, 0, 0, 0, 0x0f, 0x01, opcode, 0xc3])
    assert.deepEqual([...page.subarray(23 * 32, 23 * 32 + 2)], [0x0f, 0x0b], 'iret is UD2')
    assert.equal(host.readMsr(0x40000000), 0n)
  }
})

test('a hypercall page that does not exist is #GP', () => {
  const guest = new TestHost().guest()
  const { host } = guest.processor()
  assert.equal(host.writeMsr(0x40000000, 0x14001n), false, 'a second page')
  assert.equal(host.writeMsr(0x40000000, 0x7fff0000n), false, 'no memory there')
  assert.equal(host.writeMsr(0x40000000, 1n << 60n), false)
})

test('writing the MSR from 32-bit code makes the shared page a 32-bit one', () => {
  const guest = new TestHost().guest()
  guest.processor().codeSize = 32
  guest.processor().host.writeMsr(0x40000000, 0x14000n)
  assert.equal(guest.domain.shared.width, 32)
})

test('MSRs that a kernel expects are there, and unknown ones are #GP', () => {
  const guest = new TestHost().guest()
  const { host } = guest.processor()
  assert.equal(host.readMsr(0xfe), 0x508n)
  assert.equal(host.readMsr(0x2ff), 0x806n)
  assert.equal(host.writeMsr(0x200, 0x1234n), true)
  assert.equal(host.readMsr(0x200), 0x1234n)
  assert.equal(host.writeMsr(0xc0010015, 0x10n), true, 'HWCR, which xen-shim writes')
  assert.equal(host.readMsr(0xdead), undefined)
  assert.equal(host.writeMsr(0xdead, 0n), false)
  assert.equal(host.writeMsr(0xfe, 0n), false, 'read-only')
  assert.equal(host.readMsr(0x1b), 0xfee00900n, 'from the APIC')
})

test('ports read as all ones, quickly and in every size', () => {
  const guest = new TestHost().guest()
  const { host } = guest.processor()
  for (const port of [0x20, 0x42, 0x61, 0x70, 0xcf8, 0xaf00, 0xffff]) {
    assert.equal(host.portRead(port, 1), 0xff)
    assert.equal(host.portRead(port, 4), ONES)
  }
  host.portWrite(0x43, 1, 0xb0)
})

test('PM1a says that ACPI is on, and a sleep through it switches the power off', () => {
  const guest = new TestHost().guest()
  const { host } = guest.processor()
  assert.equal(host.portRead(PM1A_EVENT, 2), 0)
  host.portWrite(PM1A_EVENT + 2, 2, 0x0120)
  assert.equal(host.portRead(PM1A_EVENT, 4), 0x01200000)
  assert.equal(host.portRead(PM1A_CONTROL, 2) & 1, 1)
  host.portWrite(PM1A_CONTROL, 2, 0x1c00)
  assert.equal(guest.domain.shutdownReason, undefined)
  host.portWrite(PM1A_CONTROL, 2, 0x2000)
  assert.equal(guest.domain.shutdownReason, SHUTDOWN_poweroff)
})

test('memory-mapped registers are those of the APIC; elsewhere there is nothing', () => {
  const guest = new TestHost().guest()
  const { host } = guest.processor()
  assert.equal(host.mmioRead(0xfee00030, 4), 0x50014n)
  assert.equal(host.mmioRead(0xfed00000, 8), 0xffffffffffffffffn)
  host.mmioWrite(0xfee000b0, 4, 5n)
  assert.deepEqual(guest.apic().written, [[0xb0, 5n]])
  host.mmioWrite(0xfed00000, 4, 5n)
})

test('INIT and the start-up IPI bring a processor up', () => {
  const guest = new TestHost().guest()
  guest.vcpu(1).receiveStartup(0x8)
  assert.equal(guest.vcpu(1).isUp, true)
  assert.deepEqual(guest.processor(1).control, ['start at 8'])
  guest.vcpu(1).receiveStartup(0x9)
  assert.equal(guest.processor(1).control.length, 1, 'only the first one counts')
  guest.vcpu(1).receiveInit()
  assert.equal(guest.vcpu(1).isUp, false)
})

test('an upcall that INIT wipes out is raised again', () => {
  const guest = new TestHost().guest()
  const apic = guest.apic(1)
  guest.vcpu(1).upcallVector = 0xf3
  guest.domain.channels.raise(guest.domain.channels.bindIpi(1))
  apic.reset()
  guest.vcpu(1).receiveInit()
  guest.vcpu(1).receiveStartup(0x8)
  assert.deepEqual([...apic.raised], [0xf3])
})

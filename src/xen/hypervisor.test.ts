import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../base/errors.ts'
import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS, XEN_EOPNOTSUPP, XEN_EPERM } from './abi/errno.ts'
import * as abi from './abi/xen.ts'
import type { HypercallRecord } from './trace.ts'
import { HYPERCALLS } from './hypercalls/table.ts'
import { RAX, RBX, RDI, RSI } from './processor.ts'
import { NOWHERE, TestHost } from './testing/test-host.ts'

const XENVER_version = 0

test('hypercalls from outside of ring 0 are EPERM, and nothing is looked at', () => {
  const guest = new TestHost().guest()
  guest.processor().cpl = 3
  assert.equal(guest.call(abi.__HYPERVISOR_xen_version, [XENVER_version]), -XEN_EPERM)
  assert.equal(guest.host.hypervisor.counters.snapshot().size, 0)
})

test('hypercalls that are not there are ENOSYS and counted', () => {
  const guest = new TestHost().guest()
  for (const number of [
    abi.__HYPERVISOR_set_trap_table,
    abi.__HYPERVISOR_mmu_update,
    abi.__HYPERVISOR_sched_op_compat,
    abi.__HYPERVISOR_event_channel_op_compat,
    abi.__HYPERVISOR_iret,
    abi.__HYPERVISOR_nmi_op,
    abi.__HYPERVISOR_callback_op,
    abi.__HYPERVISOR_kexec_op,
    abi.__HYPERVISOR_tmem_op,
    abi.__HYPERVISOR_xsm_op,
    63,
    1000,
  ]) {
    assert.equal(guest.call(number, []), -XEN_ENOSYS, `hypercall ${number}`)
  }
  guest.processor().writeRegister(RAX, 1n << 40n)
  guest.processor().host.vmcall()
  assert.equal(BigInt.asIntN(64, guest.processor().readRegister(RAX)), -BigInt(XEN_ENOSYS))
  assert.equal(guest.host.hypervisor.counters.snapshot().get('hypercall 1000')?.errors, 1)
})

test('what belongs to the toolstack is EPERM before any argument is read', () => {
  const guest = new TestHost().guest()
  for (const number of [
    abi.__HYPERVISOR_platform_op,
    abi.__HYPERVISOR_sysctl,
    abi.__HYPERVISOR_domctl,
    abi.__HYPERVISOR_dm_op,
    abi.__HYPERVISOR_hypfs_op,
  ]) {
    assert.equal(guest.call(number, [NOWHERE, NOWHERE, NOWHERE]), -XEN_EPERM)
  }
  assert.equal(guest.call(abi.__HYPERVISOR_argo_op, [1]), -XEN_EOPNOTSUPP)
  assert.equal(guest.call(abi.__HYPERVISOR_xenpmu_op, [4]), -XEN_EOPNOTSUPP)
})

test('a 32-bit caller uses other registers, and only their lower halves', () => {
  const guest = new TestHost().guest()
  const processor = guest.processor()
  processor.codeSize = 32
  processor.writeRegister(RAX, 0xdead_0000_0000n + BigInt(abi.__HYPERVISOR_xen_version))
  processor.writeRegister(RBX, 0xdead_0000_0000n)
  processor.host.vmcall()
  assert.equal(processor.readRegister(RAX), 0x40011n)
  processor.writeRegister(RAX, 63n)
  processor.host.vmcall()
  assert.equal(processor.readRegister(RAX), 0xffffffffn - BigInt(XEN_ENOSYS) + 1n)
})

test('a debug hypervisor leaves poison in the registers of the arguments', () => {
  const host = new TestHost({ clobbersArguments: true })
  const guest = host.guest()
  guest.call(abi.__HYPERVISOR_xen_version, [XENVER_version, 5, 6])
  assert.equal(guest.processor().readRegister(RDI), 0xbeefbeefbeefbeefn)
  assert.equal(guest.processor().readRegister(RSI), 0xbeefbeefbeefbeefn)
  guest.call(63, [7])
  assert.equal(guest.processor().readRegister(RDI), 7n, 'not for what does not exist')
})

test('a trace tells name, arguments and result', () => {
  const events: HypercallRecord[] = []
  const host = new TestHost()
  const stop = host.hypervisor.trace.listen(['hypercalls'], (record) => {
    events.push(record as HypercallRecord)
  })
  const guest = host.guest()
  guest.call(abi.__HYPERVISOR_sched_op, [3, NOWHERE])
  assert.equal(events.length, 1)
  assert.equal(events[0]?.name, 'sched_op SCHEDOP_poll')
  assert.deepEqual(events[0]?.parameters, ['cmd', 'arg'])
  assert.equal(events[0]?.result, -XEN_EFAULT)
  assert.deepEqual(host.hypervisor.counters.snapshot().get('sched_op SCHEDOP_poll'), {
    calls: 1,
    errors: 1,
  })
  stop()
  guest.call(abi.__HYPERVISOR_sched_op, [3, NOWHERE])
  assert.equal(events.length, 1, 'it is over')
})

test('every hypercall has a name of its own from the header', () => {
  const names = [...HYPERCALLS.values()].map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  assert.ok(names.every((name) => !name.startsWith('hypercall_')))
  assert.equal(HYPERCALLS.get(12)?.operations?.get(7), 'XENMEM_add_to_physmap')
})

test('whatever a guest passes, a hypercall answers', () => {
  const host = new TestHost({ hasGuestConsole: true })
  const guest = host.guest({ vcpus: 3 }, 16)
  let seed = 12345
  const random = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return seed
  }
  const interesting = [0n, 1n, 0x8000n, 0x8ff8n, NOWHERE, 0xffffffffffffffffn, 1n << 63n]
  for (let i = 0; i < 4000; i++) {
    guest.width = random() & 0x10000 ? 64 : 32
    guest.put(
      0x8000 + (random() & 0xff8),
      new Uint8Array(new Uint32Array([random(), random() >>> 20]).buffer),
    )
    const number = [...HYPERCALLS.keys()][(random() >>> 8) % HYPERCALLS.size] as number
    const args = [BigInt((random() >>> 8) % 32)]
    for (let k = 0; k < 4; k++)
      args.push(interesting[(random() >>> 8) % interesting.length] as bigint)
    const result = guest.call(number, args)
    assert.ok(Number.isInteger(result), `${number}(${args.join()}) = ${result}`)
    guest.domain.resume()
    guest.vcpu(0).bringUp()
    guest.vcpu(0).unblock()
  }
})

function entry(op: number, args: readonly (number | bigint)[], width: 32 | 64 = 64): Uint8Array {
  const all = [0, 0, 0, 0, 0, 0].map((_, i) => BigInt(args[i] ?? 0))
  return abi.multicall_entry.encode(width, { op: BigInt(op), result: 77n, args: all })
}

test('multicall makes each call and writes each result', () => {
  const guest = new TestHost().guest()
  guest.put(0x9000, entry(abi.__HYPERVISOR_xen_version, [0]))
  guest.put(0x9040, entry(63, []))
  guest.put(0x9080, entry(abi.__HYPERVISOR_multicall, [0x9000, 1]))
  assert.equal(guest.call(abi.__HYPERVISOR_multicall, [0x9000, 3]), 0)
  const result = (i: number) =>
    BigInt.asIntN(64, guest.read(abi.multicall_entry, 0x9000 + 64 * i).result)
  assert.deepEqual([0, 1, 2].map(result), [0x40011n, -BigInt(XEN_ENOSYS), -BigInt(XEN_EINVAL)])
})

test('multicall of a 32-bit guest has shorter entries', () => {
  const guest = new TestHost().guest()
  guest.width = 32
  guest.put(0x9000, entry(abi.__HYPERVISOR_xen_version, [0], 32))
  assert.equal(guest.call(abi.__HYPERVISOR_multicall, [0x9000, 1]), 0)
  assert.equal(guest.read(abi.multicall_entry, 0x9000).result, 0x40011n)
})

test('a long multicall is made in several goes, and ends where its list does', () => {
  const guest = new TestHost().guest()
  for (let i = 0; i < 700; i++) {
    guest.put(0x10000 + 64 * i, entry(abi.__HYPERVISOR_xen_version, [0]))
  }
  assert.equal(guest.call(abi.__HYPERVISOR_multicall, [0x10000, 700]), 0)
  assert.equal(guest.read(abi.multicall_entry, 0x10000 + 64 * 699).result, 0x40011n)
  // The guest has 64 pages: its list runs out of memory.
  assert.equal(guest.call(abi.__HYPERVISOR_multicall, [0x3f000, 100]), -XEN_EFAULT)
  assert.equal(guest.call(abi.__HYPERVISOR_multicall, [NOWHERE, 1]), -XEN_EFAULT)
})

test('a call of a multicall that takes several goes is taken up again', () => {
  const host = new TestHost({
    hasGuestConsole: true,
    onConsole: (_, text) => lengths.push(text.length),
  })
  const lengths: number[] = []
  const guest = host.guest()
  guest.put(0x9000, entry(abi.__HYPERVISOR_console_io, [0, 10_000, 0x10000]))
  guest.put(0x9040, entry(abi.__HYPERVISOR_xen_version, [0]))
  assert.equal(guest.call(abi.__HYPERVISOR_multicall, [0x9000, 2]), 0)
  assert.deepEqual(lengths, [4096, 4096, 1808])
  assert.equal(guest.read(abi.multicall_entry, 0x9040).result, 0x40011n)
})

test('the console of Xen is for guests only where it was built for debugging', () => {
  const texts: string[] = []
  const onConsole = (_: unknown, text: Uint8Array) => texts.push(String.fromCharCode(...text))
  const write = (host: TestHost) => {
    const guest = host.guest()
    guest.put(0x9000, new Uint8Array([0x68, 0x69, 0x0a]))
    return guest.call(abi.__HYPERVISOR_console_io, [abi.CONSOLEIO_write, 3, 0x9000])
  }
  assert.equal(write(new TestHost({ onConsole })), -XEN_EPERM)
  assert.equal(write(new TestHost({ onConsole, hasGuestConsole: true })), 0)
  assert.deepEqual(texts, ['hi\n'])
  const guest = new TestHost({ hasGuestConsole: true }).guest()
  assert.equal(guest.call(abi.__HYPERVISOR_console_io, [abi.CONSOLEIO_read, 3, 0x9000]), -XEN_EPERM)
  assert.equal(guest.call(abi.__HYPERVISOR_console_io, [2, 3, 0x9000]), -XEN_ENOSYS)
  assert.equal(
    guest.call(abi.__HYPERVISOR_console_io, [abi.CONSOLEIO_write, 3, NOWHERE]),
    -XEN_EFAULT,
  )
})

test('vm_assist knows one kind for HVM guests', () => {
  const guest = new TestHost().guest()
  const assist = (command: number, type: number) =>
    guest.call(abi.__HYPERVISOR_vm_assist, [command, type])
  assert.equal(assist(abi.VMASST_CMD_enable, abi.VMASST_TYPE_runstate_update_flag), 0)
  assert.equal(guest.domain.vmAssist, 1 << 5)
  assert.equal(assist(abi.VMASST_CMD_disable, abi.VMASST_TYPE_runstate_update_flag), 0)
  assert.equal(guest.domain.vmAssist, 0)
  assert.equal(assist(abi.VMASST_CMD_enable, abi.VMASST_TYPE_4gb_segments), -XEN_EINVAL)
  assert.equal(assist(5, abi.VMASST_TYPE_runstate_update_flag), -XEN_ENOSYS)
})

test('set_timer_op sets the singleshot timer, and gives a tick to those who mean never', () => {
  const host = new TestHost()
  const guest = host.guest()
  const { singleshot } = guest.vcpu(0)
  const set = (...args: (number | bigint)[]) => guest.call(abi.__HYPERVISOR_set_timer_op, args)
  assert.equal(set(5000), 0)
  assert.equal(singleshot.deadline, 5000)
  assert.equal(set(0), 0)
  assert.equal(singleshot.isSet, false)
  set(-1n)
  assert.equal(singleshot.deadline, 100_000_000)
  guest.width = 32
  set(7, 1)
  assert.equal(singleshot.deadline, 2 ** 32 + 7)
})

test('physical devices are not for a PVH guest', () => {
  const guest = new TestHost().guest()
  const op = (operation: number, at: number | bigint = guest.argument) =>
    guest.call(abi.__HYPERVISOR_physdev_op, [operation, at])
  assert.equal(op(13), -XEN_EPERM)
  assert.equal(op(13, NOWHERE), -XEN_EFAULT)
  for (const operation of [5, 6, 8, 12, 21, 23, 25, 28, 30])
    assert.equal(op(operation), -XEN_ENOSYS)
})

test('mmuext_op has nothing for a translated domain', () => {
  const guest = new TestHost().guest()
  const op = (at: number | bigint, count: number) =>
    guest.call(abi.__HYPERVISOR_mmuext_op, [at, count, 0, abi.DOMID_SELF])
  assert.equal(op(guest.argument, 0), 0)
  assert.equal(op(guest.argument, 1), -XEN_EOPNOTSUPP)
  assert.equal(op(NOWHERE, 1), -XEN_EFAULT)
})

test('domains get the next free number, and give everything back when they end', () => {
  const host = new TestHost()
  const free = host.frames.freeFrames
  const first = host.guest()
  const second = host.guest()
  assert.deepEqual([first.domain.domid, second.domain.domid], [1, 2])
  host.hypervisor.destroyDomain(first.domain)
  assert.equal(host.guest().domain.domid, 3)
  for (const domain of [...host.hypervisor.domainsInOrder()]) {
    if (domain.domid !== 0) host.hypervisor.destroyDomain(domain)
  }
  assert.equal(host.frames.freeFrames, free)
  assert.equal(host.timers.size, 0)
  assert.throws(
    () => host.hypervisor.createDomain({ name: 'x', vcpus: 1, maxPages: 1 }, 0),
    UserError,
  )
})

test('a domain that has used everything gives everything back', () => {
  const host = new TestHost()
  const free = host.frames.freeFrames
  const guest = host.guest()
  const { domain } = guest
  domain.events.initControl(20n, 0, 0)
  domain.events.initControl(20n, 128, 1)
  domain.events.expandArray(21n)
  domain.grants.grow(5)
  domain.grants.setVersion(2)
  domain.channels.bindVirq(abi.VIRQ_TIMER, 0)
  guest.put(0x8000, new Uint8Array(new BigUint64Array([22n, 0n]).buffer))
  assert.equal(guest.call(abi.__HYPERVISOR_vcpu_op, [10, 0, 0x8000]), 0)
  guest.vcpu(0).singleshot.set(5000)
  guest.vcpu(0).setPeriod(2_000_000)
  host.hypervisor.destroyDomain(domain)
  assert.equal(host.frames.freeFrames, free)
  assert.equal(host.timers.size, 0)
})

// vcpu_op (public/vcpu.h): the domain's processors, their timers, and the areas of guest memory
// that Xen keeps for them. A processor that does not exist is answered before anything is read:
// Linux asks for thousands.

import {
  XEN_EEXIST,
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOENT,
  XEN_ENOSYS,
  XEN_ETIME,
} from '../abi/errno.ts'
import {
  VCPU_SSHOTTMR_future,
  VCPUOP_down,
  VCPUOP_get_physid,
  VCPUOP_get_runstate_info,
  VCPUOP_initialise,
  VCPUOP_is_up,
  VCPUOP_register_runstate_memory_area,
  VCPUOP_register_vcpu_info,
  VCPUOP_register_vcpu_time_memory_area,
  VCPUOP_send_nmi,
  VCPUOP_set_periodic_timer,
  VCPUOP_set_singleshot_timer,
  VCPUOP_stop_periodic_timer,
  VCPUOP_stop_singleshot_timer,
  VCPUOP_up,
  vcpu_register_runstate_memory_area,
  vcpu_register_time_memory_area,
  vcpu_register_vcpu_info,
  vcpu_runstate_info,
  vcpu_set_periodic_timer,
  vcpu_set_singleshot_timer,
} from '../abi/vcpu.ts'
import { VCPU_INFO_SIZE, vcpu_time_info } from '../abi/xen.ts'
import { SHUTDOWN_poweroff } from '../abi/sched.ts'
import type { Vcpu } from '../vcpu.ts'
import { type Answer, type Call, pointer, uint } from './call.ts'
import { readVcpuContext } from './vcpu-context.ts'

const PAGE = 4096
const MIN_PERIOD_NS = 1_000_000n

export function vcpuOp(call: Call, args: readonly bigint[]): Answer {
  const target = call.domain.vcpus[uint(args, 1)]
  if (!target) return -XEN_ENOENT
  const address = pointer(args, 2)
  const { guest, vcpu } = call
  switch (uint(args, 0)) {
    case VCPUOP_initialise:
      return initialise(call, target, address)
    case VCPUOP_up:
      if (!target.isInitialised) return -XEN_EINVAL
      target.bringUp()
      return 0
    case VCPUOP_down:
      return takeDown(target)
    case VCPUOP_is_up:
      return target.isUp ? 1 : 0
    case VCPUOP_get_runstate_info: {
      const values = target.runstate.values(call.world.now())
      return guest.write(vcpu_runstate_info, address, values) ? 0 : -XEN_EFAULT
    }
    case VCPUOP_register_runstate_memory_area: {
      const area = guest.read(vcpu_register_runstate_memory_area, address)
      const at = area && handleOf(call, area['addr.p'])
      if (at === undefined) return -XEN_EFAULT
      if (!guest.isArrayPossible(at, 1, vcpu_runstate_info.size(guest.width))) return -XEN_EFAULT
      target.runstateArea = at === 0n ? null : { address: at, width: guest.width }
      // Through the caller's address space, whose kernel is the same.
      if (at !== 0n) guest.write(vcpu_runstate_info, at, target.runstate.values(call.world.now()))
      return 0
    }
    case VCPUOP_set_periodic_timer: {
      const timer = guest.read(vcpu_set_periodic_timer, address)
      if (!timer) return -XEN_EFAULT
      if (timer.period_ns < MIN_PERIOD_NS) return -XEN_EINVAL
      target.setPeriod(Number(timer.period_ns))
      return 0
    }
    case VCPUOP_stop_periodic_timer:
      target.setPeriod(0)
      return 0
    case VCPUOP_set_singleshot_timer: {
      if (target !== vcpu) return -XEN_EINVAL
      const timer = guest.read(vcpu_set_singleshot_timer, address)
      if (!timer) return -XEN_EFAULT
      const deadline = Number(timer.timeout_abs_ns)
      const mustBeFuture = (timer.flags & VCPU_SSHOTTMR_future) !== 0
      if (mustBeFuture && deadline < call.world.now()) return -XEN_ETIME
      target.singleshot.set(deadline)
      return 0
    }
    case VCPUOP_stop_singleshot_timer:
      if (target !== vcpu) return -XEN_EINVAL
      target.singleshot.cancel()
      return 0
    case VCPUOP_register_vcpu_info: {
      const info = guest.read(vcpu_register_vcpu_info, address)
      if (!info) return -XEN_EFAULT
      return moveVcpuInfo(call, target, info.mfn, info.offset)
    }
    case VCPUOP_send_nmi:
      if (address !== 0n) return -XEN_EINVAL
      target.sendNmi()
      return 0
    case VCPUOP_get_physid:
      // Only for processors of the hardware domain that are pinned.
      return -XEN_EINVAL
    case VCPUOP_register_vcpu_time_memory_area: {
      const area = guest.read(vcpu_register_time_memory_area, address)
      const at = area && handleOf(call, area['addr.p'])
      if (at === undefined) return -XEN_EFAULT
      if (!guest.isArrayPossible(at, 1, vcpu_time_info.size(64))) return -XEN_EFAULT
      target.timeArea = at === 0n ? null : { address: at, width: guest.width }
      target.stampTime(call.world.now())
      return 0
    }
    default:
      return -XEN_ENOSYS
  }
}

/** The pointer in a union with a u64: a 32-bit guest's has 4 bytes, whatever lies behind them. */
function handleOf(call: Call, value: bigint): bigint {
  return BigInt.asUintN(call.guest.width, value)
}

function initialise(call: Call, target: Vcpu, address: bigint): number {
  if (!target.info.exists) return -XEN_EINVAL
  const context = readVcpuContext(call.guest, address)
  if (typeof context === 'number') return context
  if (target.isInitialised) return -XEN_EEXIST
  if (!target.processor.load(context)) return -XEN_EINVAL
  target.isInitialised = true
  return 0
}

function takeDown(target: Vcpu): number {
  const { domain } = target
  const isLast = domain.vcpus.every((vcpu) => vcpu === target || !vcpu.isUp)
  if (isLast) domain.shutDown(SHUTDOWN_poweroff)
  else target.takeDown()
  return 0
}

function moveVcpuInfo(call: Call, target: Vcpu, gfn: bigint, offset: number): number {
  if (target.info.isRegistered) return -XEN_EINVAL
  if (offset > PAGE - VCPU_INFO_SIZE) return -XEN_EINVAL
  if (target !== call.vcpu && target.isUp) return -XEN_EINVAL
  const mfn = call.domain.takeFrame(gfn)
  if (mfn === undefined) return -XEN_EINVAL
  target.info.moveTo(mfn, offset)
  target.stampTime(call.world.now())
  // What happened meanwhile may have been noted in either place: let the guest look at all of it.
  target.info.testAndSetUpcallPending()
  target.info.setAllSelectors()
  target.upcall()
  return 0
}

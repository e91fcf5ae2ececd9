// sched_op (public/sched.h): giving the processor up, waiting, and ending.

import {
  XEN_EFAULT,
  XEN_EINVAL,
  XEN_ENOSPC,
  XEN_ENOSYS,
  XEN_EPERM,
  XEN_ESRCH,
} from '../abi/errno.ts'
import {
  SCHEDOP_block,
  SCHEDOP_pin_override,
  SCHEDOP_poll,
  SCHEDOP_remote_shutdown,
  SCHEDOP_shutdown,
  SCHEDOP_shutdown_code,
  SCHEDOP_watchdog,
  SCHEDOP_yield,
  sched_pin_override,
  sched_poll,
  sched_remote_shutdown,
  sched_shutdown,
  sched_watchdog,
} from '../abi/sched.ts'
import type { Domain } from '../domain.ts'
import { type Answer, type Call, pointer, uint } from './call.ts'

const MAX_POLL_PORTS = 128
const NS_PER_SECOND = 1_000_000_000

export function schedOp(call: Call, args: readonly bigint[]): Answer {
  const { guest, domain, vcpu, world } = call
  const address = pointer(args, 1)
  switch (uint(args, 0)) {
    case SCHEDOP_yield:
      vcpu.processor.requestExit()
      return 0
    case SCHEDOP_block:
      if (!vcpu.hasDeliverable) vcpu.block()
      return 0
    case SCHEDOP_shutdown: {
      const shutdown = guest.read(sched_shutdown, address)
      if (!shutdown) return -XEN_EFAULT
      domain.shutDown(shutdown.reason & 0xff)
      return 0
    }
    case SCHEDOP_poll:
      return poll(call, address)
    case SCHEDOP_remote_shutdown: {
      const remote = guest.read(sched_remote_shutdown, address)
      if (!remote) return -XEN_EFAULT
      return world.domain(remote.domain_id) ? -XEN_EPERM : -XEN_ESRCH
    }
    case SCHEDOP_shutdown_code: {
      const shutdown = guest.read(sched_shutdown, address)
      if (!shutdown) return -XEN_EFAULT
      domain.shutdownCode ??= shutdown.reason & 0xff
      return 0
    }
    case SCHEDOP_watchdog: {
      const watchdog = guest.read(sched_watchdog, address)
      if (!watchdog) return -XEN_EFAULT
      return setWatchdog(domain, watchdog.id, watchdog.timeout)
    }
    case SCHEDOP_pin_override:
      return guest.read(sched_pin_override, address) ? -XEN_EPERM : -XEN_EFAULT
    default:
      return -XEN_ENOSYS
  }
}

function poll({ guest, domain, vcpu }: Call, address: bigint): number {
  const request = guest.read(sched_poll, address)
  if (!request) return -XEN_EFAULT
  const { ports, nr_ports, timeout } = request
  if (nr_ports > MAX_POLL_PORTS) return -XEN_EINVAL
  if (!guest.isArrayPossible(ports, nr_ports, 4)) return -XEN_EFAULT
  if (vcpu.hasDeliverable) return 0
  let only = 0
  for (let i = 0; i < nr_ports; i++) {
    const port = guest.readU32(ports, i)
    if (port === undefined) return -XEN_EFAULT
    if (!domain.channels.isValid(port)) return -XEN_EINVAL
    if (domain.channels.isPending(port)) return 0
    only = port
  }
  vcpu.poll(nr_ports === 1 ? only : 0, timeout === 0n ? undefined : Number(timeout))
  return 0
}

/** Starts a watchdog (id 0), or gives a running one more time; 0 seconds stops it. */
function setWatchdog(domain: Domain, id: number, seconds: number): number {
  const { watchdogs } = domain
  if (id > watchdogs.length) return -XEN_EINVAL
  const deadline = domain.now() + seconds * NS_PER_SECOND
  if (id === 0) {
    if (seconds === 0) return -XEN_EINVAL
    const free = watchdogs.findIndex(({ isUsed }) => !isUsed)
    const watchdog = watchdogs[free]
    if (!watchdog) return -XEN_ENOSPC
    watchdog.isUsed = true
    watchdog.timer.set(deadline)
    return free + 1
  }
  const watchdog = watchdogs[id - 1]
  if (!watchdog?.isUsed) return -XEN_EINVAL
  if (seconds === 0) {
    watchdog.timer.cancel()
    watchdog.isUsed = false
  } else {
    watchdog.timer.set(deadline)
  }
  return 0
}

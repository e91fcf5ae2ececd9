// event_channel_op (public/event_channel.h). A result is copied out even after an operation that
// cannot be undone; the guest then hears -EFAULT, as on Xen.

import { XEN_EFAULT, XEN_EINVAL, XEN_ENOSYS } from '../abi/errno.ts'
import {
  EVTCHN_FIFO_LINK_BITS,
  EVTCHNOP_alloc_unbound,
  EVTCHNOP_bind_interdomain,
  EVTCHNOP_bind_ipi,
  EVTCHNOP_bind_pirq,
  EVTCHNOP_bind_vcpu,
  EVTCHNOP_bind_virq,
  EVTCHNOP_close,
  EVTCHNOP_expand_array,
  EVTCHNOP_init_control,
  EVTCHNOP_reset,
  EVTCHNOP_send,
  EVTCHNOP_set_priority,
  EVTCHNOP_status,
  EVTCHNOP_unmask,
  EVTCHNSTAT_closed,
  EVTCHNSTAT_interdomain,
  EVTCHNSTAT_ipi,
  EVTCHNSTAT_pirq,
  EVTCHNSTAT_unbound,
  EVTCHNSTAT_virq,
  evtchn_alloc_unbound,
  evtchn_bind_interdomain,
  evtchn_bind_ipi,
  evtchn_bind_pirq,
  evtchn_bind_vcpu,
  evtchn_bind_virq,
  evtchn_close,
  evtchn_expand_array,
  evtchn_init_control,
  evtchn_reset,
  evtchn_set_priority,
  evtchn_status,
} from '../abi/event-channel.ts'
import {
  EVTCHN_EXTENDED_L3,
  EVTCHNOP_query_extended_abis,
  EVTCHNOP_register_3level,
  evtchn_query_extended_abis,
  evtchn_register_3level,
  evtchn_register_3level_l2,
  REGISTER_BITMAP,
  REGISTER_L2_SELECTOR,
} from '../abi/event-channel-3l.ts'
import type { AbiFields, Structure, Values } from '../abi/structure.ts'
import { DOMID_SELF } from '../abi/xen.ts'
import { PortState } from '../event-port.ts'
import type { GuestAccess } from '../guest-access.ts'
import { type Answer, type Call, pointer, targetDomain, uint } from './call.ts'

/** There is more to do: EVTCHNOP_reset is to be called again. */
const AGAIN = Symbol('again')

/** Ports that a go of EVTCHNOP_reset closes. */
const PORTS_PER_RESET = 4096

/** Ports looked at in search of a free one that cost the guest's turn one unit of effort. */
const PORTS_PER_EFFORT = 64

/** Reads the argument, acts, and copies out what the action answers as new values. */
type Operation = (call: Call, address: bigint) => Answer

function operation<F extends AbiFields>(
  structure: Structure<F>,
  act: (call: Call, values: Values<F>) => number | typeof AGAIN | Partial<Values<F>>,
): Operation {
  return (call, address) => {
    const values = call.guest.read(structure, address)
    if (!values) return -XEN_EFAULT
    const result = act(call, values)
    if (typeof result === 'number') return result
    if (result === AGAIN) return { again: [BigInt(EVTCHNOP_reset), address] }
    return call.guest.write(structure, address, { ...values, ...result }) ? 0 : -XEN_EFAULT
  }
}

/** The same for an argument that is nothing but a port: the ones that guests call all the time. */
function portOperation(act: (call: Call, port: number) => number): Operation {
  return (call, address) => {
    const port = call.guest.readU32(address, 0)
    return port === undefined ? -XEN_EFAULT : act(call, port)
  }
}

/** A port number goes to the guest, an error is the answer. */
function portAs<K extends string>(key: K, port: number): number | Record<K, number> {
  return port < 0 ? port : ({ [key]: port } as Record<K, number>)
}

const OPERATIONS: ReadonlyMap<number, Operation> = new Map([
  [
    EVTCHNOP_alloc_unbound,
    operation(evtchn_alloc_unbound, (call, { dom, remote_dom }) => {
      const domain = targetDomain(call, dom)
      if (typeof domain === 'number') return domain
      const remote = remote_dom === DOMID_SELF ? call.domain.domid : remote_dom
      return portAs('port', domain.channels.allocUnbound(remote))
    }),
  ],
  [
    EVTCHNOP_bind_interdomain,
    operation(evtchn_bind_interdomain, ({ domain }, { remote_dom, remote_port }) => {
      const remote = remote_dom === DOMID_SELF ? domain.domid : remote_dom
      return portAs('local_port', domain.channels.bindInterdomain(remote, remote_port))
    }),
  ],
  [
    EVTCHNOP_bind_virq,
    operation(evtchn_bind_virq, ({ domain }, { virq, vcpu }) =>
      portAs('port', domain.channels.bindVirq(virq, vcpu)),
    ),
  ],
  [
    EVTCHNOP_bind_ipi,
    operation(evtchn_bind_ipi, ({ domain }, { vcpu }) =>
      portAs('port', domain.channels.bindIpi(vcpu)),
    ),
  ],
  [
    EVTCHNOP_bind_pirq,
    operation(evtchn_bind_pirq, ({ domain }, { pirq }) =>
      portAs('port', domain.channels.bindPirq(pirq)),
    ),
  ],
  [EVTCHNOP_close, operation(evtchn_close, ({ domain }, { port }) => domain.channels.close(port))],
  [EVTCHNOP_send, portOperation(({ domain }, port) => domain.channels.send(port))],
  [EVTCHNOP_status, operation(evtchn_status, status)],
  [
    EVTCHNOP_bind_vcpu,
    operation(evtchn_bind_vcpu, ({ domain }, { port, vcpu }) =>
      domain.channels.bindVcpu(port, vcpu),
    ),
  ],
  [EVTCHNOP_unmask, portOperation(({ domain }, port) => domain.channels.unmask(port))],
  [
    EVTCHNOP_reset,
    operation(evtchn_reset, (call, { dom }) => {
      const domain = targetDomain(call, dom)
      if (typeof domain === 'number') return domain
      return domain.events.reset(PORTS_PER_RESET) ? 0 : AGAIN
    }),
  ],
  [
    EVTCHNOP_init_control,
    operation(evtchn_init_control, ({ domain }, { control_gfn, offset, vcpu }) => {
      const result = domain.events.initControl(control_gfn, offset, vcpu)
      return result < 0 ? result : { link_bits: EVTCHN_FIFO_LINK_BITS }
    }),
  ],
  [
    EVTCHNOP_expand_array,
    operation(evtchn_expand_array, ({ domain }, { array_gfn }) =>
      domain.events.expandArray(array_gfn),
    ),
  ],
  [
    EVTCHNOP_set_priority,
    operation(evtchn_set_priority, ({ domain }, { port, priority }) =>
      domain.channels.setPriority(port, priority),
    ),
  ],
  [
    EVTCHNOP_query_extended_abis,
    operation(evtchn_query_extended_abis, ({ domain }) =>
      domain.events.allows('3l') ? { abis: BigInt(EVTCHN_EXTENDED_L3) } : -XEN_ENOSYS,
    ),
  ],
  [EVTCHNOP_register_3level, operation(evtchn_register_3level, registerThreeLevel)],
])

/** Longs that a list of bitmap pages may have; more is refused unread. */
const MAX_BITMAP_PAGES = 8

function registerThreeLevel(
  { domain, guest }: Call,
  values: ReturnType<(typeof evtchn_register_3level)['decode']>,
): number {
  if (!domain.events.allows('3l')) return -XEN_ENOSYS
  switch (values.cmd) {
    case REGISTER_BITMAP: {
      if (values.nr_pages > MAX_BITMAP_PAGES) return -XEN_EINVAL
      const pending = longsAt(guest, values.evtchn_pending, values.nr_pages)
      const mask = longsAt(guest, values.evtchn_mask, values.nr_pages)
      if (!pending || !mask) return -XEN_EFAULT
      return domain.events.registerBitmaps(pending, mask)
    }
    case REGISTER_L2_SELECTOR: {
      const bytes = evtchn_register_3level.encode(guest.width, values)
      const { cpu_id, gfn, offset } = evtchn_register_3level_l2.decode(guest.width, bytes)
      return domain.events.registerSelector(cpu_id, gfn, offset)
    }
    default:
      return -XEN_ENOSYS
  }
}

function longsAt(guest: GuestAccess, array: bigint, count: number): bigint[] | undefined {
  const longs = Array.from({ length: count }, (_, i) => guest.readLong(array, i))
  return longs.some((long) => long === undefined) ? undefined : (longs as bigint[])
}

export function eventChannelOp(call: Call, args: readonly bigint[]): Answer {
  const { channels } = call.domain
  const before = channels.scanned
  const answer = OPERATIONS.get(uint(args, 0))?.(call, pointer(args, 1)) ?? -XEN_ENOSYS
  const effort = Math.floor((channels.scanned - before) / PORTS_PER_EFFORT)
  if (effort > 0) call.vcpu.processor.exert(effort)
  return answer
}

const STATUS: Readonly<Record<PortState, number>> = {
  [PortState.free]: EVTCHNSTAT_closed,
  [PortState.reserved]: EVTCHNSTAT_closed,
  [PortState.unbound]: EVTCHNSTAT_unbound,
  [PortState.interdomain]: EVTCHNSTAT_interdomain,
  [PortState.pirq]: EVTCHNSTAT_pirq,
  [PortState.virq]: EVTCHNSTAT_virq,
  [PortState.ipi]: EVTCHNSTAT_ipi,
}

function status(
  call: Call,
  { dom, port: number }: Values<{ dom: 'u16'; port: 'u32' }>,
): number | Partial<Record<'status' | 'vcpu' | 'u.virq' | 'u.interdomain.port', number>> {
  const domain = targetDomain(call, dom)
  if (typeof domain === 'number') return domain
  const port = domain.channels.port(number)
  if (!port) return -XEN_EINVAL
  const common = { status: STATUS[port.state], vcpu: port.vcpu }
  switch (port.state) {
    case PortState.unbound:
      return { ...common, 'u.virq': port.remoteDomid }
    case PortState.interdomain:
      return { ...common, 'u.virq': port.remoteDomid, 'u.interdomain.port': port.remotePort }
    case PortState.virq:
    case PortState.pirq:
      return { ...common, 'u.virq': port.source }
    default:
      return common
  }
}

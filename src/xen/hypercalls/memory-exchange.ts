// XENMEM_exchange: a PVH guest cannot use it, because the frames behind its memory are not its
// concern; but the arguments are checked first, and what was asked is answered (XSA-29, XSA-212).

import { XEN_EFAULT, XEN_EINVAL, XEN_EPERM } from '../abi/errno.ts'
import { xen_memory_exchange } from '../abi/memory.ts'
import { type Call, targetDomain } from './call.ts'
import { MAX_ORDER } from './memory-reservation.ts'

export function exchange(call: Call, address: bigint): number {
  const { guest } = call
  const request = guest.read(xen_memory_exchange, address)
  if (!request) return -XEN_EFAULT
  // How far it got is told even when it got nowhere.
  const tell = (result: number) =>
    guest.writeField(xen_memory_exchange, address, 'nr_exchanged', request.nr_exchanged)
      ? result
      : -XEN_EFAULT
  const inOrder = request['in.extent_order']
  const outOrder = request['out.extent_order']
  if (Math.max(inOrder, outOrder) > MAX_ORDER) return tell(-XEN_EPERM)
  const inCount = request['in.nr_extents']
  const outCount = request['out.nr_extents']
  const most = (1n << BigInt(guest.width)) - 1n
  const isPlausible =
    request.nr_exchanged <= inCount &&
    request['in.domid'] === request['out.domid'] &&
    most >> BigInt(inOrder) >= inCount &&
    most >> BigInt(outOrder) >= outCount &&
    inCount << BigInt(inOrder) === outCount << BigInt(outOrder)
  if (!isPlausible) return tell(-XEN_EINVAL)
  const arePossible =
    guest.isArrayPossible(request['in.extent_start'], inCount, guest.longSize) &&
    guest.isArrayPossible(request['out.extent_start'], outCount, guest.longSize)
  if (!arePossible) return tell(-XEN_EFAULT)
  const domain = targetDomain(call, request['in.domid'])
  if (typeof domain === 'number') return tell(domain)
  const next = request['in.extent_start'] + request.nr_exchanged * BigInt(guest.longSize)
  if (request.nr_exchanged === inCount) return tell(0)
  if (guest.readLong(next, 0) === undefined) return tell(-XEN_EFAULT)
  // No frame can be taken from a translated domain (XSA-217).
  return tell(-XEN_EINVAL)
}

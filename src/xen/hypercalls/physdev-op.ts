// physdev_op (public/physdev.h): a PVH domU has no physical interrupts and no devices. Only the
// operations that any HVM guest may try get past the door.

import { XEN_EFAULT, XEN_ENOSYS, XEN_EPERM } from '../abi/errno.ts'
import { PHYSDEVOP_map_pirq, PHYSDEVOP_unmap_pirq } from '../abi/physdev.ts'
import { type Answer, type Call, pointer, uint } from './call.ts'

export function physdevOp(call: Call, args: readonly bigint[]): Answer {
  switch (uint(args, 0)) {
    case PHYSDEVOP_map_pirq:
    case PHYSDEVOP_unmap_pirq:
      return call.guest.readBytes(pointer(args, 1), 4) ? -XEN_EPERM : -XEN_EFAULT
    default:
      return -XEN_ENOSYS
  }
}

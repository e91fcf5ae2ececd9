// vm_assist: of all the assistance that Xen knows, an HVM guest can have one kind, the flag that
// shows when its run state is being updated.

import { XEN_EINVAL, XEN_ENOSYS } from '../abi/errno.ts'
import {
  VMASST_CMD_disable,
  VMASST_CMD_enable,
  VMASST_TYPE_runstate_update_flag,
} from '../abi/xen.ts'
import { type Answer, type Call, uint } from './call.ts'

export function vmAssist(call: Call, args: readonly bigint[]): Answer {
  const type = uint(args, 1)
  if (type !== VMASST_TYPE_runstate_update_flag) return -XEN_EINVAL
  switch (uint(args, 0)) {
    case VMASST_CMD_enable:
      call.domain.vmAssist |= 1 << type
      return 0
    case VMASST_CMD_disable:
      call.domain.vmAssist &= ~(1 << type)
      return 0
    default:
      return -XEN_ENOSYS
  }
}

// Hypercalls that exist for others: those of the toolstack, and features that are switched off.
// Privileged ones are refused before any argument is looked at.

import { XEN_EOPNOTSUPP, XEN_EFAULT, XEN_ENOSYS, XEN_EPERM } from '../abi/errno.ts'
import { type Answer, type Call, type Handler, pointer } from './call.ts'

/** For the control domain only. */
export const privileged: Handler = () => -XEN_EPERM

/** Known, and switched off. */
export const switchedOff: Handler = () => -XEN_EOPNOTSUPP

/** No security module is loaded. */
export const xsmOp: Handler = () => -XEN_ENOSYS

/** mmuext_op of a translated domain: its page tables are its own affair. */
export function mmuextOp(call: Call, args: readonly bigint[]): Answer {
  const count = Number(BigInt.asUintN(31, args[1] ?? 0n))
  if (count === 0) return 0
  return call.guest.readBytes(pointer(args, 0), 4) ? -XEN_EOPNOTSUPP : -XEN_EFAULT
}

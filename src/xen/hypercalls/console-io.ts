// console_io: Xen's own console. Guests without privilege may write to it only where the hypervisor
// was built for debugging.

import { XEN_EFAULT, XEN_ENOSYS, XEN_EPERM } from '../abi/errno.ts'
import { CONSOLEIO_read, CONSOLEIO_write } from '../abi/xen.ts'
import { type Answer, type Call, pointer, uint } from './call.ts'

/** Bytes that are copied in one go. */
const PIECE = 4096

export function consoleIo(call: Call, args: readonly bigint[]): Answer {
  const command = uint(args, 0)
  const count = uint(args, 1)
  const address = pointer(args, 2)
  const isAllowed = command === CONSOLEIO_write && call.world.hasGuestConsole
  if (!isAllowed) {
    return command === CONSOLEIO_write || command === CONSOLEIO_read ? -XEN_EPERM : -XEN_ENOSYS
  }
  const length = Math.min(count, PIECE)
  const text = call.guest.readBytes(address, length)
  if (!text) return -XEN_EFAULT
  call.world.consoleWrite(call.domain, text)
  if (count === length) return 0
  return { again: [BigInt(command), BigInt(count - length), address + BigInt(length)] }
}

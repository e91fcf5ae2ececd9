// multicall (public/xen.h): a list of hypercalls made as one. Each entry's result is written into
// it; only an entry that cannot be copied ends the list. A multicall within one is refused.

import { XEN_EFAULT, XEN_EINVAL } from '../abi/errno.ts'
import { multicall_entry } from '../abi/xen.ts'
import { type Answer, BATCH, type Call, pointer, uint } from './call.ts'

export function multicall(call: Call, args: readonly bigint[]): Answer {
  const { guest, world, vcpu } = call
  if (call.isInMulticall) return -XEN_EINVAL
  const list = pointer(args, 0)
  const count = uint(args, 1)
  const size = multicall_entry.size(guest.width)
  if (!guest.isArrayPossible(list, count, size)) return -XEN_EFAULT
  const inside = { ...call, isInMulticall: true }
  for (let i = 0; i < count; i++) {
    const at = list + BigInt(i * size)
    const rest = () => ({ again: [at, BigInt(count - i)] })
    if (i === BATCH) return rest()
    const entry = guest.read(multicall_entry, at)
    if (!entry) return -XEN_EFAULT
    const answer = world.dispatch(inside, Number(BigInt.asUintN(32, entry.op)), entry.args)
    if (typeof answer !== 'number') {
      // The entry takes up where it stopped, and so does the list.
      const next = [...answer.again, ...entry.args.slice(answer.again.length)]
      return guest.writeField(multicall_entry, at, 'args', next) ? rest() : -XEN_EFAULT
    }
    const isWritten = guest.writeField(multicall_entry, at, 'result', BigInt(answer))
    if (!isWritten) return -XEN_EFAULT
    // Entries after one that gave the processor up wait with it, or until its next turn.
    const isOver = !vcpu.isRunnable || vcpu.processor.isExhausted
    if (isOver && i + 1 < count) {
      return { again: [at + BigInt(size), BigInt(count - i - 1)] }
    }
  }
  return 0
}

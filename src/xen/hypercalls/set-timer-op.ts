// set_timer_op: the older way to set the singleshot timer; 0 stops it.

import { type Answer, type Call, uint } from './call.ts'

/** Guests that mean "never" ask for a time far away or wrapped: Xen gives them a tick instead. */
const FAR_NS = 1n << 50n
const TICK_NS = 100_000_000

export function setTimerOp(call: Call, args: readonly bigint[]): Answer {
  const value =
    call.guest.width === 64
      ? (args[0] ?? 0n)
      : BigInt(uint(args, 0)) | (BigInt(uint(args, 1)) << 32n)
  const timeout = BigInt.asIntN(64, value)
  const { singleshot } = call.vcpu
  const now = call.world.now()
  if (timeout === 0n) singleshot.cancel()
  else if (timeout < 0n || timeout - BigInt(now) > FAR_NS) singleshot.set(now + TICK_NS)
  else singleshot.set(Number(timeout))
  return 0
}

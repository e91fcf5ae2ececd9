// What every hypercall gets, and how it looks up the domains that its arguments name.

import { XEN_EPERM, XEN_ESRCH } from '../abi/errno.ts'
import { DOMID_SELF } from '../abi/xen.ts'
import type { Domain } from '../domain.ts'
import type { GuestAccess } from '../guest-access.ts'
import type { Vcpu } from '../vcpu.ts'

/** What hypercalls need of the hypervisor. */
export interface HypercallWorld {
  now(): number
  /** A domain that exists, dying or not. */
  domain(domid: number): Domain | undefined
  /** One past the highest machine frame. */
  readonly maxFrame: number
  /** Text that a guest writes to Xen's own console. */
  consoleWrite(domain: Domain, text: Uint8Array): void
  /** May unprivileged guests write to Xen's console, as in a debug build. */
  readonly hasGuestConsole: boolean
  /** Runs another hypercall on behalf of a multicall. */
  dispatch(call: Call, number: number, args: readonly bigint[]): Answer
}

export interface Call {
  readonly world: HypercallWorld
  readonly domain: Domain
  readonly vcpu: Vcpu
  readonly guest: GuestAccess
  /** The call is an entry of a multicall. */
  readonly isInMulticall: boolean
}

/**
 * The result for the guest: 0 or more, or an error number negated. Or, for work too long for one
 * go: the arguments with which the same hypercall is to be made again.
 */
export type Answer = number | { readonly again: readonly bigint[] }

/** Arguments are cut to the caller's width; all six are given. */
export type Handler = (call: Call, args: readonly bigint[]) => Answer

/** Elements of a list that one go works on, before the guest may be interrupted. */
export const BATCH = 256

/** An argument as an unsigned 32-bit number. */
export function uint(args: readonly bigint[], index: number): number {
  return Number(BigInt.asUintN(32, args[index] ?? 0n))
}

/** An argument that is an address. */
export function pointer(args: readonly bigint[], index: number): bigint {
  return args[index] ?? 0n
}

/** The domain of that number, which may be DOMID_SELF; an error number if there is none. */
export function anyDomain(call: Call, domid: number): Domain | number {
  if (domid === DOMID_SELF) return call.domain
  return call.world.domain(domid) ?? -XEN_ESRCH
}

/** The same where a guest may only name itself: any other is -EPERM, if it exists. */
export function targetDomain(call: Call, domid: number): Domain | number {
  const found = anyDomain(call, domid)
  return typeof found === 'number' || found === call.domain ? found : -XEN_EPERM
}

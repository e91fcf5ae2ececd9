// Permissions of a node. The first entry names the owner, and its letter is what everybody has
// who is not listed; the other entries list domains. Owners and privileged domains may do all.
// Follows docs/misc/xenstore.txt, SET_PERMS.

import type { Errno } from './wire.ts'

/** n: nothing, r: read, w: write, b: both. */
export type Access = 'n' | 'r' | 'w' | 'b'

export interface Permission {
  readonly domid: number
  readonly access: Access
  /**
   * The entry was made for a domain that is gone, or never was: it is still shown, but a later
   * domain of the same id gets nothing from it.
   */
  readonly isVoid?: true
}

/** Never empty. */
export type Permissions = readonly [Permission, ...Permission[]]

/** Who asks. */
export interface Caller {
  readonly domid: number
  /** May do everything and is bound by no quota: domain 0 and who acts for it. */
  readonly isPrivileged: boolean
  /** A domain whose rights this one has too (SET_TARGET). */
  readonly target?: number | undefined
}

/** What a caller may do with a node: a sum of these. */
export const MAY_READ = 1
export const MAY_WRITE = 2
export const OWNS = 4

const BITS: Record<Access, number> = { n: 0, r: MAY_READ, w: MAY_WRITE, b: MAY_READ | MAY_WRITE }

/** The rights of `caller` on a node: a sum of MAY_READ, MAY_WRITE and OWNS. */
export function rightsOf(caller: Caller, permissions: Permissions): number {
  const [owner, ...listed] = permissions
  const isCaller = (p: Permission): boolean => p.domid === caller.domid || p.domid === caller.target
  if (caller.isPrivileged || isCaller(owner)) return MAY_READ | MAY_WRITE | OWNS
  return BITS[(listed.find((p) => !p.isVoid && isCaller(p)) ?? owner).access]
}

/** As on the wire, e.g. `r5`; ids of more than 31 bits show as negative, as xenstored has it. */
export function formatPermission({ access, domid }: Permission): string {
  return `${access}${domid | 0}`
}

/**
 * Reads what {@link formatPermission} writes, and whatever else C's strtoul takes for a number;
 * at least one entry, else EINVAL.
 */
export function parsePermissions(texts: readonly string[]): Permissions | Errno {
  const entries: Permission[] = []
  for (const text of texts) {
    const [, access, id] = /^([nrwb])\s*([-+]?\d+)$/.exec(text) ?? []
    if (access === undefined || id === undefined) return 'EINVAL'
    entries.push({ access: access as Access, domid: Number(BigInt.asUintN(32, BigInt(id))) })
  }
  const [first, ...others] = entries
  return first ? [first, ...others] : 'EINVAL'
}

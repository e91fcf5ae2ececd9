// How the backend reaches the pages that requests name: by copying under the grant, or, with
// persistent grants, through pages that stay mapped until the frontend disconnects. Each access is
// checked against what the guest grants at that moment.

import type { Hypervisor } from '../../xen/hypervisor.ts'
import {
  copyFromGrant,
  copyToGrant,
  type HostPage,
  mapGrantedPage,
} from '../../xen/host-services.ts'

/** Pages kept mapped at most; Linux's backend keeps as many. Others are copied under their grant. */
const MOST_PERSISTENT = 1056

export class GuestPages {
  readonly #hypervisor: Hypervisor
  readonly #domid: number
  readonly #isPersistent: boolean
  readonly #mapped = new Map<number, HostPage>()

  constructor(hypervisor: Hypervisor, domid: number, isPersistent: boolean) {
    this.#hypervisor = hypervisor
    this.#domid = domid
    this.#isPersistent = isPersistent
  }

  /** Copies from a page of the guest; false if the guest does not grant it. */
  read(ref: number, offset: number, target: Uint8Array): boolean {
    const page = this.#persistent(ref)
    if (!page) return copyFromGrant(this.#hypervisor, this.#domid, ref, offset, target)
    page.copyOut(offset, target)
    return true
  }

  /** Copies into a page of the guest; false if the guest does not grant that. */
  write(ref: number, offset: number, bytes: Uint8Array): boolean {
    const page = this.#persistent(ref)
    if (!page) return copyToGrant(this.#hypervisor, this.#domid, ref, offset, bytes)
    page.write(offset, bytes)
    return true
  }

  release(): void {
    for (const page of this.#mapped.values()) page.release()
    this.#mapped.clear()
  }

  /** Persistent grants are for reading and writing, whatever the first request wants. */
  #persistent(ref: number): HostPage | undefined {
    if (!this.#isPersistent) return undefined
    const known = this.#mapped.get(ref)
    if (known || this.#mapped.size >= MOST_PERSISTENT) return known
    const page = mapGrantedPage(this.#hypervisor, this.#domid, ref)
    if (typeof page === 'number') return undefined
    this.#mapped.set(ref, page)
    return page
  }
}

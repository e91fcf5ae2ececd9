// A model of grants to compare the hypervisor with: domains, their pages by name, entries as the
// guests wrote them, and the mappings. Written from public/grant_table.h and the order of Xen
// 4.17's checks, with plain objects and no reference counts: pages live while somebody has them.

import * as abi from '../../src/xen/abi/grant-table.ts'

const { GNTST_okay, GNTST_general_error, GNTST_bad_page, GNTST_bad_domain } = abi
const TYPE_AND_PART = abi.GTF_type_mask | abi.GTF_sub_page
const MOST_USES = 128
const LOW_PAGES = 20

/** An entry as its guest last wrote it; `used` are the bits by which Xen shows the use. */
export interface ModelEntry {
  flags: number
  domid: number
  gfn: number
  start: number
  length: number
  transitiveDomid: number
  transitiveRef: number
  used: number
}

/** A page of somebody's memory; a name for its contents. */
export interface ModelPage {
  readonly owner: number
  readonly bytes: Uint8Array
}

interface Use {
  readonly by: ModelDomain
  readonly handle: number
  readonly ref: number
  readonly gfn: number
  readonly isReadOnly: boolean
  readonly page: ModelPage
}

export class ModelDomain {
  readonly domid: number
  version: 1 | 2 = 1
  readonly entries = new Map<number, ModelEntry>()
  readonly pages = new Map<number, ModelPage>()
  /** Who has mapped grants of this domain. */
  uses: Use[] = []

  constructor(domid: number) {
    this.domid = domid
  }

  entry(ref: number): ModelEntry {
    const none = { flags: 0, domid: 0, gfn: 0, start: 0, length: 0, used: 0 }
    return this.entries.get(ref) ?? { ...none, transitiveDomid: 0, transitiveRef: 0 }
  }

  /** Low pages are there as well; nothing is granted of them. */
  hasPage(gfn: number): boolean {
    return this.pages.has(gfn) || gfn < LOW_PAGES
  }

  usesOf(ref: number): Use[] {
    return this.uses.filter((use) => use.ref === ref)
  }
}

/** The word that names the frame, whatever the type of the entry makes of it. */
function frameIn(entry: ModelEntry, version: 1 | 2): number {
  const isTransitive = version === 2 && (entry.flags & abi.GTF_type_mask) === abi.GTF_transitive
  return isTransitive ? entry.transitiveRef : entry.gfn
}

interface Part {
  readonly page: ModelPage
  readonly start: number
  readonly length: number
}

export interface CopyEnd {
  /** A grant, or a page of the copier. */
  readonly grant?: { readonly domid: number; readonly ref: number }
  readonly gfn: number
  readonly offset: number
}

export class GrantModel {
  readonly domains: ModelDomain[] = []
  /** Those that have ended: what others have mapped of them lives on. */
  readonly #gone: ModelDomain[] = []
  readonly #entries: (domain: ModelDomain) => number

  /** `entries` says how many references a domain has. */
  constructor(entries: (domain: ModelDomain) => number) {
    this.#entries = entries
  }

  find(domid: number): ModelDomain | undefined {
    return this.domains.find((domain) => domain.domid === domid)
  }

  /** What the domain sees at a guest frame of its own or in a window. */
  pageAt(domain: ModelDomain, gfn: number): { page: ModelPage; isReadOnly: boolean } | undefined {
    const own = domain.pages.get(gfn)
    if (own) return { page: own, isReadOnly: false }
    const use = this.#usesBy(domain).find((one) => one.gfn === gfn)
    return use && { page: use.page, isReadOnly: use.isReadOnly }
  }

  map(
    by: ModelDomain,
    domid: number,
    ref: number,
    isReadOnly: boolean,
    gfn: number,
  ): { status: number; handle: number } {
    const failed = (status: number) => ({ status, handle: 0 })
    const from = this.find(domid)
    if (!from) return failed(GNTST_bad_domain)
    if (ref >= this.#entries(from)) return failed(abi.GNTST_bad_gntref)
    const uses = from.usesOf(ref)
    const entry = from.entry(ref)
    if (uses.some((use) => use.by !== by)) return failed(GNTST_general_error)
    if (uses.filter((use) => use.isReadOnly === isReadOnly).length >= MOST_USES) {
      return failed(GNTST_general_error)
    }
    if (uses.length === 0) {
      const isGood = entry.domid === by.domid && (entry.flags & TYPE_AND_PART) === 1
      if (!isGood) return failed(GNTST_general_error)
    }
    const isFirstWriter = !isReadOnly && uses.every((use) => use.isReadOnly)
    if (isFirstWriter && entry.flags & abi.GTF_readonly) return failed(GNTST_general_error)
    const page = uses[0]?.page ?? from.pages.get(entry.gfn)
    if (!page) return failed(GNTST_bad_page)
    if (this.#usesBy(by).some((use) => use.gfn === gfn)) return failed(GNTST_general_error)
    const taken = new Set(this.#usesBy(by).map((use) => use.handle))
    let handle = 0
    while (taken.has(handle)) handle++
    entry.used |= isReadOnly ? abi.GTF_reading : abi.GTF_reading | abi.GTF_writing
    from.entries.set(ref, entry)
    from.uses.push({ by, handle, ref, gfn, isReadOnly, page })
    return { status: GNTST_okay, handle }
  }

  unmap(by: ModelDomain, handle: number, gfn: number): number {
    const use = this.#usesBy(by).find((one) => one.handle === handle)
    if (!use) return abi.GNTST_bad_handle
    // Two windows on one page are as good as each other.
    const there = this.#usesBy(by).find((one) => one.gfn === gfn)
    if (there?.page !== use.page || there.isReadOnly !== use.isReadOnly) return GNTST_general_error
    const all = [...this.domains, ...this.#gone]
    const from = all.find((domain) => domain.uses.includes(use)) as ModelDomain
    from.uses = from.uses.filter((one) => one !== use)
    if (there !== use) {
      // The window that was given goes; the other one stays, and is now that of the other handle.
      for (const domain of all) {
        domain.uses = domain.uses.map((one) => (one === there ? { ...one, gfn: use.gfn } : one))
      }
    }
    const left = from.usesOf(use.ref)
    const entry = from.entry(use.ref)
    if (left.every((one) => one.isReadOnly)) entry.used &= ~abi.GTF_writing
    if (left.length === 0) entry.used &= ~abi.GTF_reading
    return GNTST_okay
  }

  copy(by: ModelDomain, source: CopyEnd, dest: CopyEnd, length: number): number {
    for (const { grant } of [source, dest]) {
      if (grant && !this.find(grant.domid)) return GNTST_bad_domain
    }
    const from = this.#part(by, source, true)
    if (typeof from === 'number') return from
    const to = this.#part(by, dest, false)
    if (typeof to === 'number') return to
    if (source.offset + length > 4096 || dest.offset + length > 4096) return abi.GNTST_bad_copy_arg
    const isOutside = ({ start, length: size }: Part, at: number) =>
      at < start || at + length > start + size
    if (isOutside(from, source.offset) || isOutside(to, dest.offset)) return GNTST_general_error
    to.page.bytes.set(from.page.bytes.slice(source.offset, source.offset + length), dest.offset)
    return GNTST_okay
  }

  setVersion(domain: ModelDomain, version: 1 | 2): 'busy' | 'done' {
    if (version === domain.version) return 'done'
    if (domain.uses.length > 0) return 'busy'
    domain.version = version
    domain.entries.clear()
    return 'done'
  }

  /** The domain is no more; what others have of it, they keep. */
  end(domain: ModelDomain): void {
    for (const other of [...this.domains, ...this.#gone]) {
      for (const { handle, gfn } of other.uses.filter((use) => use.by === domain)) {
        this.unmap(domain, handle, gfn)
      }
    }
    this.domains.splice(this.domains.indexOf(domain), 1)
    this.#gone.push(domain)
  }

  #usesBy(domain: ModelDomain): Use[] {
    const all = [...this.domains, ...this.#gone].flatMap(({ uses }) => uses)
    return all.filter((use) => use.by === domain)
  }

  #part(by: ModelDomain, { grant, gfn }: CopyEnd, isReadOnly: boolean): Part | number {
    if (grant) {
      return this.#granted(this.find(grant.domid), grant.ref, by.domid, isReadOnly, true)
    }
    // Mappings of others' pages are nothing that can be copied to or from by frame.
    const page = by.pages.get(gfn)
    return page ? { page, start: 0, length: 4096 } : GNTST_bad_page
  }

  #granted(
    from: ModelDomain | undefined,
    ref: number,
    domid: number,
    isReadOnly: boolean,
    mayFollow: boolean,
  ): Part | number {
    if (!from) return GNTST_general_error
    if (ref >= this.#entries(from)) return abi.GNTST_bad_gntref
    const entry = from.entry(ref)
    const uses = from.usesOf(ref)
    const [use] = uses
    if (use) {
      if (use.by.domid !== domid) return GNTST_general_error
      const isFirstWriter = !isReadOnly && uses.every((one) => one.isReadOnly)
      if (isFirstWriter && entry.flags & abi.GTF_readonly) return GNTST_general_error
      if (isFirstWriter && !from.hasPage(frameIn(entry, from.version))) return GNTST_bad_page
      return { page: use.page, start: 0, length: 4096 }
    }
    const type = entry.flags & abi.GTF_type_mask
    const isTransitive = from.version === 2 && type === abi.GTF_transitive
    if (entry.domid !== domid) return GNTST_general_error
    if (type !== abi.GTF_permit_access && !isTransitive) return GNTST_general_error
    if (!isReadOnly && entry.flags & abi.GTF_readonly) return GNTST_general_error
    if (isTransitive) {
      if (!mayFollow || entry.transitiveDomid === from.domid) return GNTST_general_error
      const next = this.find(entry.transitiveDomid)
      return this.#granted(next, entry.transitiveRef, from.domid, isReadOnly, false)
    }
    const page = from.pages.get(entry.gfn)
    if (!page) return GNTST_bad_page
    const isPart = from.version === 2 && (entry.flags & abi.GTF_sub_page) !== 0
    return { page, start: isPart ? entry.start : 0, length: isPart ? entry.length : 4096 }
  }
}

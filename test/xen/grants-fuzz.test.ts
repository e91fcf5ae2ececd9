// Three domains grant, map, unmap and copy at random, in both versions of the table, give memory
// back, change versions and end. Each status, each entry, each byte and each owner of a frame must
// be as in the model. Seeded: a failure names the seed and the last steps.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as abi from '../../src/xen/abi/grant-table.ts'
import {
  XENMAPIDX_grant_table_status,
  XENMAPSPACE_grant_table,
  XENMEM_add_to_physmap,
  XENMEM_decrease_reservation,
  XENMEM_populate_physmap,
  xen_add_to_physmap,
  xen_memory_reservation,
} from '../../src/xen/abi/memory.ts'
import {
  __HYPERVISOR_grant_table_op as OP,
  __HYPERVISOR_memory_op as MEMORY_OP,
  DOMID_SELF,
} from '../../src/xen/abi/xen.ts'
import { type TestGuest, TestHost } from '../../src/xen/testing/test-host.ts'
import { Random } from '../hostile/random.ts'
import { type CopyEnd, GrantModel, ModelDomain } from './grant-model.ts'

const SEEDS = Number(process.env['XENOLITH_GRANT_SEEDS'] ?? 60)
const STEPS = 250
const DOMAINS = 3
const TABLE_GFN = 40
const STATUS_GFN = 41
const GIVEN = { first: 20, count: 6 }
const WINDOWS = { first: 100, count: 6 }
const REFS = { first: 8, count: 6 }
const HOST = abi.GNTMAP_host_map
/** Most bytes that a step looks at. */
const LOOK = 64

const seen = new Map<string, number>()
function count(what: string): void {
  seen.set(what, (seen.get(what) ?? 0) + 1)
}

class Fuzz {
  readonly random: Random
  readonly host = new TestHost({}, 2048)
  readonly before = this.host.frames.freeFrames
  readonly guests = new Map<ModelDomain, TestGuest>()
  readonly model = new GrantModel((domain) => this.guest(domain).domain.grants.entryCount)

  constructor(seed: number) {
    this.random = new Random(seed)
    for (let i = 0; i < DOMAINS; i++) this.create()
  }

  create(): void {
    const guest = this.host.guest()
    const domain = new ModelDomain(guest.domain.domid)
    this.guests.set(domain, guest)
    this.model.domains.push(domain)
    this.mapTable(guest, 0, TABLE_GFN)
    for (let i = 0; i < GIVEN.count; i++) {
      domain.pages.set(GIVEN.first + i, { owner: domain.domid, bytes: new Uint8Array(4096) })
    }
  }

  guest(domain: ModelDomain): TestGuest {
    return this.guests.get(domain) as TestGuest
  }

  mapTable(guest: TestGuest, idx: number, gfn: number): void {
    const { result } = guest.operate(MEMORY_OP, XENMEM_add_to_physmap, xen_add_to_physmap, {
      domid: DOMID_SELF,
      space: XENMAPSPACE_grant_table,
      idx: BigInt(idx),
      gpfn: BigInt(gfn),
    })
    assert.equal(result, 0)
  }

  anyDomid(): number {
    const { random, model } = this
    return random.below(12) === 0 ? 0x7abc : random.pick(model.domains).domid
  }

  anyRef(): number {
    return this.random.below(40) === 0 ? 5000 : REFS.first + this.random.below(REFS.count)
  }

  /** What the guest's processor reaches at a guest frame, windows included. */
  memoryAt({ domain }: TestGuest, gfn: number): Uint8Array | undefined {
    const mfn = domain.physMap.frameOf(gfn)
    return mfn < 0 ? undefined : this.host.memory.u8.subarray(mfn * 4096, (mfn + 1) * 4096)
  }

  grant(domain: ModelDomain): string {
    const { random } = this
    const ref = REFS.first + random.below(REFS.count)
    const kinds = [1, 1, 1, 1 | abi.GTF_readonly, 0, 2, 3, 1 | abi.GTF_sub_page]
    const flags = random.pick(kinds)
    const entry = {
      flags,
      domid: this.anyDomid(),
      gfn: random.below(10) === 0 ? 900 : GIVEN.first + random.below(GIVEN.count),
      start: random.below(3) * 1000,
      length: random.below(3) * 1000,
      transitiveDomid: this.anyDomid(),
      transitiveRef: this.anyRef(),
    }
    const { used } = domain.entry(ref)
    domain.entries.set(ref, { ...entry, used: domain.version === 1 ? 0 : used })
    this.guest(domain).put(
      TABLE_GFN * 4096 + ref * (domain.version === 1 ? 8 : 16),
      domain.version === 1
        ? abi.grant_entry_v1.encode(64, { flags, domid: entry.domid, frame: entry.gfn })
        : bytesOfV2(entry),
    )
    return `${domain.domid} grants ${ref}: flags ${flags} to ${entry.domid}`
  }

  map(domain: ModelDomain): string {
    const { random } = this
    const [domid, ref] = [this.anyDomid(), this.anyRef()]
    const isReadOnly = random.below(2) === 0
    const gfn = WINDOWS.first + random.below(WINDOWS.count)
    const real = this.guest(domain).operate(
      OP,
      abi.GNTTABOP_map_grant_ref,
      abi.gnttab_map_grant_ref,
      {
        host_addr: BigInt(gfn * 4096),
        flags: HOST | (isReadOnly ? abi.GNTMAP_readonly : 0),
        ref,
        dom: domid,
      },
      [1],
    )
    const { status, handle } = this.model.map(domain, domid, ref, isReadOnly, gfn)
    assert.deepEqual([real.result, real.status], [0, status], 'the status of a mapping')
    if (status === 0) assert.equal(real.handle, handle)
    count(`map ${status}`)
    return `${domain.domid} maps ${domid}:${ref} at ${gfn}${isReadOnly ? ' read-only' : ''}`
  }

  unmap(domain: ModelDomain): string {
    const handle = this.random.below(6)
    const gfn = WINDOWS.first + this.random.below(WINDOWS.count)
    const real = this.guest(domain).operate(
      OP,
      abi.GNTTABOP_unmap_grant_ref,
      abi.gnttab_unmap_grant_ref,
      { host_addr: BigInt(gfn * 4096), handle },
      [1],
    )
    const status = this.model.unmap(domain, handle, gfn)
    assert.deepEqual([real.result, real.status], [0, status], 'the status of an unmapping')
    count(`unmap ${status}`)
    return `${domain.domid} unmaps ${handle} at ${gfn}`
  }

  copyEnd(): CopyEnd {
    const { random } = this
    const grant = { domid: this.anyDomid(), ref: this.anyRef() }
    const gfn = random.below(10) === 0 ? WINDOWS.first : GIVEN.first + random.below(GIVEN.count)
    const end = { gfn, offset: random.below(5) * 900 }
    return random.below(3) > 0 ? { ...end, grant } : end
  }

  copy(domain: ModelDomain): string {
    const [source, dest] = [this.copyEnd(), this.copyEnd()]
    const length = this.random.below(3) * 500
    const frame = (end: CopyEnd) => BigInt(end.grant?.ref ?? end.gfn)
    const real = this.guest(domain).operate(
      OP,
      abi.GNTTABOP_copy,
      abi.gnttab_copy,
      {
        'source.u.gmfn': frame(source),
        'source.domid': source.grant?.domid ?? DOMID_SELF,
        'source.offset': source.offset,
        'dest.u.gmfn': frame(dest),
        'dest.domid': dest.grant?.domid ?? DOMID_SELF,
        'dest.offset': dest.offset,
        len: length,
        flags:
          (source.grant ? abi.GNTCOPY_source_gref : 0) | (dest.grant ? abi.GNTCOPY_dest_gref : 0),
      },
      [1],
    )
    const status = this.model.copy(domain, source, dest, length)
    assert.deepEqual([real.result, real.status], [0, status], 'the status of a copy')
    count(`copy ${status}`)
    return `${domain.domid} copies ${JSON.stringify([source, dest, length])}`
  }

  write(domain: ModelDomain): string {
    const { random } = this
    const isWindow = random.below(2) === 0
    const place = isWindow ? WINDOWS : GIVEN
    const gfn = place.first + random.below(place.count)
    const offset = random.below(4096 - LOOK)
    const bytes = random.bytes(LOOK)
    const there = this.model.pageAt(domain, gfn)
    // What cannot be written is another test's.
    if (!there || there.isReadOnly) return 'nothing'
    this.memoryAt(this.guest(domain), gfn)?.set(bytes, offset)
    there.page.bytes.set(bytes, offset)
    return `${domain.domid} writes to ${gfn}`
  }

  balloon(domain: ModelDomain): string {
    const guest = this.guest(domain)
    const gfn = GIVEN.first + this.random.below(GIVEN.count)
    const isOut = domain.pages.has(gfn)
    guest.put(0x9000, new Uint8Array(new BigUint64Array([BigInt(gfn)]).buffer))
    const { result } = guest.operate(
      MEMORY_OP,
      isOut ? XENMEM_decrease_reservation : XENMEM_populate_physmap,
      xen_memory_reservation,
      { extent_start: 0x9000n, nr_extents: 1n, domid: DOMID_SELF },
    )
    assert.equal(result, 1)
    if (isOut) domain.pages.delete(gfn)
    else domain.pages.set(gfn, { owner: domain.domid, bytes: new Uint8Array(4096) })
    return `${domain.domid} ${isOut ? 'gives back' : 'takes'} ${gfn}`
  }

  setVersion(domain: ModelDomain): string {
    const version = this.random.below(2) === 0 ? 1 : 2
    const { result } = this.guest(domain).operate(
      OP,
      abi.GNTTABOP_set_version,
      abi.gnttab_set_version,
      { version },
      [1],
    )
    const wasVersion = domain.version
    const expected = this.model.setVersion(domain, version)
    assert.equal(result, expected === 'busy' ? -16 : 0)
    if (domain.version === 2 && wasVersion === 1) {
      this.mapTable(this.guest(domain), XENMAPIDX_grant_table_status, STATUS_GFN)
    }
    count(`version ${expected}`)
    return `${domain.domid} sets version ${version}`
  }

  end(domain: ModelDomain): string {
    this.host.hypervisor.destroyDomain(this.guest(domain).domain)
    this.model.end(domain)
    this.create()
    count('end')
    return `${domain.domid} ends`
  }

  step(): string {
    const { random } = this
    const domain = random.pick(this.model.domains)
    const roll = random.below(60)
    if (roll === 0) return this.end(domain)
    if (roll < 3) return this.setVersion(domain)
    if (roll < 8) return this.balloon(domain)
    if (roll < 18) return this.grant(domain)
    if (roll < 33) return this.map(domain)
    if (roll < 43) return this.unmap(domain)
    if (roll < 53) return this.copy(domain)
    return this.write(domain)
  }

  check(): void {
    for (const domain of this.model.domains) {
      const guest = this.guest(domain)
      for (let ref = REFS.first; ref < REFS.first + REFS.count; ref++) {
        const { flags, used } = domain.entry(ref)
        if (domain.version === 1) {
          const word = guest.get32(TABLE_GFN * 4096 + 8 * ref) & 0xffff
          assert.equal(word, flags | used, `entry ${ref} of ${domain.domid}`)
        } else {
          const word = guest.get32(TABLE_GFN * 4096 + 16 * ref) & 0xffff
          const bytes = guest.get(STATUS_GFN * 4096 + 2 * ref, 2)
          const status = new DataView(bytes.buffer, bytes.byteOffset).getUint16(0, true)
          assert.deepEqual([word, status], [flags, used], `entry ${ref} of ${domain.domid}`)
        }
      }
      for (const { first, count: most } of [GIVEN, WINDOWS]) {
        for (let gfn = first; gfn < first + most; gfn++) {
          const there = this.model.pageAt(domain, gfn)
          const bytes = this.memoryAt(guest, gfn)?.slice()
          if (!there) assert.equal(bytes, undefined, `${domain.domid} has nothing at ${gfn}`)
          else assert.deepEqual(bytes, there.page.bytes, `${domain.domid} at ${gfn}`)
        }
      }
    }
  }
}

function bytesOfV2(entry: {
  flags: number
  domid: number
  gfn: number
  start: number
  length: number
  transitiveDomid: number
  transitiveRef: number
}): Uint8Array {
  const { flags, domid } = entry
  if ((flags & abi.GTF_type_mask) === abi.GTF_transitive) {
    return abi.grant_entry_v2_transitive.encode(64, {
      'transitive.hdr.flags': flags,
      'transitive.hdr.domid': domid,
      'transitive.trans_domid': entry.transitiveDomid,
      'transitive.gref': entry.transitiveRef,
    })
  }
  return abi.grant_entry_v2_sub_page.encode(64, {
    'sub_page.hdr.flags': flags,
    'sub_page.hdr.domid': domid,
    'sub_page.page_off': entry.start,
    'sub_page.length': entry.length,
    'sub_page.frame': BigInt(entry.gfn),
  })
}

test(`${SEEDS} seeds of ${STEPS} steps: grants of three domains do what the model says`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const fuzz = new Fuzz(seed)
    const steps: string[] = []
    try {
      for (let i = 0; i < STEPS; i++) {
        steps.push(fuzz.step())
        if (i % 10 === 0) fuzz.check()
      }
      fuzz.check()
      for (const domain of fuzz.model.domains) {
        fuzz.host.hypervisor.destroyDomain(fuzz.guest(domain).domain)
      }
      assert.equal(fuzz.host.frames.freeFrames, fuzz.before, 'all frames are free at the end')
    } catch (error) {
      throw new Error(`seed ${seed}, after:\n${steps.slice(-12).join('\n')}`, { cause: error })
    }
  }
  const often = [
    ...['map 0', 'map -1', 'map -2', 'map -3', 'map -9', 'unmap 0', 'unmap -1', 'unmap -4'],
    ...['copy 0', 'copy -1', 'copy -2', 'copy -3', 'copy -9', 'copy -10'],
    ...['version busy', 'version done', 'end'],
  ]
  const seldom = often.filter((what) => (seen.get(what) ?? 0) < SEEDS / 6)
  assert.deepEqual(seldom, [], JSON.stringify([...seen]))
})

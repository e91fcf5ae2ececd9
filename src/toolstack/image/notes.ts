// What a kernel tells Xen about itself: the ELF notes of owner "Xen" (public/elfnote.h), from
// PT_NOTE segments, else from SHT_NOTE sections, else from the `__xen_guest` section, a string
// of KEY=VALUE pairs that images older than 2006, and MirageOS until 2018, carry instead.
// Crash and dump-core notes are left out: no kernel to boot has them.

import { rejectImage } from './checked-bytes.ts'
import {
  type ElfImage,
  type ElfNote,
  PT_NOTE,
  parseNotes,
  SHT_NOTE,
  sectionBytes,
  stringAt,
} from './elf.ts'
import { type Features, NO_FEATURES, parseFeatures } from './features.ts'

export const XEN_ELFNOTE_ENTRY = 1
export const XEN_ELFNOTE_HYPERCALL_PAGE = 2
export const XEN_ELFNOTE_VIRT_BASE = 3
export const XEN_ELFNOTE_PADDR_OFFSET = 4
export const XEN_ELFNOTE_XEN_VERSION = 5
export const XEN_ELFNOTE_GUEST_OS = 6
export const XEN_ELFNOTE_GUEST_VERSION = 7
export const XEN_ELFNOTE_LOADER = 8
export const XEN_ELFNOTE_PAE_MODE = 9
export const XEN_ELFNOTE_FEATURES = 10
export const XEN_ELFNOTE_BSD_SYMTAB = 11
export const XEN_ELFNOTE_HV_START_LOW = 12
export const XEN_ELFNOTE_L1_MFN_VALID = 13
export const XEN_ELFNOTE_SUSPEND_CANCEL = 14
export const XEN_ELFNOTE_INIT_P2M = 15
export const XEN_ELFNOTE_MOD_START_PFN = 16
export const XEN_ELFNOTE_SUPPORTED_FEATURES = 17
export const XEN_ELFNOTE_PHYS32_ENTRY = 18

/** A kernel's notes, decoded. What the kernel does not say is undefined, false or empty. */
export interface XenNotes {
  /** Where they were found. */
  readonly source: 'PT_NOTE' | 'SHT_NOTE' | '__xen_guest' | 'none'
  readonly guestOs: string
  readonly guestVersion: string
  readonly xenVersion: string
  readonly loader: string
  /** "yes", "no" or "bimodal" (32-bit PV only), as written. */
  readonly paeMode: string
  readonly bsdSymtab: boolean
  /** PV: virtual address of the entry point. */
  readonly entry: bigint | undefined
  /** PV: virtual address of the hypercall page. */
  readonly hypercallPage: bigint | undefined
  /** PV, `__xen_guest` only: number of the hypercall page, counted from the start of the image. */
  readonly hypercallPageNumber: bigint | undefined
  /** PV: virtual address where physical address 0 of the domain appears. */
  readonly virtBase: bigint | undefined
  /** PV: subtracted from p_paddr to find the physical address. */
  readonly paddrOffset: bigint | undefined
  readonly hvStartLow: bigint | undefined
  readonly initP2m: bigint | undefined
  /** PVH: physical address of the 32-bit entry point. */
  readonly phys32Entry: bigint | undefined
  /** PV: the ramdisk may be passed as a frame number, unmapped. */
  readonly modStartPfn: boolean
  readonly suspendCancel: boolean
  /** How to recognise a level-1 entry that holds a valid frame number, though not present. */
  readonly l1MfnValid: readonly { readonly mask: bigint; readonly value: bigint }[]
  readonly features: Features
}

const NO_NOTES: XenNotes = {
  source: 'none',
  guestOs: '',
  guestVersion: '',
  xenVersion: '',
  loader: '',
  paeMode: '',
  bsdSymtab: false,
  entry: undefined,
  hypercallPage: undefined,
  hypercallPageNumber: undefined,
  virtBase: undefined,
  paddrOffset: undefined,
  hvStartLow: undefined,
  initP2m: undefined,
  phys32Entry: undefined,
  modStartPfn: false,
  suspendCancel: false,
  l1MfnValid: [],
  features: NO_FEATURES,
}

/**
 * Finds and decodes a kernel's notes for Xen.
 * @throws UserError when a number in a note or in the `__xen_guest` string is none
 */
export function readXenNotes(elf: ElfImage): XenNotes {
  const fromSegments = elf.segments
    .filter((segment) => segment.type === PT_NOTE)
    .flatMap((segment) => parseNotes(segment.data))
    .filter(isXenNote)
  if (fromSegments.length > 0) return decodeNotes(elf, fromSegments, 'PT_NOTE')
  const fromSections = elf.sections
    .filter((section) => section.type === SHT_NOTE)
    .flatMap((section) => parseNotes(sectionBytes(elf, section)))
    .filter(isXenNote)
  if (fromSections.length > 0) return decodeNotes(elf, fromSections, 'SHT_NOTE')
  const legacy = elf.sections.find((section) => section.name === '__xen_guest')
  if (legacy) return decodeGuestString(elf, stringAt(sectionBytes(elf, legacy), 0))
  return NO_NOTES
}

function isXenNote(note: ElfNote): boolean {
  return note.owner === 'Xen'
}

function decodeNotes(
  elf: ElfImage,
  notes: readonly ElfNote[],
  source: 'PT_NOTE' | 'SHT_NOTE',
): XenNotes {
  // A note given twice counts as given last, as in Xen's own loader.
  const byType = new Map(notes.map((note) => [note.type, note.desc]))
  const number = (type: number): bigint | undefined => {
    const desc = byType.get(type)
    return desc && noteNumber(elf, type, desc)
  }
  const text = (type: number): string => {
    const desc = byType.get(type)
    return desc ? stringAt(desc, 0) : ''
  }
  return {
    source,
    guestOs: text(XEN_ELFNOTE_GUEST_OS),
    guestVersion: text(XEN_ELFNOTE_GUEST_VERSION),
    xenVersion: text(XEN_ELFNOTE_XEN_VERSION),
    loader: text(XEN_ELFNOTE_LOADER),
    paeMode: text(XEN_ELFNOTE_PAE_MODE),
    bsdSymtab: text(XEN_ELFNOTE_BSD_SYMTAB) === 'yes',
    entry: number(XEN_ELFNOTE_ENTRY),
    hypercallPage: number(XEN_ELFNOTE_HYPERCALL_PAGE),
    hypercallPageNumber: undefined,
    virtBase: number(XEN_ELFNOTE_VIRT_BASE),
    paddrOffset: number(XEN_ELFNOTE_PADDR_OFFSET),
    hvStartLow: number(XEN_ELFNOTE_HV_START_LOW),
    initP2m: number(XEN_ELFNOTE_INIT_P2M),
    phys32Entry: number(XEN_ELFNOTE_PHYS32_ENTRY),
    modStartPfn: (number(XEN_ELFNOTE_MOD_START_PFN) ?? 0n) !== 0n,
    suspendCancel: (number(XEN_ELFNOTE_SUSPEND_CANCEL) ?? 0n) !== 0n,
    l1MfnValid: maskValuePairs(byType.get(XEN_ELFNOTE_L1_MFN_VALID)),
    features: parseFeatures(
      text(XEN_ELFNOTE_FEATURES),
      number(XEN_ELFNOTE_SUPPORTED_FEATURES) ?? 0n,
    ),
  }
}

/** Numbers are 4 or 8 bytes, by the size of the descriptor (public/elfnote.h). */
function noteNumber(elf: ElfImage, type: number, desc: Uint8Array): bigint {
  const view = new DataView(desc.buffer, desc.byteOffset, desc.byteLength)
  if (desc.length === 8) return view.getBigUint64(0, true)
  if (desc.length === 4) return BigInt(view.getUint32(0, true))
  return rejectImage(
    elf.name,
    `Its Xen note ${type} should be a number of 4 or 8 bytes, but has ${desc.length} bytes.`,
    'Rebuild the kernel with notes as Xen’s public/elfnote.h describes them.',
  )
}

function maskValuePairs(desc: Uint8Array | undefined): { mask: bigint; value: bigint }[] {
  if (!desc) return []
  const view = new DataView(desc.buffer, desc.byteOffset, desc.byteLength)
  return Array.from({ length: Math.floor(desc.length / 16) }, (_, i) => ({
    mask: view.getBigUint64(16 * i, true),
    value: view.getBigUint64(16 * i + 8, true),
  }))
}

/** Decodes `GUEST_OS=linux,VIRT_BASE=0x…,HYPERCALL_PAGE=0x2,…`; unknown keys are skipped. */
function decodeGuestString(elf: ElfImage, text: string): XenNotes {
  const pairs = new Map(
    text.split(',').map((pair) => {
      const equals = pair.indexOf('=')
      return equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
    }),
  )
  const number = (key: string): bigint | undefined => {
    const value = pairs.get(key)
    if (value === undefined) return undefined
    if (/^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(value)) return BigInt.asUintN(64, BigInt(value))
    return rejectImage(
      elf.name,
      `Its __xen_guest section gives ${key} the value "${value}", which is not a number.`,
      'Rebuild the image, or give it ELF notes (Xen’s public/elfnote.h).',
    )
  }
  const virtBase = number('VIRT_BASE')
  return {
    ...NO_NOTES,
    source: '__xen_guest',
    guestOs: pairs.get('GUEST_OS') ?? '',
    guestVersion: pairs.get('GUEST_VER') ?? '',
    xenVersion: pairs.get('XEN_VER') ?? '',
    loader: pairs.get('LOADER') ?? '',
    paeMode: pairs.get('PAE') ?? '',
    bsdSymtab: pairs.has('BSD_SYMTAB'),
    entry: number('VIRT_ENTRY'),
    hypercallPageNumber: number('HYPERCALL_PAGE'),
    virtBase,
    // Here, unlike in the notes, the offset defaults to VIRT_BASE (public/elfnote.h).
    paddrOffset: number('ELF_PADDR_OFFSET') ?? virtBase,
    features: parseFeatures(pairs.get('FEATURES') ?? '', 0n),
  }
}

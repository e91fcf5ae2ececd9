import assert from 'node:assert/strict'
import { test } from 'node:test'
import { UserError } from '../../base/errors.ts'
import { PT_NOTE, parseElf, SHT_NOTE } from './elf.ts'
import { readXenNotes, type XenNotes } from './notes.ts'
import { join, number, text, tinyElf, tinyNote } from './tiny-elf.ts'

// Numbers of the notes as in public/elfnote.h.
const ENTRY = 1
const HYPERCALL_PAGE = 2
const VIRT_BASE = 3
const GUEST_OS = 6
const FEATURES = 10
const L1_MFN_VALID = 13
const SUPPORTED_FEATURES = 17
const PHYS32_ENTRY = 18

function inSegment(...notes: readonly Uint8Array[]): XenNotes {
  const segments = [{ type: PT_NOTE, data: join(...notes) }]
  return readXenNotes(parseElf(tinyElf({ bits: 64, segments }), 'tiny'))
}

function inSection(name: string, type: number, data: Uint8Array): XenNotes {
  const sections = [{ name, type, data }]
  return readXenNotes(parseElf(tinyElf({ bits: 64, segments: [], sections }), 'tiny'))
}

test('numbers are read from 4 and from 8 bytes', () => {
  const notes = inSegment(
    tinyNote(PHYS32_ENTRY, number(0x1000850n, 4)),
    tinyNote(ENTRY, number(0xffffffff8304e1c0n)),
    tinyNote(HYPERCALL_PAGE, number(0xffffffff81001000n)),
    tinyNote(VIRT_BASE, number(0xffffffff80000000n)),
  )
  assert.equal(notes.source, 'PT_NOTE')
  assert.equal(notes.phys32Entry, 0x1000850n)
  assert.equal(notes.entry, 0xffffffff8304e1c0n)
  assert.equal(notes.hypercallPage, 0xffffffff81001000n)
  assert.equal(notes.virtBase, 0xffffffff80000000n)
  assert.equal(notes.initP2m, undefined)
})

test('notes of other owners are not taken for Xen’s', () => {
  assert.equal(inSegment(tinyNote(PHYS32_ENTRY, number(1n), 'GNU')).source, 'none')
})

test('a number of another size is a UserError', () => {
  assert.throws(() => inSegment(tinyNote(PHYS32_ENTRY, Uint8Array.of(1, 2))), UserError)
})

test('the feature string and the feature bits are joined', () => {
  const { features } = inSegment(
    tinyNote(FEATURES, text('!writable_page_tables|pae_pgdir_above_4gb|!frobnicate')),
    tinyNote(SUPPORTED_FEATURES, number(0x8801n, 4)),
  )
  assert.equal(features.required, 1)
  assert.equal(features.supported, 0x8811)
  assert.deepEqual(features.unknown, ['!frobnicate'])
})

test('L1_MFN_VALID is a list of mask and value', () => {
  const pair = join(number(1n), number(1n))
  const { l1MfnValid } = inSegment(tinyNote(L1_MFN_VALID, pair))
  assert.deepEqual(l1MfnValid, [{ mask: 1n, value: 1n }])
})

test('sections are read when no segment has notes', () => {
  const notes = inSection('.note.Xen', SHT_NOTE, tinyNote(GUEST_OS, text('Mini-OS')))
  assert.deepEqual([notes.source, notes.guestOs], ['SHT_NOTE', 'Mini-OS'])
})

test('the __xen_guest string of old images is read', () => {
  const notes = inSection(
    '__xen_guest',
    1,
    text(
      'GUEST_OS=Mini-OS,XEN_VER=xen-3.0,VIRT_BASE=0x0,ELF_PADDR_OFFSET=0x0,HYPERCALL_PAGE=0x2,LOADER=generic',
    ),
  )
  assert.equal(notes.source, '__xen_guest')
  assert.equal(notes.guestOs, 'Mini-OS')
  assert.equal(notes.hypercallPageNumber, 2n)
  assert.equal(notes.paddrOffset, 0n)
  assert.equal(notes.loader, 'generic')
})

test('in a __xen_guest string the physical offset defaults to VIRT_BASE', () => {
  assert.equal(inSection('__xen_guest', 1, text('VIRT_BASE=0xC0000000')).paddrOffset, 0xc0000000n)
})

test('a __xen_guest string with a number that is none is a UserError', () => {
  assert.throws(() => inSection('__xen_guest', 1, text('VIRT_BASE=lots')), UserError)
})

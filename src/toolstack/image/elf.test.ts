import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { UserError } from '../../base/errors.ts'
import {
  isLoadable,
  PT_LOAD,
  PT_NOTE,
  parseElf,
  parseNotes,
  SHT_NOTE,
  sectionBytes,
} from './elf.ts'
import { readXenNotes } from './notes.ts'
import { join, number, text, tinyElf, tinyNote } from './tiny-elf.ts'

const CODE = Uint8Array.of(0xf4, 0xeb, 0xfd)

function image(bits: 32 | 64): Uint8Array {
  return tinyElf({
    bits,
    entry: 0x100000n,
    segments: [
      { type: PT_LOAD, flags: 5, vaddr: 0x80100000n, paddr: 0x100000n, memsz: 0x1000n, data: CODE },
      { type: PT_NOTE, flags: 4, data: tinyNote(18, number(0x100000n, 4)) },
    ],
    sections: [
      { name: '.text', type: 1, data: CODE },
      { name: '.note', type: SHT_NOTE, data: tinyNote(6, text('tiny')) },
    ],
  })
}

for (const bits of [32, 64] as const) {
  test(`parseElf reads headers, segments and sections of an ELF${bits} file`, () => {
    const elf = parseElf(image(bits), 'tiny')
    assert.equal(elf.bits, bits)
    assert.equal(elf.entry, 0x100000n)
    const [load] = elf.segments
    assert.deepEqual(
      [load?.vaddr, load?.paddr, load?.memsz, load?.flags, load?.data],
      [0x80100000n, 0x100000n, 0x1000n, 5, CODE],
    )
    assert.deepEqual(
      elf.sections.map((section) => section.name),
      ['', '.text', '.note', ''],
    )
    const section = elf.sections[1]
    assert.ok(section)
    assert.deepEqual(sectionBytes(elf, section), CODE)
  })

  test(`an ELF${bits} file cut anywhere gives a UserError`, () => {
    const whole = image(bits)
    for (let size = 0; size < whole.length; size++) {
      assert.throws(() => readXenNotes(parseElf(whole.slice(0, size), 'tiny')), UserError)
    }
  })

  test(`an ELF${bits} file with damaged bytes gives a UserError or an image`, () => {
    const whole = image(bits)
    const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 8 })
    fc.assert(
      fc.property(damage, (changes) => {
        const bytes = whole.slice()
        for (const [at, value] of changes) bytes[at] = value
        try {
          readXenNotes(parseElf(bytes, 'tiny'))
        } catch (error) {
          assert.ok(error instanceof UserError, String(error))
        }
      }),
      { numRuns: 2000 },
    )
  })
}

test('parseElf refuses other processors, other byte orders and other files', () => {
  const arm = image(64)
  arm[18] = 183
  assert.throws(() => parseElf(arm, 'arm'), /another processor \(e_machine 183\)/)
  const bigEndian = image(64)
  bigEndian[5] = 2
  assert.throws(() => parseElf(bigEndian, 'big'), /little-endian/)
  assert.throws(() => parseElf(text('#!/bin/sh'), 'script'), /not an ELF file/)
})

test('a segment with more bytes in the file than in memory is refused', () => {
  const elf = tinyElf({ bits: 64, segments: [{ type: PT_LOAD, memsz: 2n, data: CODE }] })
  assert.throws(() => parseElf(elf, 'tiny'), /more bytes in the file \(3\) than in memory \(2\)/)
})

test('isLoadable skips segments without flags, as Xen does', () => {
  const elf = tinyElf({
    bits: 64,
    segments: [
      { type: PT_LOAD, flags: 0, data: CODE },
      { type: PT_LOAD, flags: 4, data: CODE },
    ],
  })
  assert.deepEqual(parseElf(elf, 'tiny').segments.map(isLoadable), [false, true])
})

test('parseNotes cuts a last note that claims more than there is', () => {
  const note = tinyNote(9, text('yes'))
  note[4] = 12
  const [first, last] = parseNotes(join(tinyNote(6, text('GRUB')), note))
  assert.deepEqual([first?.owner, first?.type, first?.isCut], ['Xen', 6, false])
  assert.deepEqual([last?.type, last?.desc, last?.isCut], [9, text('yes'), true])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PT_LOAD, PT_NOTE } from '../image/elf.ts'
import { openKernel } from '../image/kernel.ts'
import { join, text, tinyElf, tinyNote } from '../image/tiny-elf.ts'
import { NO_DECOMPRESSORS, tinyPvhElf, tinyPvhKernel } from '../image/tiny-kernel.ts'
import { lintKernel } from './linter.ts'

async function rulesFor(elf: Uint8Array): Promise<string[]> {
  return lintKernel(await openKernel(elf, 'tiny', NO_DECOMPRESSORS)).map(({ rule }) => rule)
}

test('a sound kernel has no warnings', async () => {
  assert.deepEqual(lintKernel(await tinyPvhKernel()), [])
})

test('a .bss in a segment without flags, as in Solo5, depends on clean memory', async () => {
  const elf = tinyPvhElf(0x100000n, [
    { type: PT_LOAD, paddr: 0x100000n, data: Uint8Array.of(0xf4) },
    { type: PT_LOAD, flags: 0, paddr: 0x101000n, memsz: 0x1000n, data: new Uint8Array(0) },
  ])
  assert.deepEqual(await rulesFor(elf), ['no-flags', 'poison'])
})

test('contents in a segment without flags are never loaded', async () => {
  const elf = tinyPvhElf(0x100000n, [{ type: PT_LOAD, flags: 0, data: Uint8Array.of(0xf4) }])
  assert.deepEqual(await rulesFor(elf), ['no-flags'])
})

test('missing notes, cut notes and unknown features are named', async () => {
  assert.deepEqual(await rulesFor(tinyElf({ bits: 64, segments: [] })), ['no-notes'])
  const cut = tinyNote(9, text('yes'))
  cut[4] = 12
  const data = join(tinyNote(10, text('!teleport|time_travel')), cut)
  const elf = tinyElf({ bits: 64, segments: [{ type: PT_NOTE, data }] })
  const rules = ['no-pvh-note', 'cut-note', 'unknown-feature', 'unknown-feature']
  assert.deepEqual(await rulesFor(elf), rules)
})

test('a __xen_guest section is called old', async () => {
  const sections = [{ name: '__xen_guest', type: 1, data: text('GUEST_OS=Mini-OS') }]
  const elf = tinyElf({ bits: 64, segments: [], sections })
  assert.deepEqual(await rulesFor(elf), ['no-pvh-note', 'old-notes'])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseElf, PT_LOAD } from '../elf.ts'
import { tinyElf } from '../tiny-elf.ts'
import { GuestSymbols } from './guest-symbols.ts'

const TEXT = 0xffffffff81000000n
const ENTRY = TEXT + 0x800000n
const GIVEN = [
  { address: TEXT, name: '_text' },
  { address: TEXT + 0x1000n, name: 'schedule' },
  { address: ENTRY, name: 'entry_SYSCALL_64' },
]

function kernel() {
  const data = Uint8Array.of(0xf4)
  return parseElf(
    tinyElf({
      bits: 64,
      segments: [
        { type: PT_LOAD, flags: 5, vaddr: TEXT, memsz: 0x1000000n, data },
        { type: PT_LOAD, flags: 6, vaddr: TEXT + 0x1000000n, memsz: 0x1000n, data },
      ],
    }),
    'tiny',
  )
}

test('code of the kernel has names, its data and all else have none', () => {
  const symbols = new GuestSymbols(kernel(), GIVEN)
  assert.equal(symbols.nameAt(TEXT + 0x1004n, 0n), 'schedule+0x4')
  assert.equal(symbols.nameAt(TEXT + 0x1004n, ENTRY), 'schedule+0x4')
  assert.equal(symbols.nameAt(TEXT + 0x1000000n, ENTRY), undefined)
  assert.equal(symbols.nameAt(0x401000n, ENTRY), undefined)
})

test('a kernel that has moved is followed, another one has no names', () => {
  const symbols = new GuestSymbols(kernel(), GIVEN)
  const slide = 0x1e00000n
  assert.equal(symbols.nameAt(TEXT + 0x1000n + slide, ENTRY + slide), 'schedule')
  assert.equal(symbols.nameAt(TEXT + 0x1000n - slide, ENTRY - slide), 'schedule')
  assert.equal(symbols.nameAt(TEXT + 0x1000n, ENTRY + 0x40n), undefined)
})

test('an image without symbols has no names', () => {
  const symbols = new GuestSymbols(kernel())
  assert.equal(symbols.size, 0)
  assert.equal(symbols.nameAt(TEXT, 0n), undefined)
})

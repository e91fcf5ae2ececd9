import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseElf, PT_LOAD, SHT_SYMTAB } from '../elf.ts'
import { number, text, tinyElf } from '../tiny-elf.ts'
import { elfSymbols } from './elf-symbols.ts'

const CODE = Uint8Array.of(0xf4, 0xeb, 0xfd)
const NAMES = text('\0main\0helper\0_start\0data\0missing')
const nameAt = (name: string) => new TextDecoder().decode(NAMES).indexOf(`\0${name}\0`) + 1

interface Symbol {
  readonly name: string
  readonly value: bigint
  readonly binding: number
  readonly type: number
  readonly section: number
}

/** As the gABI's figure 4-16 lays out Elf32_Sym and Elf64_Sym. */
function symbol(bits: 32 | 64, { name, value, binding, type, section }: Symbol): number[] {
  const bytes = new Uint8Array(bits === 64 ? 24 : 16)
  const view = new DataView(bytes.buffer)
  const [info, shndx] = bits === 64 ? [4, 6] : [12, 14]
  view.setUint32(0, nameAt(name), true)
  view.setUint8(info, (binding << 4) | type)
  view.setUint16(shndx, section, true)
  bytes.set(number(value, bits === 64 ? 8 : 4), bits === 64 ? 8 : 4)
  return [...bytes]
}

const SYMBOLS: readonly Symbol[] = [
  { name: '', value: 0n, binding: 0, type: 0, section: 0 },
  { name: 'helper', value: 0x100001n, binding: 0, type: 2, section: 1 },
  { name: 'data', value: 0x200000n, binding: 1, type: 1, section: 2 },
  { name: 'main', value: 0x100000n, binding: 1, type: 2, section: 1 },
  { name: '_start', value: 0x100002n, binding: 1, type: 0, section: 1 },
  { name: 'data', value: 0x200000n, binding: 1, type: 0, section: 2 },
  { name: 'missing', value: 0n, binding: 1, type: 2, section: 0 },
]

function image(bits: 32 | 64, table = SYMBOLS.flatMap((one) => symbol(bits, one)), link = 4) {
  const file = tinyElf({
    bits,
    segments: [{ type: PT_LOAD, flags: 5, data: CODE }],
    sections: [
      { name: '.text', type: 1, flags: 6n, data: CODE },
      { name: '.data', type: 1, flags: 3n, data: CODE },
      { name: '.symtab', type: SHT_SYMTAB, link, data: Uint8Array.from(table) },
      { name: '.strtab', type: 3, data: NAMES },
    ],
  })
  return parseElf(file, 'tiny')
}

for (const bits of [32, 64] as const) {
  test(`functions and labels in code are read from ${bits}-bit files, global ones first`, () => {
    assert.deepEqual(elfSymbols(image(bits)), [
      { name: 'main', address: 0x100000n },
      { name: '_start', address: 0x100002n },
      { name: 'helper', address: 0x100001n },
    ])
  })
}

test('a file without a table, or with a damaged one, has no symbols', () => {
  assert.deepEqual(elfSymbols(parseElf(tinyElf({ bits: 64, segments: [] }), 'tiny')), [])
  assert.deepEqual(elfSymbols(image(64, [])), [])
  assert.deepEqual(elfSymbols(image(64, undefined, 99)), [])
  const cut = image(64)
  const sections = cut.sections.map((one) =>
    one.type === SHT_SYMTAB ? { ...one, size: 2n ** 40n } : one,
  )
  assert.deepEqual(elfSymbols({ ...cut, sections }), [])
})

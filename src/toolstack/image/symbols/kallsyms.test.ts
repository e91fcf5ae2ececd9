import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readKallsyms } from './kallsyms.ts'

type Layout = '4.20' | '6.2' | '6.5'

const BASE = 0xffffffff81000000n
/** Texts that have a token of their own, beside each character. */
const COMMON = ['sys_', '_init', 'tcp_', '__']
const FIRST_COMMON = 128

interface Sample {
  readonly type: string
  readonly name: string
  /** From BASE, or, of a per-processor variable (types D and A), from 0. */
  readonly offset: number
}

/** Some hundred symbols, with all that is special: long names, aliases, what is no code. */
const SAMPLES: readonly Sample[] = [
  { type: 'A', name: 'fixed_percpu_data', offset: 0 },
  { type: 'D', name: 'cpu_hw_events', offset: 0x4000 },
  { type: 'T', name: '_text', offset: 0 },
  { type: 'T', name: 'startup_64', offset: 0 },
  ...Array.from({ length: 700 }, (_, i) => ({
    type: 'tTwWdr'.charAt(i % 6),
    name: i === 300 ? `long_${'x'.repeat(300)}` : `sys_tcp_${i}_init`,
    offset: 0x100 + i * 64,
  })),
]

const EXPECTED = SAMPLES.filter(({ type }) => /[tTwW]/.test(type)).map(({ name, offset }) => ({
  name,
  address: BASE + BigInt(offset),
}))

/** As linux/scripts/kallsyms.c writes them, with other tables and noise around. */
function image(samples: readonly Sample[], layout: Layout, hasPerCpu = true): Uint8Array {
  const texts = Array.from({ length: 256 }, (_, i) =>
    i >= 33 && i < 127 ? String.fromCharCode(i) : (COMMON[i - FIRST_COMMON] ?? ''),
  )
  const names: number[] = []
  const markers: number[] = []
  for (const [i, { type, name }] of samples.entries()) {
    if (i % 256 === 0) markers.push(names.length)
    const tokens: number[] = []
    for (let rest = type + name; rest !== ''; ) {
      const common = COMMON.findIndex((text) => rest.startsWith(text))
      tokens.push(common < 0 ? rest.charCodeAt(0) : FIRST_COMMON + common)
      rest = rest.slice(common < 0 ? 1 : COMMON[common]?.length)
    }
    const { length } = tokens
    names.push(...(length < 128 ? [length] : [(length & 0x7f) | 0x80, length >> 7]), ...tokens)
  }
  const table: number[] = []
  const index: number[] = []
  for (const text of texts) {
    index.push(table.length)
    table.push(...new TextEncoder().encode(text), 0)
  }
  const offsets = samples.map(({ type, offset }) =>
    hasPerCpu && !'AD'.includes(type) ? -1 - offset : offset,
  )
  const words = (values: readonly number[]) => [...new Uint8Array(Int32Array.from(values).buffer)]
  const addresses = [words(offsets), [...new Uint8Array(BigUint64Array.of(BASE).buffer)]]
  const seqs = samples.flatMap((_, i) => [i >> 16, (i >> 8) & 255, i & 255])
  const tables = [
    ...(layout === '6.5' ? [] : addresses),
    words([samples.length]),
    names,
    words(markers),
    ...(layout === '6.2' ? [seqs] : []),
    table,
    [...new Uint8Array(Uint16Array.from(index).buffer)],
    ...(layout === '6.5' ? [...addresses, seqs] : []),
  ]
  const digits = [...new TextEncoder().encode(Array.from('0123456789').join('\0')), 0]
  const pad = (bytes: readonly number[]) => [
    ...bytes,
    ...new Uint8Array((8 - (bytes.length % 8)) % 8),
  ]
  return Uint8Array.from([[0x7f], digits, ...tables, digits].flatMap(pad))
}

for (const layout of ['4.20', '6.2', '6.5'] as const) {
  test(`the functions of a kernel are found as those after ${layout} have them`, () => {
    assert.deepEqual(readKallsyms(image(SAMPLES, layout)), EXPECTED)
  })
}

test('offsets count upwards where no variable is counted from 0', () => {
  const samples = SAMPLES.slice(2)
  assert.deepEqual(readKallsyms(image(samples, '4.20', false)), EXPECTED)
})

test('256 and 512 symbols have one marker less than the next', () => {
  for (const count of [511, 512, 513]) {
    const samples = SAMPLES.slice(0, count)
    const expected = samples.filter(({ type }) => /[tTwW]/.test(type)).length
    assert.equal(readKallsyms(image(samples, '6.2'))?.length, expected)
  }
})

test('an image without such tables, or with damaged ones, has none', () => {
  assert.equal(readKallsyms(new Uint8Array(0)), undefined)
  assert.equal(readKallsyms(new TextEncoder().encode('0\x001\x002\x003')), undefined)
  const whole = image(SAMPLES, '6.2')
  for (let end = 0; end < whole.length - 64; end += 97) {
    assert.equal(readKallsyms(whole.slice(0, end)), undefined)
  }
})

test('whatever bytes are changed, reading ends with symbols or none', () => {
  const whole = image(SAMPLES, '6.5')
  for (let at = 0; at < whole.length; at += 53) {
    const changed = whole.slice()
    changed[at] = (changed[at] as number) ^ 0xff
    readKallsyms(changed)
  }
})

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { FEATURES, featureNamed, withoutOrphans, withPrerequisites } from './features.ts'

const HEADER = '/usr/include/xen/arch-x86/cpufeatureset.h'

/** The words of Xen's featureset, from the comments above them in the header. */
const WORD =
  /^\/\* .*?(?:CPUID level (0x[\dA-Fa-f]+)(?::(\d))?|MSR\w* 0x[\da-f]+)\.(e[abcd]x), word (\d+)/

interface Bit {
  name: string
  leaf: number
  subleaf: number
  register: string
  bit: number
}

function xenFeatures(): Bit[] {
  const words = new Map<number, Omit<Bit, 'name' | 'bit'>>()
  const bits: Bit[] = []
  for (const line of readFileSync(HEADER, 'utf8').split('\n')) {
    const word = WORD.exec(line)
    if (word?.[1]) {
      words.set(Number(word[4]), {
        leaf: Number(word[1]),
        subleaf: Number(word[2] ?? 0),
        register: word[3] as string,
      })
    }
    const feature = /^XEN_CPUFEATURE\((\w+), +(\d+)\*32\+ *(\d+)\)/.exec(line)
    const place = words.get(Number(feature?.[2]))
    // Words 16 and 17 are an MSR, which has no place here.
    if (feature && place) {
      bits.push({ name: (feature[1] as string).toLowerCase(), bit: Number(feature[3]), ...place })
    }
  }
  return bits
}

test('every CPUID bit in Xen’s header has its name and place here', {
  skip: !existsSync(HEADER),
}, () => {
  const theirs = xenFeatures()
  assert.ok(theirs.length > 200, `${theirs.length} features read`)
  for (const { name, ...place } of theirs) {
    const { leaf, subleaf, register, bit } = featureNamed(name) ?? assert.fail(name)
    assert.deepEqual({ leaf, subleaf, register, bit }, place, name)
  }
})

test('no bit has two names', () => {
  const places = [...FEATURES.values()].map((f) => `${f.leaf}.${f.subleaf}.${f.register}.${f.bit}`)
  assert.equal(new Set(places).size, places.length)
})

test('the names of Linux and of xl.cfg are known', () => {
  // From /proc/cpuinfo and xl.cfg(5).
  for (const [theirs, ours] of [
    ['pni', 'sse3'],
    ['sse4.1', 'sse4_1'],
    ['sse41', 'sse4_1'],
    ['cmpxchg16', 'cx16'],
    ['sysenter', 'sep'],
    ['aes', 'aesni'],
    ['pdpe1gb', 'page1gb'],
    ['lahfsahf', 'lahf_lm'],
    ['altmovcr8', 'cr8_legacy'],
    ['tsc-deadline', 'tsc_deadline'],
    ['avx512-vbmi2', 'avx512_vbmi2'],
    ['invtsc', 'itsc'],
    ['clfsh', 'clflush'],
  ] as const) {
    assert.equal(featureNamed(theirs)?.name, ours)
  }
  assert.equal(featureNamed('sse5'), undefined)
})

test('AVX-512 needs AVX2, AVX and XSAVE', () => {
  assert.deepEqual(withPrerequisites(['avx512f']), new Set(['avx512f', 'avx2', 'avx', 'xsave']))
})

test('without SSE2 there is neither long mode nor AES', () => {
  const all = [...FEATURES.keys()].filter((name) => name !== 'sse2')
  const left = withoutOrphans(all)
  for (const name of ['lm', 'cx16', 'pcid', 'aesni', 'sse3', 'sse4_2', 'vaes']) {
    assert.equal(left.has(name), false, name)
  }
  // VEX-encoded, with state of its own.
  assert.ok(left.has('avx'))
  assert.ok(left.has('popcnt'))
})

test('dependencies have no cycle', () => {
  for (const name of FEATURES.keys()) {
    const needed = withPrerequisites(FEATURES.get(name)?.needs ?? [])
    assert.equal(needed.has(name), false, name)
  }
})

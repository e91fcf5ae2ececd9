import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FEATURES } from './features.ts'
import { type CpuModel, MODELS, modelNamed } from './models.ts'
import { type CpuidDynamic, CpuidPolicy } from './policy.ts'

const EVERYTHING = [...FEATURES.keys()]

const STATE: CpuidDynamic = {
  apicId: 0,
  isApicEnabled: true,
  cr4OsXsave: true,
  cr4Pke: true,
  is64BitMode: true,
  xcr0: 7n,
  ia32Xss: 0n,
}

/** A policy of a processor that implements all there is. */
function whole(model: CpuModel): CpuidPolicy {
  return CpuidPolicy.of(model, EVERYTHING, { physicalAddressBits: 52 })
}

function leaf(policy: CpuidPolicy, index: number, subleaf = 0, state = STATE): number[] {
  const { eax, ebx, ecx, edx } = policy.leaf(index, subleaf, state)
  return [eax, ebx, ecx, edx]
}

const HYPERVISOR = 0x8000_0000

test('SandyBridge says what an i7-2600K says', () => {
  // Recorded on the processor; ours adds the hypervisor bit.
  const policy = whole(MODELS.SandyBridge)
  assert.deepEqual(leaf(policy, 0), [0xd, 0x756e6547, 0x6c65746e, 0x49656e69])
  const [eax, , ecx, edx] = leaf(policy, 1)
  assert.deepEqual([eax, ecx, edx], [0x000206a7, 0x1fbae3ff + HYPERVISOR, 0xbfebfbff])
  assert.deepEqual(leaf(policy, 2), [0x76035a01, 0x00f0b2ff, 0, 0x00ca0000])
  assert.deepEqual(leaf(policy, 7), [0, 0, 0, 0])
  assert.deepEqual(leaf(policy, 0x80000000), [0x80000008, 0, 0, 0])
  assert.deepEqual(leaf(policy, 0x80000001), [0, 0, 0x00000001, 0x28100800])
  assert.deepEqual(leaf(policy, 0x80000002), [0x65746e49, 0x2952286c, 0x726f4320, 0x4d542865])
  assert.deepEqual(leaf(policy, 0x80000003), [0x37692029, 0x3036322d, 0x43204b30, 0x40205550])
  assert.equal(leaf(policy, 0x80000008)[0], 0x3024)
})

test('Skylake says what an i7-6700K says', () => {
  const policy = whole(MODELS.Skylake)
  const [eax, , ecx, edx] = leaf(policy, 1)
  assert.deepEqual([eax, ecx, edx], [0x000506e3, 0x7ffafbbf + HYPERVISOR, 0xbfebfbff])
  assert.deepEqual(leaf(policy, 7), [0, 0x029c6fbf, 0, 0])
  assert.deepEqual(leaf(policy, 0x80000001), [0, 0, 0x00000121, 0x2c100800])
  assert.deepEqual(leaf(policy, 0xd, 0, { ...STATE, xcr0: 0x1fn }), [0x1f, 0x440, 0x440, 0])
  assert.deepEqual(leaf(policy, 0xd, 1, { ...STATE, xcr0: 0x1fn }).slice(0, 2), [0xf, 0x3c0])
  assert.deepEqual(leaf(policy, 0xd, 2), [0x100, 0x240, 0, 0])
  assert.deepEqual(leaf(policy, 0xd, 3), [0x40, 0x3c0, 0, 0])
})

test('Zen3 says what an EPYC 7763 says', () => {
  // x2APIC is ours: firmware decides it. Bits that neither Xen nor Linux names are masked.
  const policy = whole(MODELS.Zen3)
  assert.deepEqual(leaf(policy, 0), [0x10, 0x68747541, 0x444d4163, 0x69746e65])
  const [eax, , ecx, edx] = leaf(policy, 1)
  const x2apic = 1 << 21
  assert.deepEqual([eax, ecx, edx], [0x00a00f11, 0x7eda320b + x2apic + HYPERVISOR, 0x178bfbff])
  assert.deepEqual(leaf(policy, 7), [0, 0x219c97a9, 0x0040069c, 0x10])
  const [signature, , ecx1, edx1] = leaf(policy, 0x80000001)
  assert.deepEqual([signature, ecx1, edx1], [0x00a00f11, 0x75c237ff, 0x2fd3fbff])
  assert.equal(leaf(policy, 0xd, 1)[0], 0xf)
  assert.equal(leaf(policy, 0x80000007)[3], 0x6799 & 0x780)
  const named = [...FEATURES.values()]
    .filter((f) => f.leaf === 0x80000008)
    .reduce((mask, f) => mask | (1 << f.bit), 0)
  assert.equal(leaf(policy, 0x80000008)[0], 0x3030)
  assert.equal(leaf(policy, 0x80000008)[1], (0x91bef75f & named) >>> 0)
  // L1 of 32 KiB and 8 ways, L2 of 512 KiB and 8 ways.
  assert.deepEqual(leaf(policy, 0x80000005).slice(2), [0x20080140, 0x20080140])
  assert.equal(leaf(policy, 0x80000006)[2], 0x02006140)
})

test('a model is found by its name in any case', () => {
  assert.equal(modelNamed('skylake'), MODELS.Skylake)
  assert.equal(modelNamed('zen9'), undefined)
})

test('max shows all that is implemented and nothing else', () => {
  const policy = CpuidPolicy.of(MODELS.max, ['fpu', 'cmov', 'fxsr', 'sse', 'sse2', 'popcnt'])
  for (const name of ['fpu', 'sse2', 'popcnt', 'hypervisor']) assert.ok(policy.has(name), name)
  for (const name of ['avx', 'lm', 'x2apic', 'osxsave']) assert.ok(!policy.has(name), name)
})

test('a model shows nothing that the processor lacks, nor what depends on it', () => {
  const implemented = [...FEATURES.keys()].filter((name) => name !== 'xsave')
  const policy = CpuidPolicy.of(MODELS.Skylake, implemented)
  assert.equal(policy.has('avx2'), false)
  assert.deepEqual(leaf(policy, 0xd), [0, 0, 0, 0])
  assert.equal((leaf(policy, 1)[2] as number) & (1 << 27), 0, 'OSXSAVE without XSAVE')
})

test('bits that follow the processor’s state follow it', () => {
  const policy = whole(MODELS.Zen3)
  const off = { ...STATE, isApicEnabled: false, cr4OsXsave: false, cr4Pke: false, apicId: 6 }
  assert.equal((leaf(policy, 1, 0, off)[1] as number) >>> 24, 6)
  assert.equal((leaf(policy, 1, 0, off)[2] as number) & (1 << 27), 0)
  assert.equal((leaf(policy, 1, 0, off)[3] as number) & (1 << 9), 0)
  assert.equal((leaf(policy, 0x80000001, 0, off)[3] as number) & (1 << 9), 0)
  assert.equal((leaf(policy, 7, 0, off)[2] as number) & (1 << 4), 0)
  assert.equal(leaf(policy, 0xb, 0, off)[3], 6)
})

test('SYSCALL is shown outside 64-bit mode by AMD and not by Intel', () => {
  const state = { ...STATE, is64BitMode: false }
  const syscall = (model: CpuModel) =>
    (leaf(whole(model), 0x80000001, 0, state)[3] as number) & 0x800
  assert.equal(syscall(MODELS.Skylake), 0)
  assert.equal(syscall(MODELS.Zen3), 0x800)
})

test('an unknown leaf is the highest basic leaf on Intel and zeros on AMD', () => {
  const state = { ...STATE, xcr0: 3n }
  const intel = whole(MODELS.SandyBridge)
  assert.deepEqual(leaf(intel, 0x14, 0, state), leaf(intel, 0xd, 0, state))
  assert.deepEqual(leaf(intel, 0x80000009, 1, state), leaf(intel, 0xd, 1, state))
  assert.deepEqual(leaf(whole(MODELS.Zen3), 0x14), [0, 0, 0, 0])
  assert.deepEqual(leaf(whole(MODELS.Zen3), 0x80000030), [0, 0, 0, 0])
})

test('the hypervisor’s leaves are left to the hypervisor', () => {
  for (const index of [0x40000000, 0x40000100, 0x4000ff00]) {
    assert.deepEqual(leaf(whole(MODELS.SandyBridge), index), [0, 0, 0, 0])
  }
})

test('with adds what a feature needs, without removes what needs it', () => {
  const bare = whole(MODELS.Skylake).without('xsave')
  assert.equal(bare.has('avx2'), false)
  const again = bare.with('avx2')
  for (const name of ['avx2', 'avx', 'xsave']) assert.ok(again.has(name), name)
  assert.equal(again.has('fma'), false)
})

test('mask keeps only what is named and complete', () => {
  const policy = whole(MODELS.Skylake).mask(['fpu', 'mmx', 'avx', 'fxsr', 'sse'])
  assert.deepEqual([...policy.features].toSorted(), ['fpu', 'fxsr', 'mmx', 'sse'])
})

test('a feature that is not implemented or does not exist is refused', () => {
  const policy = CpuidPolicy.of(MODELS.SandyBridge, ['fpu', 'fxsr', 'sse', 'sse2', 'xsave'])
  assert.throws(() => policy.with('avx'), { name: 'UserError', why: /does not implement avx/ })
  assert.throws(() => policy.without('sse5'), { name: 'UserError', what: /'sse5'/ })
})

test('XSAVE sizes follow XCR0 and IA32_XSS', () => {
  const policy = whole(MODELS.max).with('avx512f', 'pku')
  const at = (subleaf: number, xcr0: bigint, ia32Xss = 0n) =>
    leaf(policy, 0xd, subleaf, { ...STATE, xcr0, ia32Xss })
  // Xeon Gold of the Skylake generation: 0x2ff, 0xa88.
  assert.deepEqual([at(0, 0x2ffn)[0], at(0, 0x2ffn)[1], at(0, 0x2ffn)[2]], [0x2ff, 0xa88, 0xa88])
  assert.equal(at(0, 1n)[1], 576)
  assert.equal(at(0, 7n)[1], 832)
  assert.equal(at(1, 7n)[1], 832)
  // XMM and YMM, then PKRU right behind.
  assert.equal(at(1, 0x207n)[1], 840)
  // With the two shadow-stack components.
  assert.equal(at(1, 7n, 0x1800n)[1], 832 + 16 + 24)
  assert.deepEqual(at(11, 7n), [16, 0, 1, 0])
})

test('the topology is that of Xen: ids in steps of two, one thread a core', () => {
  const policy = whole(MODELS.Skylake).withTopology({ cores: 3, threadsPerCore: 1, smtShift: 1 })
  const state = { ...STATE, apicId: 4 }
  assert.deepEqual(leaf(policy, 0xb, 0, state), [1, 1, 0x100, 4])
  assert.deepEqual(leaf(policy, 0xb, 1, state), [3, 3, 0x201, 4])
  assert.deepEqual(leaf(policy, 0xb, 2, state), [0, 0, 2, 4])
  assert.equal(((leaf(policy, 1, 0, state)[1] as number) >>> 16) & 0xff, 8)
  assert.equal((leaf(policy, 4, 0)[0] as number) >>> 26, 3)
})

test('Intel’s caches are in leaf 4, as on an i7-2600K with its four cores of two threads', () => {
  const policy = whole(MODELS.SandyBridge).withTopology({
    cores: 4,
    threadsPerCore: 2,
    smtShift: 1,
  })
  // The processor reserves room for 8 cores and 16 threads, hence other id counts than ours.
  const counts = 0xffffc000
  const [eax, ebx, ecx] = leaf(policy, 4, 0)
  assert.deepEqual([((eax as number) & ~counts) >>> 0, ebx, ecx], [0x121, 0x01c0003f, 0x3f])
  assert.deepEqual(leaf(policy, 4, 2).slice(1, 3), [0x01c0003f, 0x1ff])
  assert.deepEqual(leaf(policy, 4, 3).slice(1), [0x03c0003f, 0x1fff, 2])
  assert.deepEqual(leaf(policy, 4, 4), [0, 0, 0, 0])
})

test('AMD’s caches and core ids are in leaves 0x8000001D and 0x8000001E', () => {
  const policy = whole(MODELS.Zen3).withTopology({ cores: 2, threadsPerCore: 2, smtShift: 1 })
  const state = { ...STATE, apicId: 3 }
  // As a Zen processor with SMT gives them: two threads share L1 and L2.
  assert.deepEqual(leaf(policy, 0x8000001d, 0), [0x00004121, 0x01c0003f, 0x3f, 0])
  assert.deepEqual(leaf(policy, 0x8000001d, 2), [0x00004143, 0x01c0003f, 0x3ff, 2])
  assert.deepEqual(leaf(policy, 0x8000001e, 0, state), [3, 0x101, 0, 0])
  assert.equal(leaf(policy, 0x80000008)[2], 0x2003)
})

test('leaf 0x15 gives the frequency of the time-stamp counter exactly', () => {
  const policy = whole(MODELS.Skylake).withTscKhz(2_893_437)
  const [denominator, numerator, crystal] = leaf(policy, 0x15) as [number, number, number]
  assert.equal((crystal / 1000) * (numerator / denominator), 2_893_437)
  assert.deepEqual(leaf(whole(MODELS.Skylake), 0x15), [0, 0, 0, 0])
})

test('physical addresses are no wider than asked, and 40 bits by default', () => {
  const widths = (model: CpuModel, options = {}) =>
    leaf(CpuidPolicy.of(model, EVERYTHING, options), 0x80000008)[0]
  assert.equal(widths(MODELS.Zen3), 0x3028)
  assert.equal(widths(MODELS.SandyBridge), 0x3024)
  assert.equal(widths(MODELS.Zen3, { physicalAddressBits: 46 }), 0x302e)
})

test('a policy restored from its saved data answers the same', () => {
  const policy = whole(MODELS.Skylake)
    .without('rtm', 'mpx')
    .withTopology({ cores: 5, threadsPerCore: 1, smtShift: 1 })
    .withIdentity({ stepping: 9 })
    .withTscKhz(1_000_000)
  const copy = CpuidPolicy.restore(JSON.parse(JSON.stringify(policy.save())))
  for (const index of [0, 1, 2, 4, 7, 0xb, 0xd, 0x15, 0x80000000, 0x80000001, 0x80000008]) {
    for (const subleaf of [0, 1, 2]) {
      assert.deepEqual(leaf(copy, index, subleaf), leaf(policy, index, subleaf))
    }
  }
  assert.deepEqual(copy.limit, policy.limit)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TINY_PROGRAMS, tinyPvhProgram } from '../toolstack/image/tiny-kernel.ts'
import { Host } from './host.ts'
import { STATISTICS } from './statistics.ts'

/** MOV ECX, 1000000; DEC ECX; JNZ to the DEC; then as the program that powers off. */
const LOOP = [0xb9, 0x40, 0x42, 0x0f, 0, 0x49, 0x75, 0xfd, ...TINY_PROGRAMS.powersOff]
/** MOV, two instructions a turn, and CLI and HLT. */
const INSTRUCTIONS = 1 + 2 * 1_000_000 + 2

async function run(options: { translation?: 'off' | 'hot'; isMeasured?: boolean } = {}) {
  const { translation = 'hot', isMeasured = false } = options
  await using host = await Host.create({
    time: 'virtual',
    translation,
    threads: false,
    countsExits: isMeasured,
    measuresTranslation: isMeasured,
  })
  const domain = await host.createDomain({
    kernel: tinyPvhProgram(...LOOP),
    memoryMiB: 8,
    disks: [],
  })
  await domain.waitForEnd()
  return domain.stats()
}

/** Does a name of the table stand for one that was counted. */
function stands(name: string, figure: string): boolean {
  const pattern = name.replace(/^vcpuN/, 'vcpu\\d+').replace(/^VDEV /, '\\S+ ')
  return new RegExp(`^${pattern.replace(/[A-Z]{2,}$/, '.+')}$`).test(figure)
}

test('every figure has a line in the reference, and every line a figure', async () => {
  const figures = Object.keys(await run({ isMeasured: true }))
  const names = STATISTICS.map(({ name }) => name)
  for (const figure of figures) {
    assert.ok(
      names.some((name) => stands(name, figure)),
      figure,
    )
  }
  for (const name of names.filter((one) => !/^(VDEV|hypercalls) [A-Z]+$/.test(one))) {
    assert.ok(
      figures.some((figure) => stands(name, figure)),
      name,
    )
  }
})

test('all instructions are counted, each by who has executed it', async () => {
  const interpreted = await run({ translation: 'off' })
  assert.equal(interpreted['instructions'], INSTRUCTIONS)
  assert.equal(interpreted['instructions interpreted'], INSTRUCTIONS)
  assert.equal(interpreted['instructions translated'], 0)
  assert.equal(interpreted['regions'], 0)
  const translated = await run()
  assert.equal(translated['instructions'], INSTRUCTIONS)
  assert.equal(translated['vcpu0'], INSTRUCTIONS)
  const [byInterpreter = 0, byRegions = 0] = ['interpreted', 'translated'].map(
    (tier) => translated[`instructions ${tier}`],
  )
  assert.equal(byInterpreter + byRegions, INSTRUCTIONS)
  assert.ok(byRegions > INSTRUCTIONS / 2, `${byRegions} translated`)
  assert.ok((translated['regions live bytes'] ?? 0) > 0)
})

test('to measure changes nothing but what is measured', async () => {
  const [plain, measured] = [await run(), await run({ isMeasured: true })]
  assert.equal(plain['regions ms'], 0)
  assert.ok((measured['regions ms'] ?? 0) > 0)
  assert.equal(plain['exits'], 0)
  assert.ok((measured['exits'] ?? 0) > 0)
  const exits = Object.entries(measured).filter(([name]) => name.startsWith('exits '))
  assert.equal(
    exits.reduce((sum, [, count]) => sum + count, 0),
    measured['exits'],
  )
  // Code that counts has more bytes.
  const isSame = (name: string) => !/^exits|^regions (ms|.*bytes)$/.test(name)
  const rest = (stats: Record<string, number>) =>
    Object.entries(stats).filter(([name]) => isSame(name))
  assert.deepEqual(rest(measured), rest(plain))
})

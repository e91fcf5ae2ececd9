import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Timeline } from '../timeline.ts'
import type { Watched } from '../watch.ts'
import { runRival } from './run-rival.ts'

const PROGRAMS = ['sort', 'libm', 'spawn'].map(
  (name) => ({ name, group: 'integer', size: 1 }) as const,
)

/** A boot that runs programs of one millisecond each, until one that it cannot. */
function bootWith(broken: readonly string[], boots: string[][]) {
  return async (programs: readonly { readonly name: string }[]): Promise<Watched> => {
    boots.push(programs.map(({ name }) => name))
    const timeline = new Timeline(0)
    const at = (ms: number) => ({ ms, cpuMs: ms })
    timeline.add({ kind: 'entry', words: [] }, at(10))
    timeline.add({ kind: 'init', words: [] }, at(30))
    let ms = 100
    for (const { name } of programs) {
      timeline.add({ kind: 'begin', words: [name] }, at(ms++))
      if (broken.includes(name)) return { timeline, failure: `${name} hangs`, said: '' }
      timeline.add({ kind: 'end', words: [name] }, at(ms++))
      timeline.add({ kind: 'sum', words: [name, '12ab'] }, at(ms))
    }
    timeline.add({ kind: 'done', words: [] }, at(ms))
    return { timeline, failure: undefined, said: '' }
  }
}

test('after a program that does not end, the others run in another boot', async () => {
  const boots: string[][] = []
  const { boot, programs } = await runRival(PROGRAMS, bootWith(['libm'], boots))
  assert.deepEqual(boots, [['sort', 'libm', 'spawn'], ['spawn']])
  assert.equal(boot?.ms, 20)
  assert.deepEqual(programs.get('libm'), { why: 'libm hangs' })
  for (const name of ['sort', 'spawn']) {
    assert.deepEqual(programs.get(name), {
      ms: 1,
      cpuMs: 1,
      instructions: undefined,
      checksum: '12ab',
    })
  }
})

test('a rival that does not boot is not tried a second time', async () => {
  let boots = 0
  const { boot, programs } = await runRival(PROGRAMS, async () => {
    boots++
    return { timeline: new Timeline(0), failure: 'nothing came for 180 seconds', said: '' }
  })
  assert.equal(boots, 1)
  assert.equal(boot, undefined)
  const why = 'nothing came for 180 seconds'
  assert.deepEqual([...programs.values()], [{ why }, { why }, { why }])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Mark, MarkReader } from './marks.ts'
import { Timeline } from './timeline.ts'

const read = (...pieces: readonly string[]): Mark[] => {
  const reader = new MarkReader()
  return pieces.flatMap((piece) => reader.add(piece))
}

const timeline = (marks: readonly (readonly [Mark['kind'], string, number])[]): Timeline => {
  const line = new Timeline(100)
  for (const [kind, words, ms] of marks) {
    line.add({ kind, words: words.split(' ') }, { ms, cpuMs: ms / 2 })
  }
  return line
}

test('a mark is found between lines of the kernel, with carriage returns of a console', () => {
  const text =
    '[    1.0] tsc: unstable\r\n@begin crc32\r\n[    1.1] hello\r\n@sum crc32 cbf43926\r\n'
  assert.deepEqual(read(text), [
    { kind: 'begin', words: ['crc32'] },
    { kind: 'sum', words: ['crc32', 'cbf43926'] },
  ])
})

test('a mark in pieces is found once, when its line ends', () => {
  const reader = new MarkReader()
  assert.deepEqual(reader.add('@en'), [])
  assert.deepEqual(reader.add('d sort'), [])
  assert.deepEqual(reader.add('ed\n'), [{ kind: 'end', words: ['sorted'] }])
  assert.deepEqual(reader.add('\n'), [])
})

test('the last words of the firmware are the entry of the kernel, before their line ends', () => {
  assert.deepEqual(read('SeaBIOS (version 1)\r\n\nBooting from', ' ROM', '..'), [
    { kind: 'entry', words: [] },
  ])
})

test('a run is made of its marks', () => {
  const run = timeline([
    ['entry', '', 400],
    ['count', '0', 400],
    ['init', '', 2400],
    ['count', '5000', 2400],
    ['mitigation', 'spectre_v2 Mitigation: Retpolines', 2450],
    ['begin', 'sort', 2500],
    ['count', '5100', 2500],
    ['end', 'sort', 3500],
    ['sum', 'sort 12ab', 3600],
    ['count', '7100', 3600],
    ['done', '', 3700],
  ])
  assert.ok(run.isDone)
  assert.deepEqual(run.result(), {
    startMs: 300,
    boot: { ms: 2000, cpuMs: 1000, instructions: 5000 },
    mitigations: new Map([['spectre_v2', 'Mitigation: Retpolines']]),
    programs: new Map([['sort', { ms: 1000, cpuMs: 500, instructions: 2000, checksum: '12ab' }]]),
  })
})

test('a run on the host has no boot and counts nothing', () => {
  const { boot, programs } = timeline([
    ['begin', 'sort', 110],
    ['end', 'sort', 120],
    ['sum', 'sort 12ab', 121],
  ]).result()
  assert.equal(boot, undefined)
  assert.equal(programs.get('sort')?.instructions, undefined)
})

test('of a run that was cut short there is what had ended, and what had not', () => {
  const run = timeline([
    ['begin', 'sort', 100],
    ['end', 'sort', 200],
    ['sum', 'sort 12ab', 201],
    ['begin', 'gzip', 300],
    ['end', 'gzip', 400],
  ])
  assert.equal(run.running, 'gzip')
  assert.deepEqual([...run.soFar().programs.keys()], ['sort'])
})

test('a program that fails, or does not end, is an error', () => {
  assert.throws(() => timeline([['fail', 'sort 139', 200]]), /sort failed with status 139/)
  assert.throws(() => timeline([['end', 'sort', 200]]), /sort ended before it began/)
  assert.throws(() => timeline([['begin', 'sort', 200]]).result(), /sort did not end/)
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { addUp, runTests } from '../../tools/run-tests.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-tests-'))
after(() => rmSync(folder, { recursive: true }))

/** Runs one file with the given text. */
async function run(name: string, text: string) {
  const file = join(folder, `${name}.test.ts`)
  writeFileSync(file, `import { describe, test } from 'node:test'\n${text}`)
  const { passed, failed, skipped, output } = await runTests([file], { fileTimeoutMs: 1_500 })
  return { counts: [passed, failed, skipped], output }
}

test('tests that pass, fail and are skipped are counted, and what failed is quoted', async () => {
  const { counts, output } = await run(
    'mixed',
    `describe('a suite', () => {
      test('passes', () => {})
      test('fails', () => { throw new Error('the reason') })
      test('waits', { skip: true }, () => {})
    })`,
  )
  assert.deepEqual(counts, [1, 1, 1])
  assert.match(output, /FAILED fails \(.*:4\)\n +Error: the reason/)
  assert.doesNotMatch(output, /FAILED a suite/)
})

test('what made an error is quoted as well', async () => {
  const { output } = await run(
    'cause',
    `test('fails', () => {
      const reset = new Error('reset by the peer', { cause: new Error('too slow') })
      throw new TypeError('fetch failed', { cause: reset })
    })`,
  )
  assert.match(
    output,
    /TypeError: fetch failed\n[^]*because of reset by the peer\n +because of too slow\n/,
  )
})

test('a file that says nothing when it passes prints nothing', async () => {
  assert.deepEqual(await run('quiet', `test('passes', () => {})`), {
    counts: [1, 0, 0],
    output: '',
  })
})

test('a file that never returns is ended and counts as one failure', async () => {
  const { counts, output } = await run('loop', `test('hangs', () => { for (;;) ; })`)
  assert.deepEqual(counts, [0, 1, 0])
  assert.match(output, /did not end in 1\.5 s/)
})

test('a file that keeps its process open is ended and counts as a failure', async () => {
  const { counts } = await run('open', `test('passes', () => { setInterval(() => {}, 1000) })`)
  assert.equal(counts[1], 1)
})

test('a file that crashes, has no test or is no program counts as one failure', async () => {
  assert.deepEqual((await run('crash', `process.exit(3)`)).counts, [0, 1, 0])
  assert.deepEqual((await run('empty', '')).counts, [0, 1, 0])
  assert.deepEqual((await run('syntax', `test('x' => {`)).counts, [0, 1, 0])
})

test('a pattern that nothing matches, or only what is left out, counts as a failure', async () => {
  const absent = join(folder, 'absent.test.ts')
  const { failed, output } = await runTests([absent], { fileTimeoutMs: 1_500 })
  assert.equal(failed, 1)
  assert.match(output, /FAILED: no test matches/)
  const excluded = { fileTimeoutMs: 1_500, exclude: ['test/tools/run-tests.test.ts'] }
  assert.equal((await runTests(['test/tools/run-tests.test.ts'], excluded)).failed, 1)
})

test('the sum of runs adds each count', () => {
  const one = { passed: 1, failed: 2, skipped: 3, output: 'a' }
  assert.deepEqual(addUp([one, one]), { passed: 2, failed: 4, skipped: 6, output: 'aa' })
})

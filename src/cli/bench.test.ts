import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { call } from './testing/call.ts'

const QUICK = ['bench', 'events', '--iterations', '1000', '--most-channels', '64']

test('a bench that does not exist, or none, is refused', async () => {
  const other = await call(['bench', 'grants'])
  assert.equal(other.status, 2)
  assert.match(other.err, /^No bench "grants"\.\nThere is one: events\.\n/)
  assert.equal((await call(['bench'])).status, 2)
})

test('bench events draws a picture, says what it does, and counts the same in every run', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  try {
    const file = join(folder, 'events.svg')
    const drawn = await call([...QUICK, '--json', '--svg', file])
    assert.equal(drawn.status, 0)
    assert.match(drawn.err, /^bench: warming up\n/)
    assert.match(readFileSync(file, 'utf8'), /^<svg /)
    const again = await call([...QUICK, '--json', '--svg', join(folder, 'nowhere', 'events.svg')])
    assert.equal(again.status, 1)
    assert.match(again.err, /Cannot write .*events\.svg\.\n.*ENOENT.*\nGive --svg /)
    assert.deepEqual(counted(again.out), counted(drawn.out))
  } finally {
    rmSync(folder, { recursive: true })
  }
})

/** The figures that do not depend on the machine. */
function counted(json: string): unknown {
  return JSON.parse(json, (key, value: unknown) =>
    key.endsWith('Ns') || key === 'eventsPerSecond' ? undefined : value,
  )
}

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { until } from '../testing/served-host.ts'
import { connectHost } from './connect.ts'

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'xenolith-connect-'))
after(() => rmSync(folder, { recursive: true, force: true }))

test('a host process that is started has the environment that was given, and no other', async () => {
  const runtime = join(folder, 'run')
  const env = { XENOLITH_RUNTIME_DIR: runtime, XENOLITH_TRANSLATE: 'off' }
  const start = [process.execPath, ...process.execArgv, MAIN, 'host', '--name', 'own']
  process.env['XENOLITH_NOT_GIVEN'] = '1'
  const client = await connectHost({ name: 'own', env, start })
  delete process.env['XENOLITH_NOT_GIVEN']
  assert.ok(client)
  try {
    assert.equal(client.socketPath, join(runtime, 'own.sock'))
    const { name, pid } = await client.call('host', {})
    assert.equal(name, 'own')
    // proc(5): what it was started with, one NAME=VALUE after the other.
    // Node adds those of its channel.
    const all = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0')
    const given = all.filter((one) => one !== '' && !one.startsWith('NODE_CHANNEL_')).sort()
    assert.deepEqual(given, [`XENOLITH_RUNTIME_DIR=${runtime}`, 'XENOLITH_TRANSLATE=off'])
  } finally {
    await client.call('stop', { isForced: true })
    await until(() => !existsSync(client.socketPath), 'the end of the host')
  }
})

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url))

/** Names each module of ours that the process loads. */
const NAMING = `
  import { registerHooks } from 'node:module'
  registerHooks({ load(url, context, next) {
    if (url.startsWith('file:')) process.stderr.write(url + '\\n')
    return next(url, context)
  } })`

test('a verb that needs no processor loads none: it would take most of the time of "list"', async () => {
  const hook = `data:text/javascript,${encodeURIComponent(NAMING)}`
  const flags = ['--disable-warning=ExperimentalWarning', '--import', hook]
  const { stderr } = await promisify(execFile)(process.execPath, [...flags, MAIN, 'version'])
  const loaded = stderr.trim().split('\n')
  assert.ok(loaded.some((url) => url.endsWith('/src/cli/list.ts')))
  const heavy = ['x86', 'wasm', 'machine'].filter((name) =>
    loaded.some((url) => url.includes(`/src/${name}/`)),
  )
  assert.deepEqual(heavy, [])
})

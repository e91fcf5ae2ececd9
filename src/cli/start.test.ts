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

/** Names what Node loads of itself that nobody needs who talks over a socket. */
const NAMING_CLIENTS = `
  process.on('exit', () => {
    for (const name of process.moduleLoadList) if (/undici/.test(name)) console.error(name)
  })`

const run = promisify(execFile)

/** Flags of a process that evaluates a module first. */
function flagsWith(module: string): string[] {
  const hook = `data:text/javascript,${encodeURIComponent(module)}`
  return ['--disable-warning=ExperimentalWarning', '--import', hook]
}

test('a verb that needs no processor loads none: it would take most of the time of "list"', async () => {
  const { stderr } = await run(process.execPath, [...flagsWith(NAMING), MAIN, 'version'])
  const loaded = stderr.trim().split('\n')
  assert.ok(loaded.some((url) => url.endsWith('/src/cli/list.ts')))
  const heavy = ['x86', 'wasm', 'machine'].filter((name) =>
    loaded.some((url) => url.includes(`/src/${name}/`)),
  )
  assert.deepEqual(heavy, [])
})

test('a verb that asks a host process does not load the clients of the web', async () => {
  const env = { ...process.env, XENOLITH_RUNTIME_DIR: '/nonexistent/xenolith' }
  const flags = flagsWith(NAMING_CLIENTS)
  const { stdout, stderr } = await run(process.execPath, [...flags, MAIN, 'list'], { env })
  assert.match(stdout, /^Name /)
  assert.equal(stderr, '')
})

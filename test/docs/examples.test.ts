// The examples of the documentation are run as they stand: each block of TypeScript in docs/ and
// README.md is a file of its own, is checked by the compiler, and has to end well.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
/** Inside the checkout, so that `xenolith` is this library. */
const FOLDER = join(ROOT, '.cache', 'docs')
/** For what an example waits for: a machine that does much else is no reason to fail. */
const WAIT_MS = Number(process.env['XENOLITH_TIMEOUT_MS']) || 5 * 60_000
const TIMEOUT_MS = 2 * WAIT_MS
const BLOCK = /^```ts\n([^]*?)^```$/gm

rmSync(FOLDER, { recursive: true, force: true })
mkdirSync(FOLDER, { recursive: true })

const examples = [...globSync('docs/**/*.md', { cwd: ROOT }), 'README.md'].sort().flatMap((page) =>
  [...readFileSync(join(ROOT, page), 'utf8').matchAll(BLOCK)].map(([, code = ''], i) => {
    const file = join(FOLDER, `${page.replaceAll(/\W/g, '-')}-${i + 1}.ts`)
    writeFileSync(file, code)
    return { name: `${page}, example ${i + 1}`, file }
  }),
)

function run(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, {
    cwd: ROOT,
    encoding: 'utf8',
    timeout: TIMEOUT_MS,
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, XENOLITH_TIMEOUT_MS: String(WAIT_MS) },
  })
  return { status, output: `${stdout}${stderr}` }
}

test('there are examples, and the compiler has nothing to say of them', () => {
  assert.ok(examples.length >= 5)
  const project = join(FOLDER, 'tsconfig.json')
  writeFileSync(
    project,
    JSON.stringify({
      extends: '../../tsconfig.base.json',
      compilerOptions: { types: ['node'], typeRoots: ['../../node_modules/@types'] },
      include: ['*.ts', '../../src/base/universal.d.ts'],
    }),
  )
  const { status, output } = run('node_modules/typescript/bin/tsc', '-p', project)
  assert.equal(status, 0, output)
})

for (const { name, file } of examples) {
  test(name, () => {
    const { status, output } = run('--disable-warning=ExperimentalWarning', file)
    assert.equal(status, 0, output)
  })
}

// The gate: everything that must hold before a change lands, but the long tests. One line a step,
// errors quoted below it. Steps run as many at a time as there are processors; the tests, which
// fill the machine by themselves, come last.

import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { runTests, type TestRun } from './run-tests.ts'

const PURE_LAYERS = ['base', 'wasm', 'x86', 'machine', 'xen', 'backends', 'toolstack', 'debug']

/** A unit test file that takes longer than this hangs. */
const UNIT_FILE_TIMEOUT_MS = 60_000
/** Lines quoted of a failing step; the rest is a second run away. */
const QUOTED_LINES = 60

interface Step {
  readonly name: string
  /** Commands that must all succeed: arguments of Node. */
  readonly commands: readonly (readonly string[])[]
}

const tsc = (project: string) => ['node_modules/typescript/bin/tsc', '-p', project]
const biome = 'node_modules/@biomejs/biome/bin/biome'

const STEPS: readonly Step[] = [
  { name: 'types', commands: [tsc('tsconfig.json')] },
  { name: 'types of the pure layers', commands: PURE_LAYERS.map((layer) => tsc(`src/${layer}`)) },
  { name: 'lint', commands: [['node_modules/oxlint/bin/oxlint', '--format=unix', '.']] },
  {
    name: 'format (tools/format mends)',
    commands: [[biome, 'format', '--colors=off', '--reporter=concise', '.']],
  },
  { name: 'layers', commands: [['tools/check-layers.ts']] },
  { name: 'file sizes', commands: [['tools/check-size.ts']] },
  { name: 'unused code', commands: [['node_modules/knip/bin/knip.js', '--no-progress']] },
  {
    name: 'generated files (tools/generate mends)',
    commands: [
      ['tools/generate.ts', '--check'],
      ['tools/complete-lockfile.ts', '--check'],
    ],
  },
]

/** Runs the gate and prints it. A step counts as one test. */
export async function runGate(): Promise<TestRun[]> {
  const runs: TestRun[] = []
  const waiting = [...STEPS]
  const worker = async () => {
    for (let step = waiting.shift(); step; step = waiting.shift()) runs.push(await runStep(step))
  }
  await Promise.all(Array.from({ length: availableParallelism() }, worker))
  runs.push(await runUnitTests())
  return runs
}

/** Runs one step and prints it. */
export async function runStep({ name, commands }: Step): Promise<TestRun> {
  const start = performance.now()
  // Layers see the ones below: each would repeat their errors.
  const lines = new Set<string>()
  let failed = 0
  for (const args of commands) {
    const result = await runNode(args)
    if (result.status === 0) continue
    failed = 1
    for (const line of result.output.trimEnd().split('\n')) lines.add(line)
  }
  const output = [...lines].join('\n')
  printStep(name, failed === 0 ? 'ok' : 'FAILED', start, output)
  return { passed: 1 - failed, failed, skipped: 0, output }
}

async function runUnitTests(): Promise<TestRun> {
  const start = performance.now()
  const run = await runTests(['{src,bench}/**/*.test.ts'], { fileTimeoutMs: UNIT_FILE_TIMEOUT_MS })
  const verdict = run.failed === 0 ? `ok, ${run.passed} passed` : `FAILED, ${run.failed} tests`
  printStep('unit tests', verdict, start, run.output)
  return run
}

/** One line `name  seconds  verdict`, and what it said when it is worth reading. */
export function printStep(name: string, verdict: string, start: number, output: string): void {
  const seconds = ((performance.now() - start) / 1000).toFixed(1)
  console.log(`${name.padEnd(40)} ${seconds.padStart(6)} s  ${verdict}`)
  const lines = output.trimEnd().split('\n')
  if (output === '') return
  for (const line of lines.slice(0, QUOTED_LINES)) console.log(`    ${line}`)
  if (lines.length > QUOTED_LINES)
    console.log(`    … and ${lines.length - QUOTED_LINES} more lines`)
}

function runNode(args: readonly string[]): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', ...args], {
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const add = (text: string) => {
    output += text
  }
  child.stdout.setEncoding('utf8').on('data', add)
  child.stderr.setEncoding('utf8').on('data', add)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => resolve({ status, output }))
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const runs = await runGate()
  process.exitCode = runs.some((run) => run.failed > 0) ? 1 : 0
}

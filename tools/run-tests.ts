// Runs test files, each in a process of its own that is ended when it takes too long: node's own
// runner waits for ever for a file whose loop never returns. A file that crashes, hangs or says
// nothing counts as one failed test.

import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { TOTALS_MARK, type Totals } from './test-reporter.ts'

export interface TestRun extends Totals {
  /** What the failing and the talkative files printed. */
  readonly output: string
}

interface Options {
  /** The longest that one file may take. */
  readonly fileTimeoutMs: number
  /** Files at the same time; as many as there are processors when not given. */
  readonly workers?: number
  /** Files that match these are left out. */
  readonly exclude?: readonly string[]
  /** How the machines and hosts of the tests execute code: XENOLITH_TRANSLATE for them. */
  readonly mode?: string | undefined
  /** Called after each file, and for each pattern that nothing matches. */
  readonly onFile?: (file: string, run: TestRun, ms: number) => void
}

const NOTHING: TestRun = {
  passed: 0,
  failed: 1,
  skipped: 0,
  output: 'FAILED: no test matches, or it is not run in this way\n',
}

/** Runs the files that match the patterns. One that nothing matches counts as a failed test. */
export async function runTests(patterns: string[], options: Options): Promise<TestRun> {
  const exclude = ['**/node_modules/**', ...(options.exclude ?? [])]
  const waiting = globSync(patterns, { exclude }).sort()
  const runs: TestRun[] = []
  const ended = (file: string, run: TestRun, ms: number) => {
    runs.push(run)
    options.onFile?.(file, run, ms)
  }
  for (const pattern of patterns) {
    if (globSync(pattern, { exclude }).length === 0) ended(pattern, NOTHING, 0)
  }
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const start = performance.now()
      const run = await runFile(file, options)
      ended(file, run, performance.now() - start)
    }
  }
  await Promise.all(Array.from({ length: options.workers ?? availableParallelism() }, worker))
  return addUp(runs)
}

/** The sum of several runs. */
export function addUp(runs: readonly TestRun[]): TestRun {
  const sum = (key: keyof Totals) => runs.reduce((total, run) => total + run[key], 0)
  return {
    passed: sum('passed'),
    failed: sum('failed'),
    skipped: sum('skipped'),
    output: runs.map((run) => run.output).join(''),
  }
}

async function runFile(file: string, options: Options): Promise<TestRun> {
  const { fileTimeoutMs, mode } = options
  const flags = [
    '--disable-warning=ExperimentalWarning',
    '--test-reporter=./tools/test-reporter.ts',
    ...(options.mode === undefined ? [] : ['--import=./test/every-mode.ts']),
  ]
  // Its own process group, so that what the test started ends with it.
  const child = spawn(process.execPath, [...flags, file], {
    detached: true,
    // Set when this itself runs under node's runner; the reporter would not be used then.
    env: {
      ...process.env,
      NODE_TEST_CONTEXT: undefined,
      // Guests may be slow in a mode.
      ...(mode !== undefined && {
        XENOLITH_TRANSLATE: mode,
        XENOLITH_TIMEOUT_MS: String(fileTimeoutMs / 3),
      }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const chunks: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk))
  let hangs = false
  const timer = setTimeout(() => {
    hangs = true
    endGroup(child.pid)
  }, fileTimeoutMs)
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  clearTimeout(timer)
  endGroup(child.pid)
  return judge(file, Buffer.concat(chunks).toString(), {
    status,
    why: hangs ? `did not end in ${fileTimeoutMs / 1000} s` : `ended with status ${status}`,
  })
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // The group has ended already.
  }
}

function judge(file: string, text: string, end: { status: number | null; why: string }): TestRun {
  const at = text.lastIndexOf(TOTALS_MARK)
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 }
  if (at >= 0)
    Object.assign(totals, JSON.parse(text.slice(at + TOTALS_MARK.length).split('\n')[0] ?? '{}'))
  let output = at < 0 ? text : text.slice(0, at)
  const ranNothing = at < 0 || totals.passed + totals.failed + totals.skipped === 0
  if (totals.failed === 0 && (end.status !== 0 || ranNothing)) {
    totals.failed = 1
    output += `FAILED ${file} ${end.status === 0 ? 'ran no test' : end.why}\n`
  }
  return { ...totals, output: output === '' ? '' : `${file}:\n${output}` }
}

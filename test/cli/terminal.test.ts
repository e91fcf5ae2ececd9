// The command on a real terminal and on real pipes: script(1) makes the terminal, stty(1) tells its
// settings before, during and after.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../src/cli/testing/fake-main.ts', import.meta.url))
const LIMIT_MS = 20_000

/** What a process prints, and a way to wait for it. */
class Output {
  text = ''
  readonly ended: Promise<number | null>
  #wake: (() => void) | undefined

  constructor(child: ChildProcess) {
    const add = (chunk: Buffer) => {
      this.text += chunk.toString()
      this.#wake?.()
    }
    child.stdout?.on('data', add)
    child.stderr?.on('data', add)
    const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS)
    this.ended = new Promise((resolve) => {
      child.on('close', (status) => {
        clearTimeout(timer)
        this.#wake?.()
        resolve(status)
      })
    })
  }

  async shows(pattern: RegExp): Promise<RegExpExecArray> {
    const start = Date.now()
    for (;;) {
      const match = pattern.exec(this.text)
      if (match) return match
      assert.ok(Date.now() - start < LIMIT_MS, `${pattern} did not come: ${this.text}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        setTimeout(resolve, 200)
      })
    }
  }
}

/** Runs a guest of fake-main.ts on a terminal of its own, with stty before and after. */
function onTerminal(behaviour: string, options = '') {
  const command =
    `echo "before $(stty -g)"; ${process.execPath} ${MAIN} run --kernel ${MAIN} ` +
    `--cmdline ${behaviour} ${options}; echo "status $?"; echo "after $(stty -g)"`
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: 'pipe' })
  return { child, output: new Output(child) }
}

/** The terminal's settings are what they were, and the status is the one given. */
async function assertRestored(output: Output, status: number): Promise<void> {
  await output.ended
  const before = /^before (\S+)/m.exec(output.text)?.[1]
  const after = /^after (\S+)/m.exec(output.text)?.[1]
  assert.ok(before, output.text)
  assert.equal(after, before)
  assert.match(output.text, new RegExp(`status ${status}\\r\\n`))
}

test('every key goes to the guest, and the terminal is as before after a power-off', async () => {
  const { child, output } = onTerminal('echo')
  await output.shows(/ready/)
  child.stdin.write('\x03\x1a\x04q')
  await assertRestored(output, 0)
  assert.match(output.text, /mode raw/)
  assert.match(output.text, /heard "\\u0003\\u001a\\u0004q"/)
})

test('Ctrl-] ends with status 14 and the terminal is as before', async () => {
  const { child, output } = onTerminal('echo')
  await output.shows(/leave with Ctrl-\][^]*ready/)
  child.stdin.write('\x1d')
  await assertRestored(output, 14)
})

test('a signal, a time limit, a bug and an uncaught error leave the terminal as before', async () => {
  const signalled = onTerminal('echo')
  const [, pid] = await signalled.output.shows(/pid (\d+)[^]*ready/)
  process.kill(Number(pid), 'SIGTERM')
  await assertRestored(signalled.output, 143)

  await assertRestored(onTerminal('echo', '--timeout 1').output, 13)
  const bug = onTerminal('bug').output
  await assertRestored(bug, 12)
  assert.match(bug.text, /the broken invariant/)
  const uncaught = onTerminal('uncaught').output
  await assertRestored(uncaught, 12)
  assert.match(uncaught.text, /thrown in the event loop/)
})

test('lines of the talk start in the first column while the terminal is raw', async () => {
  const { child, output } = onTerminal('echo')
  await output.shows(/ready/)
  child.stdin.write('q')
  await output.ended
  // A line feed without its carriage return would leave the cursor where it was.
  assert.doesNotMatch(output.text, /[^\r]\n/)
})

test('a reader that goes away ends the run quietly', async () => {
  const command = `${process.execPath} ${MAIN} run -k ${MAIN} --cmdline chatter | head -n 3`
  const child = spawn('bash', ['-c', `${command}; echo "status \${PIPESTATUS[0]}"`], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = new Output(child)
  await output.ended
  assert.match(output.text, /line 0\nline 1\nline 2\n/)
  assert.match(output.text, /status 141\n/)
  assert.doesNotMatch(output.text, /EPIPE|bug/)
})

test('an open pipe on standard input does not keep the command', async () => {
  const args = [MAIN, 'run', '-k', MAIN, '--cmdline', 'nothing']
  const child = spawn(process.execPath, args, { stdio: 'pipe' })
  assert.equal(await new Output(child).ended, 0)
})

// The command as a user runs it, in a process of its own, with a conversation on the console.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { plainText } from '../../src/node/console-text.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** Even on a machine that does much else, in seconds. */
const TIME_LIMIT = Number(process.env['XENOLITH_TIMEOUT_MS']) / 1000 || 400

export const PROMPT = 'demo:/# '

export interface CommandRun {
  readonly status: number | null
  /** The console, byte for byte. */
  readonly out: Buffer
  readonly err: string
}

/** Options that type `lines`, each when the prompt has come. */
export function conversation(...lines: readonly string[]): string[] {
  return lines.flatMap((line) => ['--expect', PROMPT, '--send', `${line}\\r`])
}

/** Runs `xenolith run` in virtual time; `mode`: how it executes code, if not as all tests do. */
export async function xenolithRun(args: readonly string[], mode?: string): Promise<CommandRun> {
  const always = ['--time', 'virtual', '--timeout', String(TIME_LIMIT)]
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', MAIN, 'run', ...always, ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...(mode !== undefined && { XENOLITH_TRANSLATE: mode }) },
    },
  )
  const out: Buffer[] = []
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => {
    err += chunk.toString()
  })
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  return { status, out: Buffer.concat(out), err }
}

/** What the console showed between a typed line and the next prompt. */
export function answerTo(line: string, console: string): string {
  const text = plainText(console)
  const start = text.indexOf(`${PROMPT}${line}\n`)
  if (start < 0) return `"${line}" was not typed; the console ends with:\n${text.slice(-1000)}`
  const from = start + PROMPT.length + line.length + 1
  const end = text.indexOf(PROMPT, from)
  return text.slice(from, end < 0 ? undefined : end)
}

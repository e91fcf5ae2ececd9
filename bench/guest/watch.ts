// Runs a process whose standard output is a guest's console, and takes the time when a mark
// arrives there: the same way for all sides.

import { spawn } from 'node:child_process'
import { processorTime } from '../processor-time.ts'
import { MarkReader } from './marks.ts'
import { Timeline } from './timeline.ts'

/** How much of the output is kept, to be quoted when the run fails. */
const QUOTED = 2000

export interface Watched {
  readonly timeline: Timeline
  /** Why it did not end as it should; undefined when it did. */
  readonly failure: string | undefined
  /** The last that it said, on both outputs. */
  readonly said: string
}

/**
 * Starts a command and watches until it ends, fails, or shows no mark for a while. It is then gone.
 * @param silenceMs how long without a mark is too long
 */
export async function watch(
  [command = '', ...args]: readonly string[],
  cwd: string,
  silenceMs: number,
): Promise<Watched> {
  const timeline = new Timeline(performance.now())
  const reader = new MarkReader()
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const hangs = () => reject(new Error(`nothing came for ${Math.round(silenceMs / 1000)} seconds`))
  let timer = setTimeout(hangs, silenceMs)
  child.stdout.on('data', (bytes: Buffer) => {
    const ms = performance.now()
    const piece = bytes.toString('latin1')
    said = (said + piece).slice(-QUOTED)
    const marks = reader.add(piece)
    if (marks.length === 0) return
    const moment = { ms, cpuMs: processorTime(child.pid) }
    clearTimeout(timer)
    timer = setTimeout(hangs, silenceMs)
    try {
      for (const mark of marks) timeline.add(mark, moment)
    } catch (error) {
      reject(error)
    }
  })
  child.stderr.on('data', (bytes: Buffer) => {
    said = (said + bytes.toString()).slice(-QUOTED)
  })
  child.on('error', reject)
  const closed = new Promise<void>((done) => {
    child.on('close', () => done())
    child.on('error', () => done())
  })
  void closed.then(resolve)
  try {
    await promise
    if (!timeline.isDone) throw new Error('the run ended too early')
    return { timeline, failure: undefined, said }
  } catch (error) {
    return { timeline, failure: error instanceof Error ? error.message : String(error), said }
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
    await closed
  }
}

// Profiles this process by V8's sampling profiler, and says how much of the time went to which code of
// the guest: translated regions are functions of WebAssembly that carry the guest's names.

import { Session } from 'node:inspector/promises'
import type { Profiler } from 'node:inspector'

const INTERVAL_US = 1000
/** As regions without a symbol are called. */
const PLAIN_REGION = /^(user|kernel) 0x/
/** Handlers of the interpreter, and the functions that regions call. */
const INTERPRETER = /^([A-Z0-9]+_\d+(_slow)?|core|enter|dead|stop|env\..*|runtime\..*)$/
const OFFSET = /\+0x[0-9a-f]+$/
/** What V8 calls time that was no function's. */
const OUTSIDE: Readonly<Record<string, string>> = {
  '(idle)': '(idle)',
  '(garbage collector)': '(garbage collector)',
}

/** Time by what it went to, the most first. In brackets: what is no code of the guest. */
export interface ProfileTime {
  readonly name: string
  readonly ms: number
}

export class CpuProfile {
  readonly #session = new Session()

  static async start(): Promise<CpuProfile> {
    const profile = new CpuProfile()
    const session = profile.#session
    session.connect()
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: INTERVAL_US })
    await session.post('Profiler.start')
    return profile
  }

  /** Ends it: what was seen, as DevTools and others read it from a file. */
  async stop(): Promise<Profiler.Profile> {
    const { profile } = await this.#session.post('Profiler.stop')
    return profile
  }

  /** Gives back what it has of the engine; a profile that was not ended is lost. */
  close(): void {
    this.#session.disconnect()
  }
}

/** What took the time: functions of the guest's kernel, places in its programs, and the rest. */
export function guestTimes({
  nodes,
  samples = [],
  timeDeltas = [],
}: Profiler.Profile): ProfileTime[] {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const times = new Map<string, number>()
  for (const [i, sample] of samples.entries()) {
    const name = names.get(sample) ?? '(host)'
    times.set(name, (times.get(name) ?? 0) + Math.max(0, timeDeltas[i] ?? 0) / 1000)
  }
  return [...times].map(([name, ms]) => ({ name, ms })).sort((a, b) => b.ms - a.ms)
}

/** Regions of one function of the guest's kernel are one. */
function nameOf({ functionName, url }: Profiler.ProfileNode['callFrame']): string {
  if (!url.startsWith('wasm:')) return OUTSIDE[functionName] ?? '(host)'
  if (INTERPRETER.test(functionName)) return '(interpreter)'
  return PLAIN_REGION.test(functionName) ? functionName : functionName.replace(OFFSET, '')
}

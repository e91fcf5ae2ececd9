// A guest in a process of its own that is killed in the middle: it is typed a script at its prompt, and
// says on its console, as `word: number.`, how far it has come.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { plainText } from '../../src/node/console-text.ts'
import type { GuestFiles } from '../../src/node/debian-guests.ts'
import { conversation } from './command.ts'

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** Boots take their time on a machine that does much else. */
const LIMIT_MS = 200_000

export interface KilledGuest {
  readonly files: GuestFiles
  readonly cmdline: string
  readonly memoryMiB: number
  readonly time: 'virtual' | 'real'
  /** Specifications, the first one for xvda. */
  readonly disks: readonly string[]
  /** What is typed at its prompt. */
  readonly script: string
}

export class KilledHost {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>
  #out = ''

  constructor(guest: KilledGuest) {
    const { kernel, ramdisk } = guest.files
    const options = {
      time: guest.time,
      kernel,
      ramdisk,
      cmdline: guest.cmdline,
      memory: String(guest.memoryMiB),
    }
    const args = Object.entries(options).flatMap(([name, value]) => [`--${name}`, value])
    args.push(...guest.disks.flatMap((disk) => ['--disk', disk]), ...conversation(guest.script))
    this.#child = spawn(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', MAIN, 'run', ...args],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    )
    this.#closed = new Promise((resolve) => this.#child.on('close', resolve))
    this.#child.stdout?.on('data', (bytes: Buffer) => {
      this.#out += bytes.toString('latin1')
    })
    this.#child.stderr?.resume()
  }

  /** The number that the guest said last, after `word`; -1 if it did not. */
  last(word: string): number {
    const [found] = [
      ...plainText(this.#out).matchAll(new RegExp(`^${word}: (\\d+)\\.$`, 'gm')),
    ].slice(-1)
    return found ? Number(found[1]) : -1
  }

  /** Waits until the guest has said at least this number. */
  async until(word: string, number: number): Promise<void> {
    const start = performance.now()
    // Looked at when something new was said: the guest needs the processor.
    for (let looked = -1; ; ) {
      if (this.#out.length !== looked && this.last(word) >= number) return
      looked = this.#out.length
      const said = () => plainText(this.#out).slice(-2000)
      assert.ok(performance.now() - start < LIMIT_MS, said())
      assert.equal(this.#child.exitCode, null, said())
      await sleep(5)
    }
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }
}

// The demo guest through the library: a host in this process, a domain, and a shell to type into.

import { setImmediate, setTimeout as sleep } from 'node:timers/promises'
import { ConsoleText } from '../../src/node/console-text.ts'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { Host } from '../../src/node/host.ts'
import type { Domain, DomainConfig, DomainEnd, HostOptions } from '../../src/node/host-types.ts'
import { answerTo, PROMPT } from './command.ts'

/** How often a host that runs by itself is looked at: to look all the time takes a processor. */
const LOOK_MS = 2
/** How often the end of a guest is looked for, where the host is moved on by hand. */
const ROUNDS_BETWEEN_LOOKS = 256

export class Session {
  readonly host: Host
  readonly domain: Domain
  end: DomainEnd | undefined
  readonly #text = new ConsoleText()
  #shown = ''
  #failure: unknown

  private constructor(host: Host, domain: Domain) {
    this.host = host
    this.domain = domain
    domain.console.onOutput((bytes) => {
      this.#shown += this.#text.add(bytes)
    })
    void this.#watchEnd()
  }

  /** A domain that is built and does not run yet. */
  static async create(
    config: Partial<DomainConfig> = {},
    options: Partial<HostOptions> = {},
  ): Promise<Session> {
    return Session.on(await Session.host(options), config)
  }

  static async host(options: Partial<HostOptions> = {}): Promise<Host> {
    return Host.create({ time: 'virtual', ...options })
  }

  /** A domain on a host that may have others. */
  static async on(host: Host, config: Partial<DomainConfig> = {}): Promise<Session> {
    const domain = await host.createDomain({
      ...(await demoGuest()),
      name: 'guest',
      cmdline: 'console=hvc0 cryptomgr.notests',
      memoryMiB: 256,
      vcpus: 1,
      ...config,
    })
    return new Session(host, domain)
  }

  /** All that the console has shown, as plain text. */
  get shown(): string {
    return this.#shown
  }

  /**
   * Goes on when `condition` holds, which is looked at between two slices of the host. A host that
   * was not started is moved on from here, and the condition looked at after every round: what is
   * typed then comes at the same time in every run.
   */
  async until(condition: () => boolean): Promise<void> {
    for (let rounds = 1; !condition(); rounds++) {
      if (this.#failure) throw this.#failure
      if (this.end) {
        throw new Error(`the guest has ended (${this.end.reason}):\n${this.#shown.slice(-2000)}`)
      }
      if (!this.host.isRunning) this.host.xen.step()
      if (this.host.isRunning) await sleep(LOOK_MS)
      else if (rounds % ROUNDS_BETWEEN_LOOKS === 0) await setImmediate()
    }
  }

  /** Waits for the first prompt. */
  async prompt(): Promise<void> {
    await this.until(() => this.#shown.endsWith(PROMPT))
  }

  /** Types a line at the prompt and gives what it printed. */
  async run(line: string): Promise<string> {
    const before = this.#shown.length
    this.domain.console.send(new TextEncoder().encode(`${line}\r`))
    await this.until(() => this.#shown.indexOf('\n', before) > 0 && this.#shown.endsWith(PROMPT))
    return answerTo(line, this.#shown.slice(before - PROMPT.length))
  }

  async #watchEnd(): Promise<void> {
    try {
      this.end = await this.domain.ended
    } catch (error) {
      this.#failure = error
    }
  }

  destroy(): void {
    this.host.stop()
    this.domain.destroy()
  }
}

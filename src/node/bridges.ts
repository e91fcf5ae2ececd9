// Bridges of the host's kernel: a switch that is named like one is joined to it, through a tap device,
// where this process may do that (root, or CAP_NET_ADMIN). One device joins the whole switch, however
// many guests are at it; it is there as long as one is.

import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { withChecksum } from '../backends/net/checksum.ts'
import type { Frame } from '../backends/net/frame.ts'
import { encodeFrame, FrameReader } from '../backends/net/frame-stream.ts'
import { segments } from '../backends/net/segment.ts'
import type { SwitchPort } from '../backends/net/switch.ts'
import type { Switches } from '../toolstack/guest-networks.ts'
import type { TimeMode } from './host-types.ts'

const HELPER = fileURLToPath(new URL('tap.pl', import.meta.url))
/** The socket's number in the helper: the first after the standard ones. */
const SOCKET = 3
/** What may wait for the helper to read it; a network loses frames, too. */
const MOST_WAITING_BYTES = 8 * 2 ** 20
const START_MS = 5_000

export interface BridgesOptions {
  readonly time: TimeMode
  readonly switches: Switches
  /** Told when a frame has come in. */
  readonly onTraffic: () => void
}

export class Bridges {
  readonly #options: BridgesOptions
  /** By bridge, interfaces that are on their way to it. */
  readonly #held = new Map<string, number>()
  readonly #taps = new Map<string, Promise<Tap | undefined>>()

  constructor(options: BridgesOptions) {
    this.#options = options
    options.switches.onReleased = () => this.tidy()
  }

  /**
   * Joins the switch of that name to the bridge of that name, if there is one and it is not yet.
   * It stays joined until {@link release} is called, and then as long as a guest is at it.
   */
  async join(name: string, notice: (text: string) => void): Promise<void> {
    this.#held.set(name, (this.#held.get(name) ?? 0) + 1)
    if (!isBridge(name)) return
    if (this.#options.time === 'virtual') {
      notice(`the bridge ${name} of this machine is not joined: its frames know no virtual time`)
      return
    }
    const known = this.#taps.get(name)
    if (known && (await known)?.isOpen) return
    const started = startTap(name, this.#options)
    this.#taps.set(
      name,
      started.catch(() => undefined),
    )
    try {
      await started
    } catch (error) {
      const why = error instanceof Error ? error.message.trim() : String(error)
      notice(`the bridge ${name} of this machine is not joined: ${why}`)
    }
  }

  /** The interface that {@link join} was for is in its place, or will not be. */
  release(name: string): void {
    const left = (this.#held.get(name) ?? 0) - 1
    if (left > 0) this.#held.set(name, left)
    else this.#held.delete(name)
    this.tidy()
  }

  /** Takes the devices away whose switches have no guest any more. */
  tidy(): void {
    for (const [name, started] of this.#taps) void this.#tidyOne(name, started)
  }

  async #tidyOne(name: string, started: Promise<Tap | undefined>): Promise<void> {
    const { switches } = this.#options
    const tap = await started
    if (this.#held.has(name) || (tap && switches.named(name).ports.length > 1)) return
    if (this.#taps.get(name) === started) this.#taps.delete(name)
    tap?.close()
    switches.released(name)
  }
}

function isBridge(name: string): boolean {
  return /^[\w.-]{1,15}$/.test(name) && existsSync(`/sys/class/net/${name}/bridge`)
}

/** A tap device between a switch and a bridge. */
class Tap {
  readonly #child: ChildProcess
  readonly #socket: Duplex
  readonly #reader = new FrameReader()
  readonly #port: SwitchPort
  readonly #onTraffic: () => void
  isOpen = true

  constructor(child: ChildProcess, name: string, { switches, onTraffic }: BridgesOptions) {
    this.#child = child
    this.#onTraffic = onTraffic
    this.#socket = child.stdio[SOCKET] as Duplex
    this.#port = switches.named(name).attach(`tap of ${name}`, (frame) => this.#send(frame))
    this.#socket.on('data', (bytes: Buffer) => this.#receive(bytes))
    this.#socket.on('error', () => {})
    child.on('close', () => this.close())
  }

  close(): void {
    if (!this.isOpen) return
    this.isOpen = false
    this.#port.detach()
    this.#socket.destroy()
    this.#child.kill()
  }

  #send(frame: Frame): void {
    if (!this.isOpen || this.#socket.writableLength > MOST_WAITING_BYTES) return
    for (const piece of segments(frame)) {
      this.#socket.write(encodeFrame(withChecksum(piece).bytes))
    }
  }

  #receive(bytes: Buffer): void {
    if (!this.isOpen) return
    for (const frame of this.#reader.add(bytes)) {
      this.#port.send({ bytes: frame, isBlank: false, isValidated: false })
    }
    this.#onTraffic()
  }
}

async function startTap(bridge: string, options: BridgesOptions): Promise<Tap> {
  const child = spawn('perl', [HELPER], { stdio: ['ignore', 'pipe', 'pipe', 'pipe'] })
  try {
    const device = await deviceOf(child)
    const link = (...args: string[]) => promisify(execFile)('ip', ['link', 'set', ...args])
    await link(device, 'master', bridge)
    await link(device, 'up')
    return new Tap(child, bridge, options)
  } catch (error) {
    child.kill()
    throw error
  }
}

/** The name of the device, which the helper says first. */
function deviceOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    let complaint = ''
    const timer = setTimeout(() => reject(new Error('perl does not answer')), START_MS)
    child.stdout?.on('data', (text: Buffer) => {
      said += text.toString()
      if (!said.includes('\n')) return
      clearTimeout(timer)
      resolve(said.trim())
    })
    child.stderr?.on('data', (text: Buffer) => {
      complaint = (complaint + text.toString()).slice(-1000)
    })
    const ended = (error?: Error) => {
      clearTimeout(timer)
      reject(new Error(complaint || (error?.message ?? 'perl has ended')))
    }
    child.on('error', ended)
    child.on('close', () => ended())
  })
}

// The way to the outside: Debian's passt, a process beside this one that turns a guest's frames
// into sockets of this user, without root. It gives the guest an address by DHCP and forwards
// ports. Frames go through a socket that it inherits, as with QEMU's `-netdev stream`; it ends when
// that is closed, however this process ends.

import { spawn, type ChildProcess } from 'node:child_process'
import { isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Duplex } from 'node:stream'
import { UserError } from '../base/errors.ts'
import { encodeFrame, FrameReader } from '../backends/net/frame-stream.ts'
import { ETHERTYPE_ARP, setU16, u16 } from '../backends/net/headers.ts'
import { linkLocalText } from '../backends/net/link-local.ts'
import { BROADCAST, formatMac, setMac } from '../backends/net/mac.ts'
import type { Uplink } from '../backends/net/uplink.ts'
import type { PortForward } from '../toolstack/port-forward.ts'

/** The guests' network, as QEMU's users know it. All gateways look alike: each has one guest. */
export const GATEWAY_NETWORK = { address: 0x0a00_0200, bits: 24 }
export const FIRST_GUEST_ADDRESS = 0x0a00_020f
export const LAST_GUEST_ADDRESS = 0x0a00_02fe
const GATEWAY_ADDRESS = 0x0a00_0202
const GATEWAY_MAC = 0x5255_0a00_0202
/** A unique local prefix (RFC 4193); its global identifier spells "xenol". */
const GUESTS_PREFIX = 'fd78:656e:6f6c::'

/** The socket's number in passt: the first after the standard ones. */
const SOCKET = 3
const MTU = 1500
const READY_TIMEOUT_MS = 10_000
/** What may wait for passt to read it; a network loses frames, too. */
const MOST_WAITING_BYTES = 8 * 2 ** 20
const MOST_SAID = 4096

/** A gateway, and what can be told of its guest. */
export interface Gateway extends Uplink {
  /** The address that the guest gets by DHCP. */
  readonly guestAddress: string
}

export interface PasstOptions {
  /** Who it is for, as messages name it. */
  readonly what: string
  /** The guest's address, as a number of 32 bits. */
  readonly address: number
  readonly forwards: readonly PortForward[]
  readonly mtu?: number | undefined
  /** The program; `passt` from the PATH if not given. */
  readonly program?: string | undefined
  /** Told when frames have come in. */
  readonly onTraffic: () => void
  /** Told when it ends by itself. */
  readonly onEnd: (why: string) => void
  /** Told when it is closed; its ports are free when `exited` resolves. */
  readonly onClose: (exited: Promise<void>) => void
}

/**
 * Starts a gateway and waits until it answers.
 * @throws UserError if there is no passt, or it cannot do what is asked
 */
export async function startPasst(options: PasstOptions): Promise<Passt> {
  const program = options.program ?? 'passt'
  const forward = options.forwards.find(({ address }) => isIPv6(address))
  if (forward && !machineHasIpv6()) throw noIpv6(options.what, forward)
  const child = spawn(program, argumentsOf(options), {
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  const passt = new Passt(child, options)
  try {
    await passt.ready()
  } catch (error) {
    passt.close()
    throw error
  }
  return passt
}

function argumentsOf({ address, forwards, mtu }: PasstOptions): string[] {
  const ports = forwards.flatMap(({ protocol, address: at, hostPort, guestPort }) => [
    protocol === 'tcp' ? '--tcp-ports' : '--udp-ports',
    `${at}/${hostPort}:${guestPort}`,
  ])
  const { name, hasIpv6 } = templateInterface()
  return [
    ...['--foreground', '--quiet', '--fd', String(SOCKET), '--mac-addr', formatMac(GATEWAY_MAC)],
    ...(name === undefined ? [] : ['--interface', name]),
    ...['--address', ipv4Text(address), '--netmask', String(GATEWAY_NETWORK.bits)],
    ...['--gateway', ipv4Text(GATEWAY_ADDRESS)],
    // Without an address it would be the host's own.
    ...(hasIpv6
      ? ['--address', ipv6Address(address), '--gateway', linkLocalText(GATEWAY_MAC)]
      : ['--ipv4-only']),
    // No --dns: the guest is to learn the host's own resolvers by DHCP. With one at an address of the
    // gateway's (--dns-forward), answers of the others would seem to come from there.
    ...['--mtu', String(mtu ?? MTU)],
    ...ports,
  ]
}

/** Can guests of this machine speak IPv6 with their gateways. */
export function machineHasIpv6(): boolean {
  return templateInterface().hasIpv6
}

/**
 * An interface that passt can take its bearings from. By itself it takes one with a default route,
 * and does not start without; but all that it would read there it is told, except for a link-local
 * IPv6 address, so that any interface with one will do, and for IPv4 the loopback.
 */
function templateInterface(): { readonly name: string | undefined; readonly hasIpv6: boolean } {
  const all = Object.entries(networkInterfaces()).map(([name, addresses = []]) => {
    const ipv6 = addresses.filter(({ family }) => family === 'IPv6')
    const isLoopback = addresses.some(({ internal }) => internal)
    const hasLinkLocal = !isLoopback && ipv6.some(({ address }) => address.startsWith('fe80:'))
    const hasGlobal = hasLinkLocal && ipv6.some(({ scopeid }) => scopeid === 0)
    return { name, isLoopback, hasLinkLocal, hasGlobal }
  })
  const six = all.find(({ hasGlobal }) => hasGlobal) ?? all.find((each) => each.hasLinkLocal)
  const chosen = six ?? all.find(({ isLoopback }) => isLoopback)
  return { name: chosen?.name, hasIpv6: six !== undefined }
}

export class Passt implements Gateway {
  readonly guestAddress: string
  readonly mac = GATEWAY_MAC
  readonly addresses = [GATEWAY_ADDRESS]
  onFrame: (frame: Uint8Array) => void = () => {}
  /** Frames that were lost because passt did not read. */
  dropped = 0
  readonly #child: ChildProcess
  readonly #socket: Duplex
  readonly #reader = new FrameReader()
  readonly #options: PasstOptions
  readonly #exited: Promise<void>
  #said = ''
  #isClosed = false
  #isPaused = false
  #isCorked = false
  /** Set until it has answered for the first time. */
  #settle: ((error?: unknown) => void) | undefined

  constructor(child: ChildProcess, options: PasstOptions) {
    this.#child = child
    this.#options = options
    this.guestAddress = ipv4Text(options.address)
    this.#socket = child.stdio[SOCKET] as Duplex
    this.#socket.on('data', (bytes: Buffer) => this.#receive(bytes))
    // Its end is told by the process.
    this.#socket.on('error', () => {})
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (text: Buffer) => {
        this.#said = (this.#said + text.toString()).slice(-MOST_SAID)
      })
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#exited = promise
    child.on('error', (error) => this.#ended(error))
    child.on('close', () => this.#ended())
    child.on('error', resolve)
    child.on('close', resolve)
  }

  /** Asks for the gateway's address, as the guest would, until there is an answer. */
  async ready(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#settle = (error) => (error === undefined ? resolve() : reject(error))
    const timer = setTimeout(
      () => this.#settle?.(this.#failure('It does not answer.')),
      READY_TIMEOUT_MS,
    )
    this.send(arpRequest(this.#options.address))
    try {
      await promise
    } finally {
      clearTimeout(timer)
      this.#settle = undefined
    }
  }

  /**
   * Frames of one slice of the guests go out together when it ends: a system call for each took a
   * fifth of the time of a guest that serves small pages (`tools/bench network`).
   */
  send(frame: Uint8Array): void {
    if (this.#isClosed) return
    if (this.#socket.writableLength > MOST_WAITING_BYTES) {
      this.dropped++
      return
    }
    if (this.#isCorked || this.#settle) {
      this.#socket.write(encodeFrame(frame))
      return
    }
    this.#isCorked = true
    this.#socket.cork()
    this.#socket.write(encodeFrame(frame))
    queueMicrotask(() => {
      this.#isCorked = false
      this.#socket.uncork()
    })
  }

  pause(): void {
    if (this.#isPaused) return
    this.#isPaused = true
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#socket.resume()
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#socket.destroy()
    this.#child.kill()
    this.#options.onClose(this.#exited)
  }

  #receive(bytes: Buffer): void {
    if (this.#isClosed) return
    let frames: Uint8Array[]
    try {
      frames = this.#reader.add(bytes)
    } catch (error) {
      this.#options.onEnd(`its stream is none of frames (${String(error)})`)
      return this.close()
    }
    for (const frame of frames) {
      if (!this.#settle) this.onFrame(frame)
      else if (u16(frame, 12) === ETHERTYPE_ARP) this.#settle()
    }
    this.#options.onTraffic()
  }

  #ended(error?: Error): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.onClose(this.#exited)
    const isMissing = error && 'code' in error && error.code === 'ENOENT'
    const why = isMissing ? 'The program passt is not installed.' : this.#lastWords(error)
    if (this.#settle) this.#settle(this.#failure(why))
    else this.#options.onEnd(why)
  }

  #lastWords(error?: Error): string {
    if (error) return `${error.message}.`
    // passt also says that it cannot reach a system log, which nobody needs to know.
    const lines = this.#said.split('\n').filter((line) => line && !line.includes('to syslog'))
    return lines.length > 0 ? `passt says: ${lines.slice(-3).join(' ')}` : 'passt has ended.'
  }

  #failure(why: string): UserError {
    return new UserError(
      `${this.#options.what} gets no way to the outside.`,
      why,
      'Install passt (Debian: apt-get install passt) and check the forwarded ports, or give the ' +
        'interface gateway=none.',
    )
  }
}

function noIpv6(what: string, { address, hostPort }: PortForward): UserError {
  return new UserError(
    `${what} cannot have port ${hostPort} of ${address} forwarded to it.`,
    'No interface of this machine has a link-local IPv6 address, without which passt does no IPv6.',
    'Forward a port of an IPv4 address such as 127.0.0.1, or switch IPv6 on.',
  )
}

export function ipv4Text(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.')
}

/** The IPv6 address of the guest with an IPv4 address, unless it chooses one of its own. */
function ipv6Address(address: number): string {
  return `${GUESTS_PREFIX}${(address & 0xffff).toString(16)}`
}

/** Who has the gateway's address, asked from the guest's. */
function arpRequest(address: number): Uint8Array {
  const frame = new Uint8Array(42)
  const view = new DataView(frame.buffer)
  setMac(frame, 0, BROADCAST)
  // Nobody's: the guest's own first frame tells passt who it is.
  setMac(frame, 6, GATEWAY_MAC + 1)
  setU16(frame, 12, ETHERTYPE_ARP)
  frame.set([0, 1, 8, 0, 6, 4, 0, 1], 14)
  setMac(frame, 22, GATEWAY_MAC + 1)
  view.setUint32(28, address)
  view.setUint32(38, GATEWAY_ADDRESS)
  return frame
}

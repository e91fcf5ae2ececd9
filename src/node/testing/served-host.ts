// For tests: a host that is served in this process, on a socket in a folder of its own, and tiny
// guests to put into it.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type GuestFile, readGuestFile } from '../../toolstack/guest-file/guest-file.ts'
import { TINY_PROGRAMS, tinyPvhProgram } from '../../toolstack/image/tiny-kernel.ts'
import { HostClient } from '../host-process/client.ts'
import { type ServedHost, type ServeOptions, serveHost } from '../host-process/serve.ts'

export type TinyProgram = keyof typeof TINY_PROGRAMS

export class TestServer {
  readonly folder: string
  readonly env: Record<string, string>
  readonly served: ServedHost
  readonly client: HostClient

  private constructor(folder: string, env: Record<string, string>, served: ServedHost) {
    this.folder = folder
    this.env = env
    this.served = served
    this.client = new HostClient(served.socket)
  }

  static async start(options: Partial<ServeOptions> = {}): Promise<TestServer> {
    const folder = mkdtempSync(join(tmpdir(), 'xenolith-test-'))
    const env = { XENOLITH_RUNTIME_DIR: join(folder, 'run') }
    const served = await serveHost({ name: 'default', time: 'real', env, ...options })
    for (const [name, code] of Object.entries(TINY_PROGRAMS)) {
      writeFileSync(join(folder, name), tinyPvhProgram(...code))
    }
    return new TestServer(folder, env, served)
  }

  /** A guest file for a tiny guest, with more settings if wanted. */
  tiny(name: string, program: TinyProgram = 'waits', more = ''): GuestFile {
    const kernel = join(this.folder, program)
    const text = `name="${name}"; type="pvh"; kernel="${kernel}"; memory=4\n${more}`
    return readGuestFile([{ name: `${name}.cfg`, text }]).guest
  }

  /** Creates a tiny guest. */
  create(name: string, program?: TinyProgram, more?: string) {
    const guest = this.tiny(name, program, more)
    return this.client.call('create', { guest, isPaused: false })
  }

  async stop(): Promise<void> {
    await this.served.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** All that a host could leak. */
export function hostCounters(server: TestServer) {
  const { xen } = server.served.table.host
  const { control, timers } = xen.hypervisor
  return {
    frames: xen.frames.freeFrames,
    ports: control.channels.boundPorts().length,
    grants: control.grants.activeGrants().length,
    timers: timers.size,
    xenstoreNodes: nodes(server, '/'),
    domains: [...xen.hypervisor.domainsInOrder()].length,
    areas: xen.memory.available,
  }
}

function nodes(server: TestServer, path: string): number {
  const { xenstore } = server.served.table.host.xen
  const children = xenstore.list(path) ?? []
  const below = children.map((name) => nodes(server, path === '/' ? `/${name}` : `${path}/${name}`))
  return below.reduce((sum, count) => sum + count, 1)
}

/** Where guests may be slow, waits last as long as those of hosts. */
const LEAST_MS = Number(process.env['XENOLITH_TIMEOUT_MS']) || 0

/** Waits until something holds; fails after some seconds. */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string,
  seconds = 20,
): Promise<void> {
  const end = performance.now() + Math.max(seconds * 1000, LEAST_MS)
  while (performance.now() < end) {
    if (await holds()) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`waited in vain: ${what}`)
}

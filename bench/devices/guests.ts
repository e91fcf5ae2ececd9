// A guest on either side, ours in this process and QEMU's in one of its own, with a shell and the
// processor time that the side has taken so far.

import { spawn } from 'node:child_process'
import type { Host } from '../../src/node/host.ts'
import { QEMU, QEMU_ARGUMENTS } from '../guest/sides.ts'
import { processorTime } from '../processor-time.ts'
import { type DeviceImage, LOAD_VIRTIO } from './image.ts'
import { Shell } from './shell.ts'

const CMDLINE = 'quiet cryptomgr.notests'
const MEMORY_MIB = 256

export interface BenchGuest {
  readonly shell: Shell
  /** Milliseconds of processor time that its side has taken. */
  readonly cpuMs: () => number
  readonly end: () => void
}

/** Boots a guest on ours; time is the host's, as with QEMU. */
export async function bootOurs(
  host: Host,
  image: DeviceImage,
  name: string,
  devices: { readonly disks?: readonly string[]; readonly vifs?: readonly string[] },
): Promise<BenchGuest> {
  const domain = await host.createDomain({
    name,
    kernel: image.kernel,
    ramdisk: image.ramdisk,
    cmdline: `console=hvc0 ${CMDLINE}`,
    memoryMiB: MEMORY_MIB,
    vcpus: 1,
    ...(devices.disks && { disks: [...devices.disks] }),
    ...(devices.vifs && { vifs: [...devices.vifs] }),
  })
  const shell = new Shell((bytes) => domain.console.send(bytes))
  domain.console.onOutput((bytes) => shell.add(bytes))
  host.start()
  await shell.ready()
  return { shell, cpuMs: ownCpuMs, end: () => domain.destroy() }
}

function ownCpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Boots a guest on QEMU TCG with virtio devices, as its further arguments say. */
export async function bootQemu(
  image: DeviceImage,
  devices: readonly string[],
): Promise<BenchGuest> {
  const images = ['-kernel', image.elf, '-initrd', image.ramdisk]
  const append = ['-append', `console=ttyS0 ${CMDLINE}`]
  const args = [...QEMU_ARGUMENTS.split(' '), ...images, ...append, ...devices]
  const child = spawn(QEMU, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const shell = new Shell((bytes) => child.stdin.write(bytes))
  child.stdout.on('data', (bytes: Buffer) => shell.add(bytes))
  process.once('exit', () => child.kill('SIGKILL'))
  await shell.ready()
  await shell.run(LOAD_VIRTIO)
  return { shell, cpuMs: () => processorTime(child.pid), end: () => child.kill('SIGKILL') }
}

/** What a piece of work took, in seconds: by the clock, and of processors on its side. */
export interface Taken<T> {
  readonly value: T
  readonly clock: number
  readonly cpu: number
}

/** Runs `work` of a side; its guests, if they share a process, count once. */
export async function taken<T>(
  guests: readonly BenchGuest[],
  work: () => Promise<T>,
): Promise<Taken<T>> {
  const sources = new Set(guests.map(({ cpuMs }) => cpuMs))
  const cpuMs = () => [...sources].reduce((sum, source) => sum + source(), 0)
  const [before, start] = [cpuMs(), performance.now()]
  const value = await work()
  const clock = (performance.now() - start) / 1000
  return { value, clock, cpu: (cpuMs() - before) / 1000 }
}

// Debian with systemd from a qcow2 image to the login prompt, on Xenolith beside QEMU's TCG: the same
// image, each time behind a fresh qcow2 overlay, in real time, with the same memory and no network.
// Prints medians from the start of the process to the prompt by the clock, and of processor time, and
// how many times as long as QEMU ours takes. Needs Debian's qemu-system-x86, and mmdebstrap for the image.
//
// Ours finds the kernel on the disk itself and decompresses it in the host. QEMU is given the same
// kernel's ELF file, entered as a PVH guest, and the same ramdisk: neither a BIOS nor GRUB nor the
// decompression counts against it. Its disk is virtio-blk, its console a serial port.
//
// tools/bench debian [--rounds N] [--ours-only]

import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { debianDisk } from '../../src/node/debian-disk.ts'
import { nodeDecompressors } from '../../src/node/decompressors.ts'
import { openDisk } from '../../src/node/domain-disks.ts'
import { bootFromDisk } from '../../src/toolstack/bootloader/boot-from-disk.ts'
import { openKernel } from '../../src/toolstack/image/kernel.ts'
import { QEMU_CPU } from '../guest/sides.ts'
import { processorTime } from '../processor-time.ts'
import { median } from '../statistics.ts'

const MEMORY_MIB = 512
const PROMPT = 'login:'
const MAIN = join(import.meta.dirname, '../../src/cli/main.ts')
/** A side that has no prompt by then hangs. */
const LONGEST_MS = 10 * 60_000

interface Took {
  readonly ms: number
  readonly cpuMs: number
}

interface Files {
  readonly base: string
  readonly kernel: string
  readonly ramdisk: string
  readonly cmdline: string
}

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, 'ours-only': { type: 'boolean' } },
})
const folder = mkdtempSync(join(tmpdir(), 'xenolith-bench-'))

/** Takes kernel and ramdisk out of the image, for QEMU. */
async function prepare(): Promise<Files> {
  const base = await debianDisk({ say: (line) => console.error(line) })
  const { image } = openDisk(`${base},qcow2,xvda,r`)
  const boot = bootFromDisk({ image, source: base }, {}, MEMORY_MIB * 2 ** 20)
  image.close()
  const kernel = join(folder, 'vmlinux')
  const { elf } = await openKernel(boot.kernel.bytes, boot.kernel.name, nodeDecompressors)
  writeFileSync(kernel, elf.bytes)
  const ramdisk = join(folder, 'initrd')
  writeFileSync(ramdisk, boot.ramdisk?.bytes ?? new Uint8Array())
  const cmdline = boot.commandLine.replace('console=hvc0', 'console=ttyS0')
  return { base, kernel, ramdisk, cmdline }
}

function commandOf(side: 'ours' | 'qemu', disk: string, files: Files): readonly string[] {
  if (side === 'ours') {
    const options = `--memory ${MEMORY_MIB} --time real --disk ${disk},qcow2,xvda,w`
    return [process.execPath, ...process.execArgv, MAIN, 'run'].concat(options.split(' '))
  }
  const { kernel, ramdisk, cmdline } = files
  const machine = `-accel tcg -M pc -cpu ${QEMU_CPU} -m ${MEMORY_MIB} -nographic -nodefaults`
  return ['qemu-system-x86_64', ...machine.split(' '), '-serial', 'stdio', '-no-reboot'].concat(
    ['-kernel', kernel, '-initrd', ramdisk, '-append', cmdline],
    ['-drive', `file=${disk},format=qcow2,if=virtio`],
  )
}

/** Boots once. */
async function boot(side: 'ours' | 'qemu', files: Files): Promise<Took> {
  const disk = join(folder, 'overlay.qcow2')
  rmSync(disk, { force: true })
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', files.base, disk])
  // Neither side finds the other's reads in the host's cache only.
  readFileSync(files.base)
  const [command = '', ...args] = commandOf(side, disk, files)
  const { promise, resolve, reject } = Promise.withResolvers<Took>()
  const start = performance.now()
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  let said = ''
  const fail = (why: string) => reject(new Error(`${side}: ${why}\n${said.slice(-2000)}`))
  const timer = setTimeout(() => fail('no prompt came'), LONGEST_MS)
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString('latin1')
    if (said.includes(PROMPT)) {
      resolve({ ms: performance.now() - start, cpuMs: processorTime(child.pid) })
    }
  })
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString()
  })
  child.on('error', reject)
  child.on('close', () => fail('it ended too early'))
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    child.removeAllListeners('close')
    const closed = new Promise((done) => child.on('close', done))
    child.kill('SIGKILL')
    await closed
  }
}

try {
  const files = await prepare()
  const took = { ours: [] as Took[], qemu: [] as Took[] }
  for (let round = 0; round < Number(values.rounds); round++) {
    const sides = values['ours-only'] ? (['ours'] as const) : (['ours', 'qemu'] as const)
    // Who comes first changes, so that a machine that grows slower is fair to both.
    for (const side of round % 2 === 1 ? sides.toReversed() : sides) {
      const one = await boot(side, files)
      console.error(
        `${side}: ${(one.ms / 1000).toFixed(1)} s, ${(one.cpuMs / 1000).toFixed(1)} s CPU`,
      )
      took[side].push(one)
    }
  }
  const seconds = (side: readonly Took[], key: keyof Took) =>
    median(side.map((one) => one[key])) / 1000
  console.log('from the start to the login prompt      ours, s    QEMU, s  ours/QEMU')
  for (const [what, key] of [
    ['by the clock', 'ms'],
    ['processor time', 'cpuMs'],
  ] as const) {
    const [ours, qemu] = [seconds(took.ours, key), seconds(took.qemu, key)]
    const cells = [ours.toFixed(1), qemu.toFixed(1), (ours / qemu).toFixed(2)]
    console.log(what.padEnd(36) + cells.map((cell) => cell.padStart(11)).join(''))
  }
} finally {
  rmSync(folder, { recursive: true })
}

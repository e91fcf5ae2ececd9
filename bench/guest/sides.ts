// How each side runs the suite: a process whose standard output is the guest's console. The times
// are taken here, when a mark arrives, the same way for all.

import { execFileSync, spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../src/base/errors.ts'
import { processorTime } from '../processor-time.ts'
import type { Image } from './image.ts'
import { MarkReader } from './marks.ts'
import { type SuiteRun, Timeline } from './timeline.ts'

export type Side = 'ours' | 'qemu' | 'native'

const MEMORY_MIB = '256'
const OPTIONS = 'cryptomgr.notests quiet'

/**
 * QEMU's processor, as near to ours as it comes: AMD, without AVX, and none of the features that
 * only QEMU has. Family 26 is one that Linux takes for free of SRSO, as ours says it is: the kernel
 * then chooses the same mitigations (retpolines) on both. Ours alone has PCID, SHA, XSAVES, x2APIC.
 */
const QEMU_CPU =
  'max,family=26,model=1,stepping=1,-avx,-avx2,-f16c,-fma,-vaes,-vpclmulqdq,' +
  '-3dnow,-3dnowext,-mpx,-pku,-svm,-monitor'

export const QEMU = 'qemu-system-x86_64'
export const QEMU_ARGUMENTS =
  `-accel tcg -M pc -cpu ${QEMU_CPU} -m ${MEMORY_MIB} -nographic -nodefaults -serial stdio ` +
  '-no-reboot'

/** A side that shows no mark for this long hangs. */
const SILENCE_MS = 10 * 60_000
/** How much of a failing side's output is quoted. */
const QUOTED = 2000

/**
 * QEMU's name and version in one line.
 * @throws UserError when it is missing
 */
export function qemuVersion(): string {
  try {
    return execFileSync(QEMU, ['--version'], { encoding: 'utf8' }).split('\n')[0] ?? ''
  } catch (error) {
    throw new UserError(
      `Cannot run ${QEMU}, which the suite compares with.`,
      `${error instanceof Error ? error.message : String(error)}.`,
      'Install it (Debian: qemu-system-x86), or measure ours alone: --ours-only.',
    )
  }
}

/**
 * Runs the suite once on a side.
 * @throws Error when the run fails or hangs
 */
export async function runSuite(side: Side, image: Image): Promise<SuiteRun> {
  const work = join(image.folder, '..', 'work')
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work)
  const [command, ...args] = commandOf(side, image)
  const timeline = new Timeline(performance.now())
  const reader = new MarkReader()
  const child = spawn(command, args, { cwd: work, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const hangs = () => reject(new Error(`nothing came for ${SILENCE_MS / 60_000} minutes`))
  let timer = setTimeout(hangs, SILENCE_MS)
  child.stdout.on('data', (bytes: Buffer) => {
    const ms = performance.now()
    const piece = bytes.toString('latin1')
    said = (said + piece).slice(-QUOTED)
    const marks = reader.add(piece)
    if (marks.length === 0) return
    const moment = { ms, cpuMs: processorTime(child.pid) }
    clearTimeout(timer)
    timer = setTimeout(hangs, SILENCE_MS)
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
  child.on('close', () => resolve())
  try {
    await promise
    if (!timeline.isDone) throw new Error('the run ended too early')
    return timeline.result()
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`${side}: ${why}\n${said}`, { cause: error })
  } finally {
    clearTimeout(timer)
    child.kill('SIGKILL')
  }
}

function commandOf(side: Side, { kernel, elf, ramdisk, folder }: Image): [string, ...string[]] {
  switch (side) {
    case 'ours': {
      const script = join(import.meta.dirname, 'ours.ts')
      return [
        process.execPath,
        ...process.execArgv,
        script,
        kernel,
        ramdisk,
        `console=hvc0 ${OPTIONS}`,
        MEMORY_MIB,
      ]
    }
    case 'qemu': {
      const images = ['-kernel', elf, '-initrd', ramdisk, '-append', `console=ttyS0 ${OPTIONS}`]
      return [QEMU, ...QEMU_ARGUMENTS.split(' '), ...images]
    }
    case 'native':
      return [join(folder, 'busybox'), 'sh', join(folder, 'driver.sh'), folder]
  }
}

// How each side runs the suite: a process whose standard output is the guest's console.

import { execFileSync } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../src/base/errors.ts'
import { MEMORY_MIB, OPTIONS } from './guest-options.ts'
import type { Image } from './image.ts'
import type { SuiteRun } from './timeline.ts'
import { watch } from './watch.ts'

export type Side = 'ours' | 'qemu' | 'native'

/**
 * QEMU's processor, as near to ours as it comes: AMD, without AVX, and none of the features that
 * only QEMU has. Family 26 is one that Linux takes for free of SRSO, as ours says it is: the kernel
 * then chooses the same mitigations (retpolines) on both. Ours alone has PCID, SHA, XSAVES, x2APIC.
 * The leaves of CPUID go on to AMD's of caches (8000001Dh), as ours do: QEMU answers there, but
 * says that it does not, and glibc takes the caches for empty and copies past them what is large.
 */
export const QEMU_CPU =
  'max,family=26,model=1,stepping=1,xlevel=0x8000001e,-avx,-avx2,-f16c,-fma,-vaes,-vpclmulqdq,' +
  '-3dnow,-3dnowext,-mpx,-pku,-svm,-monitor'

export const QEMU = 'qemu-system-x86_64'
export const QEMU_ARGUMENTS =
  `-accel tcg -M pc -cpu ${QEMU_CPU} -m ${MEMORY_MIB} -nographic -nodefaults -serial stdio ` +
  '-no-reboot'

/** A side that shows no mark for this long hangs. */
const SILENCE_MS = 10 * 60_000

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
  const { timeline, failure, said } = await watch(commandOf(side, image), work, SILENCE_MS)
  if (failure !== undefined) throw new Error(`${side}: ${failure}\n${said}`)
  return timeline.result()
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

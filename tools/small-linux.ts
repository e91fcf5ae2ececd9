// A small Linux for guests of 32 MiB and a ramdisk of busybox, kept in the cache. The kernel is made
// from Debian's package of Linux's source by guests/small-linux.config; building it takes minutes, so
// only who asks for that (tools/small-kernel) does it, and everybody else looks whether it is there.
// The same source and compiler give the same bytes: what a build puts into a kernel of its time and
// place is fixed.

import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { UserError } from '../src/base/errors.ts'
import { defaultCacheFolder, findArtifact, obtainArtifact } from '../src/node/artifact-cache.ts'
import { DebianPackages } from '../src/node/debian-packages.ts'
import type { FetchOptions, GuestFiles } from '../src/node/debian-guests.ts'
import { makeDemoRamdisk } from '../src/toolstack/image/demo-ramdisk.ts'

const run = promisify(execFile)
const gzipAsync = promisify(gzip)

const CONFIG = join(import.meta.dirname, '../guests/small-linux.config')
const SOURCE = 'linux-source-6.1'
/** Bumped when the same configuration should give something else. */
const RECIPE = 1

/** What the build uses, by Debian package. */
const PROGRAMS: Readonly<Record<string, string>> = {
  make: 'make',
  gcc: 'gcc',
  strip: 'binutils',
  flex: 'flex',
  bison: 'bison',
  bc: 'bc',
  perl: 'perl',
  tar: 'tar',
  xz: 'xz-utils',
}

/** Nothing of when, where and by whom it was built is in the kernel. */
const FIXED = {
  ARCH: 'x86_64',
  LC_ALL: 'C',
  KBUILD_BUILD_TIMESTAMP: 'Thu Jan  1 00:00:00 UTC 1970',
  KBUILD_BUILD_VERSION: '1',
  KBUILD_BUILD_USER: 'xenolith',
  KBUILD_BUILD_HOST: 'xenolith',
}

/**
 * Half of the source, which this configuration does not read; unpacking it takes as long as the rest.
 * The descriptions of options are read, those of other processors too.
 */
const LEFT_OUT = [
  'Documentation/*/*',
  'arch/[a-w]*/*.[chS]',
  '*.dts',
  '*.dtsi',
  'drivers/gpu/drm/*/*.[ch]',
  'sound/*/*.[ch]',
  'tools/testing/*',
]

/** The least that it boots in with its ramdisk, to a shell. */
export const SMALL_LINUX_MIB = 32

/**
 * Builds the kernel and the ramdisk, where the cache does not have them.
 * @throws UserError when a program is missing, or the build fails
 */
export async function makeSmallLinux(options: FetchOptions = {}): Promise<GuestFiles> {
  const say = options.say ?? (() => {})
  const cacheFolder = options.cacheFolder ?? defaultCacheFolder()
  const packages = new DebianPackages(cacheFolder, say)
  return filesIn(
    await obtainArtifact(cacheFolder, {
      ...identity(),
      make: async (into, scratch) => {
        await checkPrograms()
        const { folder } = await packages.unpack(SOURCE, scratch)
        say('unpacking the source')
        const archive = join(folder, 'usr/src', `${SOURCE}.tar.xz`)
        const patterns = LEFT_OUT.map((pattern) => `--exclude=${SOURCE}/${pattern}`)
        const tree = join(scratch, 'tree')
        await mkdir(tree)
        await command('tar', ['-xf', archive, ...patterns, '-C', tree])
        await build(join(tree, SOURCE), into, say)
        const busybox = await packages.unpack('busybox-static', scratch)
        const ramdisk = makeDemoRamdisk(await readFile(join(busybox.folder, 'bin/busybox')), [])
        await writeFile(join(into, 'initrd.gz'), await gzipAsync(ramdisk, { level: 9 }))
      },
    }),
  )
}

/** The files, if they have been built by the configuration as it is. */
export async function findSmallLinux(cacheFolder?: string): Promise<GuestFiles | undefined> {
  const folder = await findArtifact(cacheFolder ?? defaultCacheFolder(), identity())
  return folder === undefined ? undefined : filesIn(folder)
}

function identity(): { name: string; version: string } {
  const hash = createHash('sha256').update(readFileSync(CONFIG)).digest('hex')
  return { name: 'small-linux', version: `${RECIPE}-${hash.slice(0, 16)}` }
}

function filesIn(folder: string): GuestFiles {
  return { kernel: join(folder, 'vmlinux'), ramdisk: join(folder, 'initrd.gz') }
}

async function checkPrograms(): Promise<void> {
  const missing = new Set<string>()
  for (const [program, name] of Object.entries(PROGRAMS)) {
    await run('sh', ['-c', `command -v ${program}`]).catch(() => missing.add(name))
  }
  // A program of the kernel's build (objtool) is made with it.
  await run('sh', ['-c', 'echo "#include <gelf.h>" | gcc -E -']).catch(() =>
    missing.add('libelf-dev'),
  )
  if (missing.size === 0) return
  const names = [...missing].join(' ')
  const remedy = `Run: sudo apt-get install ${names}`
  throw new UserError('Cannot build the small Linux.', `Programs are missing: ${names}.`, remedy)
}

async function build(source: string, into: string, say: (line: string) => void): Promise<void> {
  const make = (...args: string[]) => command('make', ['-s', '-C', source, ...args])
  await make(`KCONFIG_ALLCONFIG=${CONFIG}`, 'allnoconfig')
  await checkConfig(await readFile(join(source, '.config'), 'utf8'))
  say('building the kernel; this takes some minutes')
  await make(`-j${availableParallelism()}`, 'vmlinux')
  await command('strip', ['-s', '-o', join(into, 'vmlinux'), join(source, 'vmlinux')])
  await copyFile(join(source, '.config'), join(into, 'config'))
}

/** What another option does not let be, Linux's configuration leaves out without a word. */
async function checkConfig(made: string): Promise<void> {
  const lines = new Set(made.split('\n'))
  const wanted = (await readFile(CONFIG, 'utf8')).split('\n')
  const lost = wanted.filter((line) => line.startsWith('CONFIG_') && !lines.has(line))
  if (lost.length > 0) throw failed(`Its source does not know or allow ${lost.join(', ')}.`)
}

async function command(program: string, args: readonly string[]): Promise<void> {
  const env = { ...process.env, ...FIXED }
  // Its own lines are many; the last ones say why it failed.
  const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8')
  child.stderr.on('data', (text: string) => {
    said = (said + text).slice(-4000)
  })
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  if (status === 0) return
  throw failed(`${program} failed: ${said.trimEnd().split('\n').slice(-5).join('\n')}`)
}

function failed(why: string): UserError {
  return new UserError(
    'Cannot build the small Linux.',
    why,
    'It is made from the Debian 12 package of Linux 6.1 with the gcc of Debian 12.',
  )
}

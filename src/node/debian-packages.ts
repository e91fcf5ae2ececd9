// Fetches and unpacks Debian packages for amd64 (or i386), whatever the host is, without root:
// `apt-get download` verifies them against Debian's signatures, `dpkg-deb -x` unpacks. Where the
// host's package lists do not know a package (they are empty in containers, and on a host of
// another architecture they lack amd64), lists of our own are kept in the cache folder, made from
// the host's sources and keys.

import { execFile } from 'node:child_process'
import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { UserError } from '../base/errors.ts'

const run = promisify(execFile)

const SUPPLY_KERNEL =
  'Give a kernel of your own instead: --kernel=FILE (and --ramdisk=FILE), such as /boot/vmlinuz-*.'

export type DebianArchitecture = 'amd64' | 'i386'

/** Where a package was unpacked, and which version it is. */
export interface UnpackedPackage {
  readonly name: string
  readonly version: string
  readonly folder: string
}

interface PackageRecord {
  readonly version: string
  readonly depends: readonly string[]
}

/** Debian's packages, by way of the host's apt. */
export class DebianPackages {
  readonly #cacheFolder: string
  readonly #say: (line: string) => void
  /** The folder of our lists, one for each architecture. */
  readonly #lists: string
  /** Options that choose the architecture, and make apt use our lists instead of the host's. */
  #options: readonly string[]
  #ownLists = false
  /** Why some of the lists could not be fetched. */
  #listsFailed: CommandFailed | undefined

  /** @param say is told, in one line each, what takes time */
  constructor(
    cacheFolder: string,
    say: (line: string) => void,
    architecture: DebianArchitecture = 'amd64',
  ) {
    this.#cacheFolder = cacheFolder
    this.#say = say
    this.#lists = architecture === 'amd64' ? 'apt' : `apt-${architecture}`
    this.#options = ['-o', `APT::Architecture=${architecture}`]
  }

  /**
   * The package that a meta-package such as linux-image-cloud-amd64 depends on: the first whose
   * name matches.
   * @throws UserError when apt is missing, the package is unknown, or none matches
   */
  async resolve(metaPackage: string, dependency: RegExp): Promise<string> {
    const { depends } = await this.#record(metaPackage)
    const found = depends.find((name) => dependency.test(name))
    if (found) return found
    throw new UserError(
      `Cannot find the package behind ${metaPackage}.`,
      `It depends on ${depends.join(', ') || 'nothing'}.`,
      SUPPLY_KERNEL,
    )
  }

  /**
   * Downloads a package and unpacks it into a folder of its own inside `scratch`.
   * @throws UserError when apt is missing, the package is unknown, or the network fails
   */
  async unpack(name: string, scratch: string): Promise<UnpackedPackage> {
    const { version } = await this.#record(name)
    const downloads = join(scratch, `${name}.download`)
    const folder = join(scratch, name)
    await mkdir(downloads)
    this.#say(`fetching ${name} ${version}`)
    await this.#command('apt-get', [...this.#quiet(), 'download', name], downloads)
    const archive = (await readdir(downloads)).find((file) => file.endsWith('.deb'))
    if (!archive) {
      throw new UserError(
        `Cannot fetch the Debian package ${name}.`,
        'apt-get download left no file.',
        `Try it yourself: apt-get download ${name}`,
      )
    }
    await this.#command('dpkg-deb', ['-x', join(downloads, archive), folder], scratch)
    return { name, version, folder }
  }

  async #record(name: string): Promise<PackageRecord> {
    const known = await this.#lookUp(name)
    if (known) return known
    if (!this.#ownLists) {
      await this.#useOwnLists()
      const found = await this.#lookUp(name)
      if (found) return found
    }
    if (this.#listsFailed) throw this.#listsFailed
    throw new UserError(
      `Cannot find the Debian package ${name}.`,
      'The package sources of this machine (/etc/apt/sources.list) do not offer it.',
      SUPPLY_KERNEL,
    )
  }

  /** Undefined when apt does not know the package. */
  async #lookUp(name: string): Promise<PackageRecord | undefined> {
    const options = [...this.#options, '-o', 'APT::Cache::AllVersions=false']
    const text = await this.#command('apt-cache', [...options, 'show', name]).catch((cause) => {
      if (cause instanceof CommandFailed) return ''
      throw cause
    })
    const field = (key: string): string | undefined =>
      new RegExp(`^${key}: (.*)$`, 'm').exec(text)?.[1]
    const version = field('Version')
    if (version === undefined) return undefined
    const depends = (field('Depends') ?? '')
      .split(',')
      .map((one) => one.trim().replace(/[ :|].*/, ''))
    return { version, depends: depends.filter((one) => one !== '') }
  }

  async #useOwnLists(): Promise<void> {
    const folder = join(this.#cacheFolder, this.#lists)
    for (const part of ['lists/partial', 'archives/partial']) {
      await mkdir(join(folder, part), { recursive: true })
    }
    this.#options = [
      ...this.#options,
      '-o',
      `Dir::State::lists=${join(folder, 'lists')}`,
      '-o',
      `Dir::Cache=${folder}`,
    ]
    this.#ownLists = true
    this.#say('fetching the lists of Debian packages')
    try {
      await this.#command('apt-get', [...this.#quiet(), 'update'])
    } catch (cause) {
      // One list that is out of step must not keep us from what the others offer.
      if (!(cause instanceof CommandFailed)) throw cause
      this.#listsFailed = cause
    }
  }

  /** The sandbox user could not write to our folders, so as root apt would warn. */
  #quiet(): string[] {
    return [...this.#options, '-q', '-o', 'APT::Sandbox::User=root']
  }

  async #command(program: string, args: readonly string[], folder?: string): Promise<string> {
    try {
      const environment = { ...process.env, LC_ALL: 'C' }
      const options = { cwd: folder, env: environment, maxBuffer: 1 << 24 }
      return (await run(program, args, options)).stdout
    } catch (cause) {
      if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
        throw new UserError(
          'Cannot fetch Debian packages.',
          `The program ${program} is missing: this is not a Debian-like system.`,
          SUPPLY_KERNEL,
        )
      }
      throw new CommandFailed(program, cause)
    }
  }
}

/** A program ended with an error; the last line that it wrote is the reason. */
class CommandFailed extends UserError {
  constructor(program: string, cause: unknown) {
    const written = cause instanceof Error && 'stderr' in cause ? String(cause.stderr) : ''
    const lines = written.split('\n').filter((line) => /^(E|W|Err|dpkg-deb|N):?/.test(line))
    super(
      'Cannot fetch Debian packages.',
      `${program} failed: ${lines.at(-1) ?? (cause instanceof Error ? cause.message : '')}`,
      `Check the network and /etc/apt/sources.list, and try again. ${SUPPLY_KERNEL}`,
    )
  }
}

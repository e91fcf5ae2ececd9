// Completes package-lock.json. `npm ci` refuses a lock file without an entry for every optional
// package of every platform, and npm writes none for those that the registry in use cannot tell it
// about. This adds them from what the lock file knows: the version that the dependent asks for, and
// the platform that the name spells. `--check` changes nothing and fails if there is something to
// add. Left out: integrity (npm then trusts the registry) and version ranges.

import { readFileSync, writeFileSync } from 'node:fs'

interface Entry {
  version: string
  dev?: boolean
  optional?: boolean
  os?: string[]
  cpu?: string[]
  libc?: string[]
  optionalDependencies?: Record<string, string>
}

interface Lockfile {
  packages: Record<string, Entry>
}

const SYSTEMS = new Set([
  'aix',
  'android',
  'darwin',
  'freebsd',
  'linux',
  'netbsd',
  'openbsd',
  'openharmony',
  'sunos',
  'win32',
])
const PROCESSORS = new Set([
  'arm',
  'arm64',
  'ia32',
  'loong64',
  'mips64el',
  'ppc64',
  'riscv64',
  's390x',
  'wasm32',
  'x64',
])
const LIBRARIES = new Map([
  ['gnu', 'glibc'],
  ['gnueabihf', 'glibc'],
  ['musl', 'musl'],
  ['musleabihf', 'musl'],
])

/** Adds the missing entries; the names of what was added. */
function complete(lockfile: Lockfile): string[] {
  const added: string[] = []
  for (const [path, entry] of Object.entries(lockfile.packages)) {
    for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
      const place = `node_modules/${name}`
      if (lockfile.packages[place] || lockfile.packages[`${path}/${place}`]) continue
      if (!/^\d/.test(version)) continue
      lockfile.packages[place] = entryOf(name, version, entry.dev === true)
      added.push(`${name}@${version}`)
    }
  }
  return added
}

function entryOf(name: string, version: string, dev: boolean): Entry {
  const words = name.split(/[/-]/)
  const os = words.filter((word) => SYSTEMS.has(word))
  const cpu = words.filter((word) => PROCESSORS.has(word))
  const libc = words.flatMap((word) => LIBRARIES.get(word) ?? [])
  return {
    version,
    ...(cpu.length > 0 && { cpu }),
    ...(dev && { dev }),
    ...(os[0] === 'linux' && libc.length > 0 && { libc }),
    optional: true,
    ...(os.length > 0 && { os }),
  }
}

const file = new URL('../package-lock.json', import.meta.url)
const lockfile = JSON.parse(readFileSync(file, 'utf8')) as Lockfile
const added = complete(lockfile)
if (added.length > 0) {
  if (process.argv.includes('--check')) {
    console.error(`package-lock.json lacks ${added.join(', ')}: run tools/complete-lockfile`)
    process.exitCode = 1
  } else {
    const { '': root, ...packages } = lockfile.packages
    const sorted = Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1))
    lockfile.packages = { ...(root && { '': root }), ...Object.fromEntries(sorted) }
    writeFileSync(file, `${JSON.stringify(lockfile, null, 2)}\n`)
    console.error(`added ${added.length}: ${added.join(', ')}`)
  }
}

// Files that are fetched or made once and kept: $XDG_CACHE_HOME/xenolith, else ~/.cache/xenolith.
// Each artifact is a folder with its files and a manifest of their SHA-256. They are verified at
// each use, and made again when one is damaged or the recipe has changed. A new artifact is made
// beside the old one and renamed, so that two processes never see half of one.

import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'

const MANIFEST = 'manifest.json'
const SCRATCH = 'making-'
const ABANDONED_AFTER_MS = 3_600_000
const MOST_ATTEMPTS = 5

interface Manifest {
  readonly recipe: string
  readonly files: Readonly<Record<string, string>>
}

/** How to make an artifact that is not in the cache. */
export interface Recipe {
  /** Name of the artifact's folder. */
  readonly name: string
  /** Changes whenever the same name should hold something else. */
  readonly version: string
  /** Fills the folder `into` with files; `scratch` is for what need not be kept. */
  readonly make: (into: string, scratch: string) => Promise<void>
}

/** The folder of the cache for this user. */
export function defaultCacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  const base = environment['XDG_CACHE_HOME'] || join(homedir(), '.cache')
  return join(base, 'xenolith')
}

/**
 * The folder of an artifact, verified; made first when it is missing or damaged.
 * @throws UserError when the cache cannot be written, and whatever `recipe.make` throws
 */
export async function obtainArtifact(cacheFolder: string, recipe: Recipe): Promise<string> {
  const folder = join(cacheFolder, recipe.name)
  if (await isIntact(folder, recipe.version)) return folder
  const scratch = await makeScratch(cacheFolder)
  try {
    const made = join(scratch, 'artifact')
    await mkdir(made)
    await recipe.make(made, scratch)
    const manifest: Manifest = { recipe: recipe.version, files: await hashAll(made) }
    await writeFile(join(made, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`)
    await putInPlace(folder, made, recipe.version, scratch)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  return folder
}

/** The folder of an artifact that is there and intact. */
export async function findArtifact(
  cacheFolder: string,
  { name, version }: Pick<Recipe, 'name' | 'version'>,
): Promise<string | undefined> {
  const folder = join(cacheFolder, name)
  return (await isIntact(folder, version)) ? folder : undefined
}

async function makeScratch(cacheFolder: string): Promise<string> {
  try {
    await mkdir(cacheFolder, { recursive: true })
    await removeAbandoned(cacheFolder)
    return await mkdtemp(join(cacheFolder, SCRATCH))
  } catch (cause) {
    throw new UserError(
      `Cannot write to the cache folder ${cacheFolder}.`,
      cause instanceof Error ? cause.message : String(cause),
      'Set XDG_CACHE_HOME to a folder that you may write to.',
    )
  }
}

/** What a process that was killed left behind: kernels unpack to hundreds of megabytes. */
async function removeAbandoned(cacheFolder: string): Promise<void> {
  for (const name of await readdir(cacheFolder)) {
    if (!name.startsWith(SCRATCH)) continue
    const path = join(cacheFolder, name)
    const info = await stat(path).catch((cause: unknown) => {
      // Another process finished with it just now.
      if (hasCode(cause, 'ENOENT')) return undefined
      throw cause
    })
    const isAbandoned = info !== undefined && Date.now() - info.mtimeMs > ABANDONED_AFTER_MS
    if (isAbandoned) await rm(path, { recursive: true, force: true })
  }
}

/** Puts `made` in place of `folder`, unless another process was faster with the same. */
async function putInPlace(
  folder: string,
  made: string,
  version: string,
  scratch: string,
): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    if (await isIntact(folder, version)) return
    try {
      await rename(folder, join(scratch, `old-${attempt}`))
    } catch (cause) {
      if (!hasCode(cause, 'ENOENT')) throw cause
    }
    try {
      return await rename(made, folder)
    } catch (cause) {
      const isTaken = hasCode(cause, 'ENOTEMPTY', 'EEXIST')
      if (!isTaken || attempt === MOST_ATTEMPTS) throw cause
    }
  }
}

function hasCode(cause: unknown, ...codes: readonly string[]): boolean {
  return cause instanceof Error && 'code' in cause && codes.includes(String(cause.code))
}

async function isIntact(folder: string, version: string): Promise<boolean> {
  const manifest = await readManifest(join(folder, MANIFEST))
  if (manifest?.recipe !== version) return false
  const found = await hashAll(folder)
  const names = Object.keys(manifest.files)
  return names.length > 0 && names.every((name) => found[name] === manifest.files[name])
}

/** Undefined when there is none, or it is not one of ours. */
async function readManifest(path: string): Promise<Manifest | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(path, 'utf8'))
    return isManifest(value) ? value : undefined
  } catch (cause) {
    if (hasCode(cause, 'ENOENT', 'ENOTDIR') || cause instanceof SyntaxError) return undefined
    throw cause
  }
}

function isManifest(value: unknown): value is Manifest {
  return (
    typeof value === 'object' &&
    value !== null &&
    'recipe' in value &&
    typeof value.recipe === 'string' &&
    'files' in value &&
    typeof value.files === 'object' &&
    value.files !== null
  )
}

/** SHA-256, in hexadecimal, of each file in the folder but the manifest. */
async function hashAll(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { withFileTypes: true })
  const hashes: Record<string, string> = {}
  for (const entry of entries) {
    if (!entry.isFile() || entry.name === MANIFEST) continue
    const bytes = await readFile(join(folder, entry.name))
    hashes[entry.name] = createHash('sha256').update(bytes).digest('hex')
  }
  return hashes
}

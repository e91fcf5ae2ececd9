// Files that are fetched or made once and kept: $XDG_CACHE_HOME/xenolith, else ~/.cache/xenolith.
// Each artifact is a folder with its files and a manifest of their SHA-256. They are verified at
// each use, and made again when one is damaged or the recipe has changed. A new artifact is made
// beside the old one and renamed, so that two processes never see half of one.

import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { UserError } from '../base/errors.ts'

const MANIFEST = 'manifest.json'

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
    await replaceFolder(folder, made, join(scratch, 'old'))
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  return folder
}

async function makeScratch(cacheFolder: string): Promise<string> {
  try {
    await mkdir(cacheFolder, { recursive: true })
    return await mkdtemp(join(cacheFolder, 'making-'))
  } catch (cause) {
    throw new UserError(
      `Cannot write to the cache folder ${cacheFolder}.`,
      cause instanceof Error ? cause.message : String(cause),
      'Set XDG_CACHE_HOME to a folder that you may write to.',
    )
  }
}

/** Should another process have put the same artifact in place meanwhile, this one wins. */
async function replaceFolder(folder: string, made: string, old: string): Promise<void> {
  await rename(folder, old).catch(ignoreMissing)
  await rename(made, folder)
}

function ignoreMissing(cause: unknown): void {
  if (!isMissing(cause)) throw cause
}

function isMissing(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
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
    if (isMissing(cause) || cause instanceof SyntaxError) return undefined
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

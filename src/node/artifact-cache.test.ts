import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { UserError } from '../base/errors.ts'
import { defaultCacheFolder, findArtifact, obtainArtifact, type Recipe } from './artifact-cache.ts'

async function withCache(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'xenolith-cache-'))
  try {
    await body(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** A recipe for a file that holds how often it was made. */
function countingRecipe(version: string): Recipe & { readonly count: () => number } {
  let made = 0
  return {
    name: 'thing',
    version,
    count: () => made,
    make: async (into) => {
      made += 1
      await writeFile(join(into, 'file'), `${version} ${made}`)
    },
  }
}

test('an artifact is made once and then found', () =>
  withCache(async (cache) => {
    const recipe = countingRecipe('1')
    const folder = await obtainArtifact(cache, recipe)
    assert.equal(await obtainArtifact(cache, recipe), folder)
    assert.equal(await readFile(join(folder, 'file'), 'utf8'), '1 1')
    assert.equal(recipe.count(), 1)
    assert.deepEqual(await readdir(cache), ['thing'], 'no scratch folder is left')
  }))

test('who only looks for an artifact finds what is there and intact, and makes nothing', () =>
  withCache(async (cache) => {
    const recipe = countingRecipe('1')
    assert.equal(await findArtifact(cache, recipe), undefined)
    assert.equal(recipe.count(), 0)
    const folder = await obtainArtifact(cache, recipe)
    assert.equal(await findArtifact(cache, recipe), folder)
    assert.equal(await findArtifact(cache, { name: 'thing', version: '2' }), undefined)
    await writeFile(join(folder, 'file'), 'damaged')
    assert.equal(await findArtifact(cache, recipe), undefined)
  }))

test('a damaged, a missing and an outdated artifact is made again', () =>
  withCache(async (cache) => {
    const recipe = countingRecipe('1')
    const folder = await obtainArtifact(cache, recipe)
    await writeFile(join(folder, 'file'), '1 X')
    await obtainArtifact(cache, recipe)
    assert.equal(await readFile(join(folder, 'file'), 'utf8'), '1 2')
    await rm(join(folder, 'file'))
    await obtainArtifact(cache, recipe)
    assert.equal(recipe.count(), 3)
    await writeFile(join(folder, 'manifest.json'), 'not JSON')
    await obtainArtifact(cache, recipe)
    assert.equal(recipe.count(), 4)
    await obtainArtifact(cache, countingRecipe('2'))
    assert.equal(await readFile(join(folder, 'file'), 'utf8'), '2 1')
  }))

test('what a killed process left behind is removed after an hour', () =>
  withCache(async (cache) => {
    for (const [name, ageSeconds] of [
      ['making-old', 4000],
      ['making-new', 10],
    ] as const) {
      await mkdir(join(cache, name))
      const then = Date.now() / 1000 - ageSeconds
      await utimes(join(cache, name), then, then)
    }
    await obtainArtifact(cache, countingRecipe('1'))
    assert.deepEqual((await readdir(cache)).sort(), ['making-new', 'thing'])
  }))

test('a recipe that fails leaves nothing behind', () =>
  withCache(async (cache) => {
    const make = (): Promise<void> => Promise.reject(new Error('no network'))
    await assert.rejects(obtainArtifact(cache, { name: 'thing', version: '1', make }), /no network/)
    assert.deepEqual(await readdir(cache), [])
  }))

test('two that make the same artifact at once both get a whole one', () =>
  withCache(async (cache) => {
    const recipe = countingRecipe('1')
    const folders = await Promise.all([1, 2, 3].map(() => obtainArtifact(cache, recipe)))
    assert.equal(new Set(folders).size, 1)
    assert.match(await readFile(join(folders[0] as string, 'file'), 'utf8'), /^1 [123]$/)
    assert.deepEqual(await readdir(cache), ['thing'])
  }))

test('a cache folder that cannot be written is a UserError', () =>
  withCache(async (cache) => {
    await writeFile(join(cache, 'file'), '')
    await assert.rejects(obtainArtifact(join(cache, 'file'), countingRecipe('1')), UserError)
  }))

test('the cache folder follows XDG_CACHE_HOME', () => {
  assert.equal(defaultCacheFolder({ XDG_CACHE_HOME: '/c' }), '/c/xenolith')
  assert.match(defaultCacheFolder({}), /\/\.cache\/xenolith$/)
})

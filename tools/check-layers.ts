// Checks the layers of ARCHITECTURE.md: a folder of src/ imports only from folders of a lower
// number (equal numbers do not know each other), and a pure folder imports nothing from outside
// src/. Tests may import node:test, node:assert and the developers' packages besides.
// Left out: what types a pure folder sees; its own tsconfig.json holds that.

import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const LAYERS: Record<string, { level: number; pure: boolean }> = {
  base: { level: 0, pure: true },
  wasm: { level: 1, pure: true },
  x86: { level: 2, pure: true },
  machine: { level: 3, pure: true },
  xen: { level: 4, pure: true },
  backends: { level: 5, pure: true },
  toolstack: { level: 6, pure: true },
  debug: { level: 6, pure: true },
  node: { level: 7, pure: false },
  web: { level: 7, pure: false },
  cli: { level: 8, pure: false },
}

/** What `import`, `export … from` and `import()` name; a comment that looks like one counts too. */
const IMPORT =
  /^\s*(?:import|export)\b[^'"`;]*?from\s*'([^']+)'|^\s*import\s*'([^']+)'|\bimport\(\s*'([^']+)'/gm

const src = fileURLToPath(new URL('../src', import.meta.url))

/** What is wrong with the imports of one file of src/. */
function complaints(file: string): string[] {
  const folder = relative(src, file).split('/')[0] ?? ''
  const layer = LAYERS[folder]
  // A file of src/ itself is a face of the whole (the library's entry): it may import everything.
  if (!relative(src, file).includes('/')) return []
  if (!layer) return [`src/${folder} is in no layer: list it in tools/check-layers.ts`]
  const isTest = file.endsWith('.test.ts')
  const found: string[] = []
  const text = readFileSync(file, 'utf8')
  for (const match of text.matchAll(IMPORT)) {
    const name = match[1] ?? match[2] ?? match[3] ?? ''
    const line =
      text.slice(0, match.index).split('\n').length + (match[0].match(/^\n*/)?.[0].length ?? 0)
    const complain = (why: string) =>
      found.push(`src/${relative(src, file)}:${line}: ${name}: ${why}`)
    if (!name.startsWith('.')) {
      if (layer.pure && !isTest) complain(`${folder} is pure and imports nothing from outside`)
      continue
    }
    const target = relative(src, join(dirname(file), name))
    if (target.startsWith('..')) {
      const isManifest = !layer.pure && target === '../package.json'
      if (!isTest && !isManifest) complain('is outside src/')
      continue
    }
    const other = target.split('/')[0] ?? ''
    if (other === folder) continue
    const below = LAYERS[other]
    if (!below) complain('is in no layer')
    else if (below.level >= layer.level) complain(`${folder} may not know ${other}`)
  }
  return found
}

const files = readdirSync(src, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile() && /\.(ts|tsx)$/.test(entry.name))
  .map((entry) => join(entry.parentPath, entry.name))
const all = files.flatMap(complaints)
for (const line of all) console.error(line)
process.exitCode = all.length > 0 ? 1 : 0

// Assembles x86 source with nasm, for tests that are about machine code.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const cache = new Map<string, Uint8Array>()

/** Machine code of nasm source that starts at address `origin`, in code of `bits` bits. */
export function assemble(source: string, bits: 16 | 32 | 64, origin: number): Uint8Array {
  const text = `bits ${bits}\norg 0x${origin.toString(16)}\n${source}\n`
  const known = cache.get(text)
  if (known) return known
  const folder = mkdtempSync(join(tmpdir(), 'assemble-'))
  try {
    const input = join(folder, 'in.asm')
    const output = join(folder, 'out.bin')
    writeFileSync(input, text)
    execFileSync('nasm', ['-f', 'bin', '-o', output, input], { stdio: 'pipe' })
    const bytes = new Uint8Array(readFileSync(output))
    cache.set(text, bytes)
    return bytes
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

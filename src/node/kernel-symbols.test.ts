import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { UserError } from '../base/errors.ts'
import { tinyPvhKernel } from '../toolstack/image/tiny-kernel.ts'
import { tinyElf } from '../toolstack/image/tiny-elf.ts'
import { isProfiled, kernelSymbols } from './kernel-symbols.ts'

test('a process is profiled if Node is told so', () => {
  for (const option of ['--cpu-prof', '--cpu-prof-dir=x', '--prof', '--inspect=9229']) {
    assert.equal(isProfiled(['--disable-warning=ExperimentalWarning', option]), true, option)
  }
  assert.equal(isProfiled(['--disable-warning=ExperimentalWarning', '--no-warnings']), false)
})

test('symbols come from a System.map; what is none is said in three lines', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-symbols-'))
  try {
    const kernel = await tinyPvhKernel()
    const file = (name: string, contents: string | Uint8Array) => {
      writeFileSync(join(folder, name), contents)
      return join(folder, name)
    }
    // The tiny kernel's segments have no linear addresses but 0.
    const map = file('System.map', '0000000000000000 T _start\n0000000000000002 t spin\n')
    const symbols = await kernelSymbols(kernel, map)
    assert.equal(symbols.nameAt(3n, 0n), 'spin+0x1')
    assert.equal((await kernelSymbols(kernel, undefined)).size, 0)
    for (const [path, why] of [
      [file('text', 'no symbols\n'), /Line 1 is not an address/],
      [file('elf', tinyElf({ bits: 64, segments: [] })), /without a symbol table/],
      [join(folder, 'nothing'), /no such file/],
    ] as const) {
      await assert.rejects(kernelSymbols(kernel, path), (error) => {
        assert.ok(error instanceof UserError)
        assert.match(error.message, why)
        return true
      })
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

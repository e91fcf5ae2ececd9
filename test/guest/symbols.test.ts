// The symbols that are read from the image of a kernel are those that the kernel itself tells, at the
// addresses where it runs: it has not moved.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { nodeDecompressors } from '../../src/node/decompressors.ts'
import { openKernel } from '../../src/toolstack/image/kernel.ts'
import { readKallsyms } from '../../src/toolstack/image/symbols/kallsyms.ts'
import { Session } from './session.ts'

/** Functions, without those of modules, which have the module behind the name: address and name. */
const LIST = ["grep -v '\\[' /proc/kallsyms | grep -i ' [tw] ' >all", "cut -d ' ' -f 1,3 all >list"]

test('the functions found in Debian’s kernel are those of its /proc/kallsyms', async () => {
  const { kernel } = await demoGuest()
  const { elf } = await openKernel(readFileSync(kernel), kernel, nodeDecompressors)
  const session = await Session.create()
  try {
    await session.prompt()
    const symbols = readKallsyms(elf.bytes) ?? []
    assert.ok(symbols.length > 10_000, `${symbols.length} functions`)
    const lines = symbols.map(({ address, name }) => `${address.toString(16)} ${name}\n`)
    const sum = createHash('md5').update(lines.join('')).digest('hex')
    for (const line of LIST) await session.run(line)
    assert.equal(await session.run('wc -l <list'), `${symbols.length}\n`)
    assert.equal(await session.run('md5sum <list'), `${sum}  -\n`)
  } finally {
    session.destroy()
  }
})

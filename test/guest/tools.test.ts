// Some thirty tools of busybox in a guest give the same output as the same binary on this machine:
// integer, floating-point and string instructions, processes, pipes and files together.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { demoGuest } from '../../src/node/debian-guests.ts'
import { writeCpio } from '../../src/toolstack/image/cpio.ts'
import { busyboxApplets } from '../../src/toolstack/image/demo-ramdisk.ts'
import { Session } from './session.ts'
import { TOOLS_SCRIPT } from './tools-script.ts'

/** A file out of a cpio archive in the "newc" format. */
function fileOf(archive: Buffer, name: string): Buffer {
  const align = (offset: number) => (offset + 3) & ~3
  for (let at = 0; ; ) {
    const field = (index: number) =>
      Number.parseInt(archive.toString('latin1', at + 6 + 8 * index, at + 14 + 8 * index), 16)
    const [size, nameSize] = [field(6), field(11)]
    const data = align(at + 110 + nameSize)
    const found = archive.toString('latin1', at + 110, at + 110 + nameSize - 1)
    if (found === name) return archive.subarray(data, data + size)
    assert.notEqual(found, 'TRAILER!!!', `${name} is not in the ramdisk`)
    at = align(data + size)
  }
}

/** Runs the script with nothing but this busybox on the path. */
function onThisMachine(t: TestContext, busybox: Buffer): string {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-tools-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  writeFileSync(join(bin, 'busybox'), busybox, { mode: 0o755 })
  for (const applet of busyboxApplets(busybox)) {
    if (applet !== 'busybox') symlinkSync('busybox', join(bin, applet))
  }
  const env = { PATH: bin, TMPDIR: folder }
  writeFileSync(join(folder, 'tools.sh'), TOOLS_SCRIPT)
  return execFileSync(join(bin, 'busybox'), ['sh', join(folder, 'tools.sh')], {
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  })
}

function sections(text: string): Map<string, string> {
  const parts = text.split(/^== (\w+)\n/m).slice(1)
  return new Map(parts.flatMap((name, i) => (i % 2 ? [] : [[name, parts[i + 1] ?? '']])))
}

const canCompare = process.platform === 'linux' && process.arch === 'x64'

test('busybox computes in a guest what it computes on this machine', async (t) => {
  if (!canCompare) return t.skip('this machine cannot run the busybox of the guest')
  const { ramdisk } = await demoGuest()
  const demo = readFileSync(ramdisk)
  const expected = sections(onThisMachine(t, fileOf(gunzipSync(demo), 'bin/busybox')))
  assert.ok(expected.has('end'), 'the script goes through')
  const extra = writeCpio([{ kind: 'file', path: 'root/tools.sh', data: TOOLS_SCRIPT }])
  // Linux unpacks archives that follow one another, each compressed or not, from multiples of 4.
  const padded = Buffer.alloc((demo.length + 3) & ~3)
  demo.copy(padded)
  const session = await Session.create({ ramdisk: Buffer.concat([padded, extra]), vcpus: 2 })
  t.after(() => session.destroy())
  session.host.start()
  await session.prompt()
  await session.run('stty -onlcr')
  const found = sections(await session.run('sh /root/tools.sh 2>/dev/null'))
  for (const [name, text] of expected) {
    await t.test(name, () => assert.equal(found.get(name), text))
  }
})

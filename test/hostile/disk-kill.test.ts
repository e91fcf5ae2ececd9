// The host is killed while it writes to an image: every record that a flush has acknowledged is in the
// file, as qemu-img reads it, and the image is whole. XENOLITH_KILLS says how often.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { ImageFolder } from '../guest/disk-images.ts'
import { DISK_BYTES, placeOf, recordBytes } from './disk-records.ts'

const KILLS = Number(process.env['XENOLITH_KILLS'] ?? (process.env['XENOLITH_LONG'] ? 200 : 10))
const WRITER = fileURLToPath(new URL('./disk-writer.ts', import.meta.url))

const images = new ImageFolder()
after(() => images.remove())

/** Lets a writer work for some time and kills it; gives the records that it said were safe. */
async function writeAndKill(
  spec: string,
  first: number,
  when: 'now' | 'later',
  ms: number,
): Promise<number> {
  const flags = ['--disable-warning=ExperimentalWarning', WRITER, spec, String(first), when]
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  const { promise: hasStarted, resolve } = Promise.withResolvers<void>()
  child.stdout.on('data', (bytes: Buffer) => {
    said += bytes.toString()
    resolve()
  })
  const closed = new Promise<void>((done) => child.on('close', () => done()))
  await Promise.race([hasStarted, closed])
  await sleep(ms)
  child.kill('SIGKILL')
  await closed
  // The last line may be cut.
  const lines = said.slice(0, said.lastIndexOf('\n') + 1).trim()
  return Number(lines.slice(lines.lastIndexOf('\n') + 1))
}

for (const format of ['raw', 'qcow2']) {
  test(`${KILLS} kills while ${format} is written lose no acknowledged record`, async () => {
    const name = `disk.${format}`
    if (format === 'raw') {
      writeFileSync(images.file(name), '')
      truncateSync(images.file(name), DISK_BYTES)
    } else images.run('qemu-img', 'create', '-q', '-f', format, name, String(DISK_BYTES))
    let safe = 0
    for (let kill = 0; kill < KILLS; kill++) {
      const spec = `${images.file(name)},${format},xvda`
      const when = kill % 2 === 0 ? 'later' : 'now'
      const now = await writeAndKill(spec, safe, when, (kill * 17) % 90)
      assert.ok(now > safe, `nothing was written: kill ${kill}`)
      safe = now
      // 3 is qemu-img's word for clusters that are counted and not used.
      if (format === 'qcow2') {
        images.run('sh', '-c', `qemu-img check -q -f qcow2 ${name} || [ $? -eq 3 ]`)
      }
      images.run('qemu-img', 'convert', '-f', format, '-O', 'raw', name, 'check.raw')
      const bytes = readFileSync(images.file('check.raw'))
      for (let record = Math.max(0, safe - 16_000); record < safe; record++) {
        const at = placeOf(record) * 4096
        const found = bytes.subarray(at, at + 4096)
        assert.ok(found.equals(recordBytes(record)), `record ${record} of ${safe}: kill ${kill}`)
      }
    }
  })
}

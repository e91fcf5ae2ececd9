import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { UserError } from '../base/errors.ts'
import { openDisk, openDisks } from './domain-disks.ts'

const folder = mkdtempSync(join(tmpdir(), 'xenolith-disks-'))
after(() => rmSync(folder, { recursive: true }))
const file = (name: string) => join(folder, name)
const hasQemu = existsSync('/usr/bin/qemu-img') ? {} : { skip: 'qemu-utils is not installed' }

function qemuImg(...args: string[]): void {
  const { status, stderr } = spawnSync('qemu-img', args, { cwd: folder, encoding: 'utf8' })
  assert.equal(status, 0, stderr)
}

function raw(name: string, bytes = 65536): string {
  writeFileSync(file(name), new Uint8Array(bytes).fill(1))
  return file(name)
}

function refusal(disk: string): UserError {
  try {
    openDisk(disk).image.close()
  } catch (error) {
    if (error instanceof UserError) return error
    throw error
  }
  return assert.fail(`${disk} was opened`)
}

test('a raw file is read, written and as large as its whole sectors', () => {
  const path = raw('a', 65536 + 100)
  const disk = openDisk(`${path},raw,xvda`)
  assert.equal(disk.image.size, 65536)
  assert.equal(disk.devid, 51712)
  disk.image.write(512, new Uint8Array(512).fill(9))
  disk.image.close()
  const now = readFileSync(path)
  assert.equal(now.length, 65636)
  assert.deepEqual([now[511], now[512], now[1023], now[1024]], [1, 9, 9, 1])
})

test('a disk may be closed, and opened by somebody else, while a flush waits for the medium', async () => {
  const path = raw('a')
  const { image } = openDisk(`${path},raw,xvda,w`)
  image.write(0, new Uint8Array(512).fill(7))
  const [storage] = [...image.flushSteps()]
  assert.ok(storage?.flushLater)
  const flushes = [storage.flushLater(), storage.flushLater()]
  image.close()
  openDisk(`${path},raw,xvda,w`).image.close()
  await Promise.all(flushes)
  assert.equal(readFileSync(path)[0], 7)
})

test("an image that is written is nobody else's; one that is read may be read by many", () => {
  const path = raw('a')
  const writer = openDisk(`${path},raw,xvda,w`)
  assert.match(refusal(`${path},raw,xvda,w`).why, /Another domain, or another host, has it open/)
  assert.match(refusal(`${path},raw,xvda,r`).why, /writes it/)
  assert.match(refusal(`${path},raw,xvda,w,snapshot=1`).why, /writes it/)
  writer.image.close()
  const readers = ['r', 'r', 'w,snapshot=1'].map((access) => openDisk(`${path},raw,xvda,${access}`))
  assert.match(refusal(`${path},raw,xvda,w`).what, /is in use/)
  for (const { image } of readers) image.close()
  openDisk(`${path},raw,xvda,w`).image.close()
})

test('a lock ends with the process that has it, however it ends', async () => {
  const path = raw('a')
  const code = `import { openDisk } from ${JSON.stringify(import.meta.resolve('./domain-disks.ts'))}
    openDisk(${JSON.stringify(`${path},raw,xvda,w`)}); console.log('open'); setInterval(() => {}, 1000)`
  const flags = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', code]
  const child = spawn(process.execPath, flags, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  assert.match(refusal(`${path},raw,xvda,w`).what, /is in use/)
  const closed = once(child, 'close')
  child.kill('SIGKILL')
  await closed
  openDisk(`${path},raw,xvda,w`).image.close()
})

test(
  'an image below is locked against writers, and found beside the image that names it',
  hasQemu,
  () => {
    raw('base')
    qemuImg('create', '-q', '-f', 'qcow2', '-F', 'raw', '-b', 'base', 'top.qcow2')
    const top = openDisk(`${file('top.qcow2')},qcow2,xvda`)
    assert.match(refusal(`${file('base')},raw,xvda,w`).what, /is in use/)
    openDisk(`${file('base')},raw,xvda,r`).image.close()
    const sector = new Uint8Array(512)
    top.image.read(0, sector)
    assert.equal(sector[511], 1)
    top.image.close()
    openDisk(`${file('base')},raw,xvda,w`).image.close()
  },
)

test('what cannot be opened is said in three lines', () => {
  for (const [disk, why] of [
    [`${file('none')},raw,xvda`, /There is no such file/],
    [`${folder},raw,xvda,r`, /neither a file nor a block device/],
    ['/dev/null,raw,xvda,r', /neither a file nor a block device/],
    [`${raw('b')},qcow2,xvda`, /no qcow2 image/],
    [`${raw('b')},vhd,xvda`, /no VHD footer/],
  ] as const) {
    const error = refusal(disk)
    assert.match(error.why, why, disk)
    assert.equal(error.message.split('\n').length, 3)
  }
})

test('a named pipe is refused at once, not waited for', () => {
  const { status } = spawnSync('mkfifo', [file('pipe')])
  assert.equal(status, 0)
  for (const access of ['r', 'w']) {
    assert.match(refusal(`${file('pipe')},raw,xvda,${access}`).why, /neither a file/)
  }
})

test('a format that was not said is asked for where it matters', hasQemu, () => {
  qemuImg('create', '-q', '-f', 'qcow2', 'c.qcow2', '1M')
  const error = refusal(`${file('c.qcow2')},,xvda`)
  assert.match(error.why, /looks like qcow2/)
  assert.match(error.remedy, /format=qcow2/)
  openDisk(`${file('c.qcow2')},raw,xvda`).image.close()
})

test('an empty drive has no sectors, and a domain opens all of its disks or none', () => {
  assert.equal(openDisk(',,hdc,cdrom').image.size, 0)
  const path = raw('a')
  assert.throws(() => openDisks([`${path},raw,xvda`, `${file('none')},raw,xvdb`]), UserError)
  assert.throws(() => openDisks([`${path},raw,xvda`, `${raw('b')},raw,51712`]), /given twice/)
  for (const { image } of openDisks([`${path},raw,xvda`, `${file('b')},raw,xvdb`])) image.close()
})

import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { UserError } from '../base/errors.ts'
import { DebianPackages } from './debian-packages.ts'

/** Runs with programs of these texts as the only ones, after a shell and its tools. */
async function withPrograms(
  programs: Readonly<Record<string, string>>,
  body: (packages: DebianPackages, folder: string, said: string[]) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'xenolith-packages-'))
  const path = process.env['PATH']
  try {
    for (const [name, text] of Object.entries(programs)) {
      await writeFile(join(folder, name), `#!/bin/sh\nPATH=/usr/bin:/bin\n${text}\n`, {
        mode: 0o755,
      })
    }
    process.env['PATH'] = folder
    const said: string[] = []
    await body(new DebianPackages(folder, (line) => said.push(line)), folder, said)
  } finally {
    process.env['PATH'] = path
    await rm(folder, { recursive: true })
  }
}

const KNOWS_LINUX = `
for name; do :; done
case $name in
  linux-image-cloud-amd64) echo 'Package: x
Version: 6.1.192-2
Depends: linux-base (>= 4), linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), foo | bar' ;;
  busybox-static) echo 'Version: 1:1.35' ;;
  *) echo "N: Unable to locate package $name" >&2; exit 100 ;;
esac`

test('a meta-package is resolved to the package that it depends on', () =>
  withPrograms({ 'apt-cache': KNOWS_LINUX }, async (packages) => {
    const name = await packages.resolve('linux-image-cloud-amd64', /^linux-image-\d/)
    assert.equal(name, 'linux-image-6.1.0-56-cloud-amd64')
  }))

test('a package is downloaded and unpacked', () =>
  withPrograms(
    {
      'apt-cache': KNOWS_LINUX,
      'apt-get': 'echo deb >busybox-static_1.deb',
      'dpkg-deb': '[ "$1" = -x ] && mkdir "$3" && cp "$2" "$3/contents"',
    },
    async (packages, folder, said) => {
      const unpacked = await packages.unpack('busybox-static', folder)
      assert.equal(unpacked.version, '1:1.35')
      assert.equal(await readFile(join(unpacked.folder, 'contents'), 'utf8'), 'deb\n')
      assert.deepEqual(said, ['fetching busybox-static 1:1.35'])
    },
  ))

test('an unknown package is looked for in fresh lists of our own, once', () =>
  withPrograms(
    { 'apt-cache': KNOWS_LINUX, 'apt-get': 'echo "$@" >>"$(dirname "$0")/calls"' },
    async (packages, folder) => {
      for (let i = 0; i < 2; i++) {
        await assert.rejects(packages.unpack('nothing', folder), (error) => {
          assert.ok(error instanceof UserError)
          assert.match(error.remedy, /--kernel=FILE/)
          return true
        })
      }
      const calls = await readFile(join(folder, 'calls'), 'utf8')
      assert.match(calls, /^.*Dir::State::lists=.*update\n$/)
    },
  ))

test('a list that cannot be fetched does not keep away what the others offer', () =>
  withPrograms(
    {
      'apt-cache': `
for name; do :; done
case $* in
  *APT::Architecture=i386*Dir::State::lists=*apt-i386/lists*) ;;
  *) exit 100 ;;
esac
[ "$name" = linux-image-686 ] || exit 100
echo 'Version: 6.1
Depends: linux-image-6.1.0-50-686 (= 6.1)'`,
      'apt-get': 'echo "E: Failed to fetch … unexpected size" >&2; exit 100',
    },
    async (_, folder) => {
      const packages = new DebianPackages(folder, () => {}, 'i386')
      const name = await packages.resolve('linux-image-686', /^linux-image-\d/)
      assert.equal(name, 'linux-image-6.1.0-50-686')
      await assert.rejects(packages.resolve('linux-image-nothing', /x/), (error) => {
        assert.ok(error instanceof UserError)
        assert.match(error.why, /unexpected size/)
        return true
      })
    },
  ))

test('without apt the error tells how to give a kernel', () =>
  withPrograms({}, async (packages) => {
    await assert.rejects(packages.resolve('linux-image-cloud-amd64', /x/), (error) => {
      assert.ok(error instanceof UserError)
      assert.match(error.why, /apt-cache is missing/)
      assert.match(error.remedy, /--kernel=FILE/)
      return true
    })
  }))

test('a failing download gives the last thing that apt said', () =>
  withPrograms(
    {
      'apt-cache': KNOWS_LINUX,
      'apt-get': 'echo "E: Failed to fetch http://…  Could not resolve" >&2; exit 100',
    },
    async (packages, folder) => {
      await assert.rejects(packages.unpack('busybox-static', folder), (error) => {
        assert.ok(error instanceof UserError)
        assert.match(error.why, /Could not resolve/)
        return true
      })
    },
  ))

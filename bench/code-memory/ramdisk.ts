// A ramdisk whose init does mixed work without end, with ever new code: the programs of the suite in
// bench/guest and busybox's tools, from files that are copied anew in each round, so that their code
// lies on other pages than before.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { writeCpio } from '../../src/toolstack/image/cpio.ts'
import { buildImage } from '../guest/image.ts'
import { SUITE } from '../guest/suite.ts'

/** Of the sizes in the suite: some ten milliseconds for each program. */
const SCALE = 0.03
/** Programs that driver.sh runs, not the one that has all others. */
const BUSYBOX = ['gzip', 'gunzip', 'shell', 'spawn']

const list = SUITE.filter(({ name }) => !BUSYBOX.includes(name))
  .map(({ name, size }) => `${name} ${Math.ceil(size * SCALE)}`)
  .join('\n')

const INIT = `#!/bin/busybox sh
/bin/busybox mkdir /proc
/bin/busybox mount -t proc proc /proc
cd /work
/bench/programs text 128 >text 2>/dev/null
n=0
while :; do
  n=$((n + 1))
  p=p$((n % 3)) b=b$((n % 5))
  /bin/busybox cp /bench/programs $p
  /bin/busybox cp /bin/busybox $b
  while read -r name size; do
    ./$p $name $size >result 2>/dev/null
  done </bench/mixed
  ./$b gzip -c <text >packed
  ./$b gunzip -c <packed | ./$b md5sum >/dev/null
  ./$b sort <text | ./$b uniq -c | ./$b head -n 100 >/dev/null
  ./$b awk '{ n += NF } END { print n }' <text >/dev/null
  ./$b sed -e 's/[aeiou]/x/g' <text | ./$b sha256sum >/dev/null
  ./$b grep -c the text >/dev/null
  ./$b find / -xdev 2>/dev/null | ./$b xargs ./$b ls -ld >/dev/null 2>&1
  ./$b tar -cf - /bin /bench 2>/dev/null | ./$b cksum >/dev/null
  i=0
  while [ $i -lt 30 ]; do
    ./$b true
    i=$((i + 1))
  done
  /bin/busybox echo "@round $n"
done
`

/** Paths of a kernel and of the ramdisk, made in a folder. */
export async function makeMixedWork(into: string): Promise<{ kernel: string; ramdisk: string }> {
  const { kernel, folder } = await buildImage([], into)
  const program = (path: string, name: string) =>
    ({ kind: 'file', path, mode: 0o755, data: readFileSync(join(folder, name)) }) as const
  const archive = writeCpio([
    { kind: 'folder', path: 'bench' },
    { kind: 'folder', path: 'bin' },
    { kind: 'folder', path: 'dev' },
    { kind: 'folder', path: 'work' },
    { kind: 'character device', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'character device', path: 'dev/null', mode: 0o666, major: 1, minor: 3 },
    program('bin/busybox', 'busybox'),
    program('bench/programs', 'programs'),
    { kind: 'file', path: 'bench/mixed', data: `${list}\n` },
    { kind: 'file', path: 'init', mode: 0o755, data: INIT },
  ])
  mkdirSync(into, { recursive: true })
  const ramdisk = join(into, 'mixed.gz')
  writeFileSync(ramdisk, gzipSync(archive, { level: 6 }))
  return { kernel, ramdisk }
}

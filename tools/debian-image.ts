// Makes a Debian 12 system in a qcow2 image, or copies it from the cache: tools/debian-image FILE

import { constants, copyFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { UserError } from '../src/base/errors.ts'
import { debianDisk } from '../src/node/debian-disk.ts'

try {
  const [, , file] = process.argv
  if (file === undefined) {
    throw new UserError(
      'Nothing says where the image is to be.',
      'No file was given.',
      'Give one: tools/debian-image debian.qcow2',
    )
  }
  const start = performance.now()
  const disk = await debianDisk({ say: (line) => console.error(line) })
  copyFileSync(disk, resolve(file), constants.COPYFILE_EXCL)
  console.error(`${file} is made (${((performance.now() - start) / 1000).toFixed(1)} s)`)
} catch (error) {
  const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST'
  if (!isThere && !(error instanceof UserError)) throw error
  console.error(isThere ? 'The file is there already; it is left as it is.' : error.message)
  process.exitCode = 1
}

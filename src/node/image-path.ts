// Where the image lies that a disk's specification names.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

/**
 * The path that a target means, for who runs in this folder. As with xl, a name without a slash at
 * its start is one in /dev; what is not there is a file here.
 */
export function imagePath(target: string): string {
  if (target.startsWith('/')) return target
  const device = resolve('/dev', target)
  return device.startsWith('/dev/') && existsSync(device) ? device : resolve(target)
}

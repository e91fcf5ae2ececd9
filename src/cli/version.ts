// version: what is running, for bug reports as well.

import manifest from '../../package.json' with { type: 'json' }
import { EXIT_OK } from './exit-status.ts'
import type { Verb } from './verb.ts'

/** The version, and what it runs on, in one line. */
export function versionLine(): string {
  const { platform, arch, versions } = process
  const engine = `Node ${versions.node} (V8 ${versions.v8})`
  return `xenolith ${manifest.version}, ${engine}, ${platform} ${arch}`
}

export const version: Verb = {
  name: 'version',
  summary: 'show the version and what it runs on',
  options: [],
  examples: [['xenolith version', 'the first line of a bug report']],
  async run(_args, { stdout }) {
    stdout.write(`${versionLine()}\n`)
    return EXIT_OK
  },
}

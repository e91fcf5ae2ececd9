// Writes the files that are made from the code. `--check` writes nothing and fails if one is out of
// date. A generated file says so in its first lines.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { bootingReference } from './generate-booting.ts'
import { commandLineReference } from './generate-command-line.ts'
import { networkReference } from './generate-networks.ts'
import { eventGuests } from './generate-event-guests.ts'
import { guestFileReference } from './generate-guest-file.ts'
import { manualPage } from './generate-manual.ts'
import { statisticsReference } from './generate-statistics.ts'
import { xlReference } from './generate-xl.ts'

/** By file: makes its text, and may look at what it is now. */
const FILES: Record<string, (present: string | undefined) => string> = {
  'docs/reference/booting-from-disk.md': bootingReference,
  'docs/reference/command-line.md': commandLineReference,
  'docs/reference/network-interfaces.md': networkReference,
  'docs/man/xenolith.1': manualPage,
  'docs/reference/guest-file.md': guestFileReference,
  'docs/reference/statistics.md': statisticsReference,
  'docs/reference/xl.md': xlReference,
  'src/toolstack/event-bench/programs.ts': eventGuests,
}

function current(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

const check = process.argv.includes('--check')
for (const [file, make] of Object.entries(FILES)) {
  const present = current(file)
  const text = make(present)
  if (present === text) continue
  if (check) {
    console.error(`${file} is out of date: run tools/generate`)
    process.exitCode = 1
  } else {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    console.error(`wrote ${file}`)
  }
}

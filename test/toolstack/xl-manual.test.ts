// Our tables against the manual pages of Xen 4.17 (Debian's xen-utils-common): every key of
// xl.cfg(5), every verb and flag of xl(1) is known, and nothing is known that is not there.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import { VERBS } from '../../src/cli/verbs.ts'
import { ABSENT_FLAGS, ABSENT_VERBS, OWN_VERBS } from '../../src/cli/xl-absent.ts'
import { KEYS, OWN_SECTION } from '../../src/toolstack/guest-file/keys.ts'

interface Item {
  /** How many lists it is in. */
  readonly depth: number
  readonly text: string
}

/** The headings of a manual page's lists, in plain text. */
function itemsOf(page: string): Item[] {
  const lines = gunzipSync(readFileSync(`/usr/share/man/${page}.gz`))
    .toString()
    .split('\n')
  const items: Item[] = []
  let depth = 0
  for (const [i, line] of lines.entries()) {
    if (line.startsWith('.RS')) depth++
    if (line.startsWith('.RE')) depth--
    if (line.startsWith('.SH') || line.startsWith('.SS'))
      items.push({ depth: -1, text: plain(line.slice(4).replaceAll('"', '')) })
    const item = /^\.IP "(.*)" \d+$/.exec(line)?.[1]
    if (item !== undefined) items.push({ depth, text: plain(item) })
    // pod2man writes items with quotes in them over two lines.
    else if (line.startsWith('.el') || line.startsWith('.ie')) {
      const quoted = /\.IP "(.*)"/.exec(lines[i] ?? '')?.[1]
      if (quoted !== undefined && line.startsWith('.el')) items.push({ depth, text: plain(quoted) })
    }
  }
  return items
}

function plain(text: string): string {
  return text
    .replace(/\\f\(?[A-Z]{1,2}|\\s-?\d|\\\||\\&/g, '')
    .replace(/\\\*\(C`|\\\*\(C'/g, '"')
    .replaceAll('\\-', '-')
    .replaceAll('""', '"')
    .trim()
}

test('every key of xl.cfg(5) has a row, and no other', () => {
  const keys = itemsOf('man5/xl.cfg.5')
    .filter(({ depth }) => depth === 0)
    .flatMap(({ text }) => /^([a-z][a-z0-9_]*) ?=/.exec(text)?.[1] ?? [])
  const inManual = [...new Set(keys)].sort()
  assert.ok(inManual.length > 100, `only ${inManual.length} keys were found`)
  const ofXl = KEYS.filter(({ section }) => section !== OWN_SECTION)
  assert.deepEqual(ofXl.map(({ name }) => name).sort(), inManual)
})

/** Verbs and their flags, as the manual lists them. */
function manualVerbs(): Map<string, string[]> {
  const verbs = new Map<string, string[]>()
  let flags: string[] | undefined
  let isIn = false
  for (const { depth, text } of itemsOf('man1/xl.1')) {
    if (depth === -1) {
      isIn =
        text === 'GLOBAL OPTIONS' ||
        /SUBCOMMANDS|COMMANDS|DEVICES|PASS-THROUGH|CONTROL|FLASK|MONITORING|TECHNOLOGY|Allocation/i.test(
          text,
        )
      flags = undefined
      if (text === 'GLOBAL OPTIONS') verbs.set('', (flags = []))
      continue
    }
    if (!isIn) continue
    const verb = depth === 0 ? /^([a-z][a-z0-9-]+)( |$)/.exec(text)?.[1] : undefined
    if (verb !== undefined) verbs.set(verb, (flags = []))
    else if (text.startsWith('-')) flags?.push(text)
  }
  return verbs
}

test('every verb of xl(1) is here or in the table of what is absent, and no other', () => {
  const inManual = [...manualVerbs().keys()].filter((name) => name !== '').sort()
  assert.ok(inManual.length > 90, `only ${inManual.length} verbs were found`)
  const here = VERBS.map(({ name }) => name).filter((name) => !OWN_VERBS.includes(name))
  assert.deepEqual([...here, ...ABSENT_VERBS.map(({ name }) => name)].sort(), inManual)
  for (const name of OWN_VERBS)
    assert.ok(
      VERBS.some((verb) => verb.name === name),
      name,
    )
})

test('every flag of a verb that is here is there too, or in the table with the reason', () => {
  const missing: string[] = []
  const used = new Set<string>()
  for (const [name, flags] of manualVerbs()) {
    const verb = VERBS.find((one) => one.name === name)
    if (!verb && name !== '') continue
    const known = (verb?.options ?? []).flatMap(({ name, short }) => [
      `--${name}`,
      ...(short ? [`-${short}`] : []),
    ])
    for (const flag of flags) {
      // `-q, --quiet`, `-f=FILE, --defconfig=FILE`, `-t [pv|serial]`.
      const spellings = flag.split(', ').map((one) => /^--?[A-Za-z_-]+/.exec(one)?.[0] ?? one)
      const absent = spellings.find((one) => ABSENT_FLAGS[name]?.[one] !== undefined)
      if (absent !== undefined) used.add(`${name} ${absent}`)
      else if (!spellings.some((one) => known.includes(one))) missing.push(`${name} ${flag}`)
    }
  }
  assert.deepEqual(missing, [])
  const listed = Object.entries(ABSENT_FLAGS).flatMap(([name, flags]) =>
    Object.keys(flags).map((flag) => `${name} ${flag}`),
  )
  assert.deepEqual(
    listed.filter((one) => !used.has(one)),
    [],
    'flags that xl does not have',
  )
})

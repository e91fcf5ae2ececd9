// Replays what Xen's own xenstored was recorded to answer. Where ours means to differ, the answer
// stands in DIFFERENT with the reason.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { DEFAULT_QUOTAS, type Quotas } from './quotas.ts'
import { ringClient, streamClient, type TestClient, TestPage } from './test-clients.ts'
import { bytesOf, textOf, XS_DIRECTORY_PART } from './wire.ts'
import { Xenstored } from './xenstored.ts'

const TYPES = [
  ...['CONTROL', 'DIRECTORY', 'READ', 'GET_PERMS', 'WATCH', 'UNWATCH', 'TRANSACTION_START'],
  ...['TRANSACTION_END', 'INTRODUCE', 'RELEASE', 'GET_DOMAIN_PATH', 'WRITE', 'MKDIR', 'RM'],
  ...['SET_PERMS', 'WATCH_EVENT', 'ERROR', 'IS_DOMAIN_INTRODUCED', 'RESUME', 'SET_TARGET'],
  ...['RESTRICT', 'RESET_WATCHES', 'DIRECTORY_PART'],
]
const DOMAINS = [5, 6, 7]

/** Requests with our answers where they are not those of the recording. */
const DIFFERENT: Record<string, readonly string[]> = {
  // Where a path is missing in the payload xenstored sends whatever error came last.
  's0 READ 0 a|b|': ['s0 ERROR EINVAL|'],
  's0 MKDIR 0 /m/n|x|': ['s0 ERROR EINVAL|'],
  's0 SET_PERMS 0 @foo|n0|': ['s0 ERROR ENOENT|'],
  // Two transactions may create different children of one node.
  's0 TRANSACTION_END 8 T|': ['s0 WATCH_EVENT /unrelated/mine|all|', 's0 TRANSACTION_END OK|'],
  's0 READ 0 /unrelated/mine|': ['s0 READ 1'],
}

for (const [file, quotas] of [
  ['requests', {}],
  [
    'quotas',
    {
      nodes: 6,
      nodeSize: 256,
      watches: 3,
      transactions: 2,
      permissions: 3,
      pathLength: 64,
      transactionNodes: 4,
    },
  ],
] as const) {
  test(`the daemon answers as Xen's own was recorded to in ${file}.txt`, () => {
    replay(readFileSync(new URL(`recorded/${file}.txt`, import.meta.url), 'latin1'), quotas)
  })
}

function replay(recording: string, quotas: Partial<Quotas>): void {
  const pages = new Map(DOMAINS.map((domid) => [domid, new TestPage()]))
  const daemon = new Xenstored({
    quotas: { ...DEFAULT_QUOTAS, ...quotas },
    findPage: (domid) => pages.get(domid),
    domainExists: (domid) => pages.has(domid),
  })
  const clients = new Map<string, TestClient>([
    ['s0', streamClient(daemon)],
    ['s1', streamClient(daemon)],
  ])
  for (const [domid, page] of pages) clients.set(String(domid), ringClient(daemon, domid, page))

  const lines = recording.split('\n')
  for (let at = 0; at < lines.length; at++) {
    const request = /^(\w+) (\w+) (\d+) ?(.*)$/.exec(lines[at] ?? '')
    if (!request) continue
    const [line, client = '', name = '', transaction, payload = ''] = request
    const expected: string[] = []
    while (lines[at + 1]?.startsWith('  ')) expected.push(lines[++at]?.trim() ?? '')
    const type = TYPES.includes(name) ? TYPES.indexOf(name) : Number(name)
    clients.get(client)?.send({ type, transactionId: Number(transaction), payload: parse(payload) })
    const got = [...clients].flatMap(([to, { take }]) =>
      take().map((m) => `${to} ${TYPES[m.type]} ${print(m.payload, m.type)}`.trim()),
    )
    assert.deepEqual(got, DIFFERENT[line] ?? expected, `line ${at + 1}: ${line}`)
  }
}

function parse(text: string): Uint8Array {
  return bytesOf(
    text
      .replace(/\|/g, '\0')
      .replace(/\{(\d+)\}/g, (_, count: string) => 'z'.repeat(Number(count)))
      .replace(/\\x(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  )
}

function print(payload: Uint8Array, type: number): string {
  const text = textOf(payload)
    .replace(/[^ -~\0]|[\\|{}]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
    .replace(/\0/g, '|')
    .replace(/z{20,}/g, (run) => `{${run.length}}`)
  return type === XS_DIRECTORY_PART ? text.replace(/^\d+/, '*') : text
}

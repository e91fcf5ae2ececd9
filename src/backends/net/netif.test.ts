// Compares the numbers and layouts of netif.ts with Xen's own header (Debian's libxen-dev), as gcc
// sees it.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import * as netif from './netif.ts'

const HEADER = '/usr/include/xen/io/netif.h'
const skip = existsSync(HEADER) ? false : 'needs libxen-dev'

/** Our own names for what the header says otherwise. */
const IN_C: Readonly<Record<string, string>> = {
  RING_ENTRIES: 'offsetof(struct netif_tx_sring, ring)',
  TX_ENTRY_BYTES: 'sizeof(union netif_tx_sring_entry)',
  RX_ENTRY_BYTES: 'sizeof(union netif_rx_sring_entry)',
  NET_RING_SIZE: '__CONST_RING_SIZE(netif_tx, 4096)',
}

const PLACES: readonly (readonly [c: string, ours: number])[] = [
  ['sizeof(struct netif_tx_request)', netif.netif_tx_request.size],
  ['offsetof(struct netif_tx_request, offset)', netif.netif_tx_request.offsetOf('offset')],
  ['offsetof(struct netif_tx_request, flags)', netif.netif_tx_request.offsetOf('flags')],
  ['offsetof(struct netif_tx_request, id)', netif.netif_tx_request.offsetOf('id')],
  ['offsetof(struct netif_tx_request, size)', netif.netif_tx_request.offsetOf('size')],
  ['sizeof(struct netif_tx_response)', netif.netif_tx_response.size],
  ['offsetof(struct netif_tx_response, status)', netif.netif_tx_response.offsetOf('status')],
  ['sizeof(struct netif_rx_request)', netif.netif_rx_request.size],
  ['offsetof(struct netif_rx_request, gref)', netif.netif_rx_request.offsetOf('gref')],
  ['sizeof(struct netif_rx_response)', netif.netif_rx_response.size],
  ['offsetof(struct netif_rx_response, offset)', netif.netif_rx_response.offsetOf('offset')],
  ['offsetof(struct netif_rx_response, flags)', netif.netif_rx_response.offsetOf('flags')],
  ['offsetof(struct netif_rx_response, status)', netif.netif_rx_response.offsetOf('status')],
  ['sizeof(struct netif_extra_info)', netif.netif_extra_gso.size],
  ['offsetof(struct netif_extra_info, u.gso.size)', netif.netif_extra_gso.offsetOf('size')],
  ['offsetof(struct netif_extra_info, u.gso.type)', netif.netif_extra_gso.offsetOf('gso_type')],
  ['offsetof(struct netif_extra_info, u.mcast.addr)', netif.netif_extra_mcast.offsetOf('addr')],
  ['offsetof(struct netif_tx_sring, req_prod)', netif.ring_head.offsetOf('req_prod')],
  ['offsetof(struct netif_tx_sring, req_event)', netif.ring_head.offsetOf('req_event')],
  ['offsetof(struct netif_tx_sring, rsp_prod)', netif.ring_head.offsetOf('rsp_prod')],
  ['offsetof(struct netif_tx_sring, rsp_event)', netif.ring_head.offsetOf('rsp_event')],
  ['__CONST_RING_SIZE(netif_rx, 4096)', netif.NET_RING_SIZE],
]

test('every number and every place is what the header says', { skip }, () => {
  const numbers = Object.entries(netif).flatMap(([name, value]): [string, number][] =>
    typeof value === 'number' ? [[IN_C[name] ?? name, value]] : [],
  )
  const claims = [...numbers, ...PLACES]
  const folder = mkdtempSync(join(tmpdir(), 'netif-'))
  try {
    const source = join(folder, 'netif.c')
    const program = join(folder, 'netif')
    const prints = claims.map(([c]) => `printf("%lld\\n", (long long)(${c}));`)
    writeFileSync(
      source,
      `#include <stdio.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n` +
        `#include <xen/xen.h>\n#include <xen/io/netif.h>\nint main(void) { ${prints.join('\n')} }\n`,
    )
    execFileSync('gcc', ['-o', program, source])
    const said = execFileSync(program, { encoding: 'utf8' }).trim().split('\n').map(Number)
    const differing = claims.flatMap(([c, ours], i) =>
      ours === said[i] ? [] : [`${c}: ${said[i]}, ours ${ours}`],
    )
    assert.deepEqual(differing, [])
  } finally {
    rmSync(folder, { recursive: true })
  }
})

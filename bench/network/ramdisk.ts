// The programs of the measurement, from Debian's packages, for the ramdisk that all guests boot.

import { readFile } from 'node:fs/promises'
import { debianFile } from '../../src/node/debian-guests.ts'
import type { CpioEntry } from '../../src/toolstack/image/cpio.ts'

const LIBRARIES = 'lib/x86_64-linux-gnu'

/** Package, path in it, and path in the guest. */
const FILES: readonly (readonly [string, string, string])[] = [
  ['iperf3', 'usr/bin/iperf3', 'bin/iperf3'],
  ['nginx', 'usr/sbin/nginx', 'bin/nginx'],
  ['libiperf0', `usr/${LIBRARIES}/libiperf.so.0`, `${LIBRARIES}/libiperf.so.0`],
  ['libsctp1', `usr/${LIBRARIES}/libsctp.so.1`, `${LIBRARIES}/libsctp.so.1`],
  ['libssl3', `usr/${LIBRARIES}/libcrypto.so.3`, `${LIBRARIES}/libcrypto.so.3`],
  ['libssl3', `usr/${LIBRARIES}/libssl.so.3`, `${LIBRARIES}/libssl.so.3`],
  ['libpcre2-8-0', `usr/${LIBRARIES}/libpcre2-8.so.0`, `${LIBRARIES}/libpcre2-8.so.0`],
  ['libcrypt1', `${LIBRARIES}/libcrypt.so.1`, `${LIBRARIES}/libcrypt.so.1`],
  ['zlib1g', `${LIBRARIES}/libz.so.1`, `${LIBRARIES}/libz.so.1`],
  ['libc6', `${LIBRARIES}/libc.so.6`, `${LIBRARIES}/libc.so.6`],
  ['libc6', `${LIBRARIES}/libm.so.6`, `${LIBRARIES}/libm.so.6`],
  ['libc6', `${LIBRARIES}/ld-linux-x86-64.so.2`, 'lib64/ld-linux-x86-64.so.2'],
]

/** What the HTTP server serves. */
const PAGE = `<!doctype html><title>static</title>${'<p>A static page.</p>'.repeat(50)}\n`

const PLACES = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
  (name) => `${name}_temp_path /tmp/${name};`,
)

/** One process, without logs, that keeps connections. */
const NGINX = `user root; master_process off; error_log /dev/null; pid /tmp/nginx.pid;
events { worker_connections 128; }
http {
  ${PLACES.join(' ')}
  access_log off; keepalive_requests 1000000000;
  server { listen 80; root /www; }
}
`

/**
 * iperf3, nginx, their libraries, and the page.
 * @throws UserError when packages can neither be found nor fetched
 */
export async function networkPrograms(): Promise<CpioEntry[]> {
  const say = (line: string) => console.error(line)
  const folders: CpioEntry[] = [LIBRARIES, 'lib64', 'www'].map((path) => ({ kind: 'folder', path }))
  const files: CpioEntry[] = []
  for (const [name, from, path] of FILES) {
    const data = await readFile(await debianFile(name, from, { say }))
    files.push({ kind: 'file', path, mode: 0o755, data })
  }
  files.push({ kind: 'file', path: 'www/index.html', data: PAGE })
  files.push({ kind: 'file', path: 'etc/nginx.conf', data: NGINX })
  return [...folders, ...files]
}

// Runs an image on Bochs (Debian package bochs): our own ROM in place of its BIOS enters 64-bit
// mode and the image. Bochs copies port 0xE9 to its standard output at once, so the time of the
// kernel is taken between two bytes that arrive here, without what Bochs needs to start.

import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { buildRom } from './kernels.ts'
import { MarkedOutput, type Measured } from './marked-output.ts'

/** The newest processor that Bochs 2.7 has; its own default is older. No devices that take time. */
const CONFIGURATION = `
cpu: model=corei7_skylake_x, count=1, ips=100000000, reset_on_triple_fault=0
memory: guest=32, host=32
romimage: file=ROM
vgaromimage: file=VGAROM
vga: extension=none
display_library: rfb, options="timeout=0"
port_e9_hack: enabled=1
clock: sync=none
pci: enabled=0
sound: driver=dummy, waveoutdrv=dummy
log: LOG
panic: action=fatal
`

const TIMEOUT_MS = 60_000

/** Milliseconds between the marks of an image, and its checksum. */
export async function runBochs(image: string): Promise<Measured> {
  const folder = mkdtempSync(join(dirname(image), 'bochs-'))
  const file = (name: string) => join(folder, name)
  writeFileSync(file('vga.bin'), new Uint8Array(32768))
  // Debian's Bochs has the debugger built in, which waits for a word before it runs.
  writeFileSync(file('commands'), 'continue\n')
  writeFileSync(
    file('bochsrc'),
    CONFIGURATION.replace('ROM\n', `${buildRom(image)}\n`)
      .replace('VGAROM', file('vga.bin'))
      .replace('LOG', file('log')),
  )
  const output = new MarkedOutput()
  const child = spawn('bochs', ['-q', '-f', file('bochsrc'), '-rc', file('commands')], {
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  })
  child.stdout.on('data', (bytes: Buffer) => {
    const now = performance.now()
    for (const byte of bytes) output.put(byte, now)
  })
  await new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  rmSync(folder, { recursive: true })
  if (!output.isComplete) throw new Error(`Bochs did not finish ${image}`)
  return { ms: output.ms, checksum: output.checksum }
}

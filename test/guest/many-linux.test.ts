// Small Linuxes (tools/small-kernel) beside each other on one host: what each costs to create, to boot
// and to keep idle does not grow with the others. Measured is the processor's time of this process, so
// that what else the machine does counts little; the limits are several times what is usual. How long a
// hundred take: tools/bench domains.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { TestServer } from '../../src/node/testing/served-host.ts'
import { readGuestFile } from '../../src/toolstack/guest-file/guest-file.ts'
import { policyOf } from '../../src/x86/translator/policy.ts'
import { findSmallLinux, SMALL_LINUX_MIB } from '../../tools/small-linux.ts'
import { PROMPT } from './command.ts'

const DOMAINS = 10
const IDLE_SECONDS = 5
/** Per domain, in seconds of a processor; about 0.1 and 1.1 are usual. */
const MOST_TO_CREATE = 1
const MOST_TO_BOOT = 6
/** Part of a processor, a tenth of what a hundred domains may take; a tenth of this is usual. */
const MOST_IDLE = 0.05

const files = await findSmallLinux()

test(`${DOMAINS} small Linuxes are created, boot and are idle at a bounded price each`, {
  skip: files === undefined && 'not built: tools/small-kernel',
}, async (t) => {
  const server = await TestServer.start()
  t.after(() => server.stop())
  const { client, served } = server
  const used = secondsUsed()
  for (let i = 0; i < DOMAINS; i++) {
    const text = [
      `name="d${i}"; type="pvh"; memory=${SMALL_LINUX_MIB}; cmdline="console=hvc0 quiet"`,
      `kernel="${files?.kernel}"; ramdisk="${files?.ramdisk}"`,
    ]
    const { guest } = readGuestFile([{ name: `d${i}.cfg`, text: text.join('\n') }])
    await client.call('create', { guest, isPaused: false })
  }
  const created = used()
  assert.equal((await client.call('list', {})).length, DOMAINS)
  const consoles = served.table.all().map(({ running }) => running.console)
  for (const console of consoles) await console.expect(PROMPT, { timeoutMs: 400_000 })
  const booted = used()
  const { code, policy } = served.table.host.xen.engine
  const { blocksBuilt, flushes } = code
  await sleep(2000)
  const sinceThen = secondsUsed()
  await sleep(IDLE_SECONDS * 1000)
  const idle = sinceThen() / IDLE_SECONDS
  console.log(
    `${DOMAINS} domains: created in ${created.toFixed(1)} s of a processor, booted in ` +
      `${booted.toFixed(1)} s (${blocksBuilt} blocks), idle at ${(100 * idle).toFixed(2)} %`,
  )
  // A mode with a seed may have less room.
  const hasRoom = policy.arenaBytes >= policyOf(undefined).arenaBytes
  assert.ok(flushes === 0 || !hasRoom, 'there is room for the code of all')
  assert.ok(created < DOMAINS * MOST_TO_CREATE, `${created} s`)
  assert.ok(booted < DOMAINS * MOST_TO_BOOT, `${booted} s`)
  assert.ok(idle < MOST_IDLE, `${100 * idle} %`)
})

/** Seconds of processors that this process has had from now on. */
function secondsUsed(): () => number {
  const before = process.cpuUsage()
  return () => {
    const { user, system } = process.cpuUsage(before)
    return (user + system) / 1e6
  }
}

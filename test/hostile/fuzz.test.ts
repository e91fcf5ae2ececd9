// Guests that make a hundred thousand hypercalls with wild numbers, operations, pointers and sizes,
// as 64-bit and as 32-bit callers. The host never throws, each call does a bounded amount of work,
// and what the domain held is free after it (hostile-guest.ts looks at that).

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { test } from 'node:test'
import { HostileHost, kernel32, kernel64 } from './hostile-guest.ts'

const CALLS = 50_000
/** Of one go of a hypercall, on a machine that is busy with other things. */
const CALL_LIMIT_MS = 400

const code = {
  32: readFileSync(new URL('fuzz-32.asm', import.meta.url), 'utf8'),
  64: readFileSync(new URL('fuzz-64.asm', import.meta.url), 'utf8'),
}

interface Slowest {
  ms: number
  call: string
}

/** Times every go of every hypercall of the host. */
function timed(host: HostileHost): { slowest: Slowest; calls: number } {
  const { hypervisor } = host.xen
  const seen = { slowest: { ms: 0, call: '' }, calls: 0 }
  const dispatch = hypervisor.dispatch.bind(hypervisor)
  hypervisor.dispatch = (call, number, args) => {
    if (!call.isInMulticall) seen.calls++
    const start = performance.now()
    const answer = dispatch(call, number, args)
    const ms = performance.now() - start
    if (ms > seen.slowest.ms) {
      const words = args.map((arg) => `0x${arg.toString(16)}`)
      seen.slowest = {
        ms,
        call: `${number}(${words.join(', ')}) = ${JSON.stringify(answer, text)}`,
      }
    }
    return answer
  }
  return seen
}

function text(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? `0x${value.toString(16)}` : value
}

for (const width of [64, 32] as const) {
  test(`a ${width}-bit guest makes ${CALLS} wild hypercalls, and harms nobody`, async () => {
    const host = new HostileHost()
    const seen = timed(host)
    for (let seed = 1; seen.calls < CALLS; seed++) {
      assert.ok(seed < 400, `guests end too early: ${seen.calls} calls`)
      const head = `SEED equ ${0x1234567 * seed}\nCALLS equ ${CALLS}\n`
      const kernel = width === 64 ? kernel64 : kernel32
      const outcome = await host.run(kernel(head + code[width]), {
        vcpus: 1 + (seed % 3),
        ms: 30_000,
        steps: 20_000,
      })
      const isSaid = outcome.state !== 'ended' || outcome.reason !== undefined
      assert.ok(isSaid, 'a guest that ended has a reason')
    }
    const { ms, call } = seen.slowest
    assert.ok(ms < CALL_LIMIT_MS, `${call} took ${ms.toFixed(0)} ms`)
  })
}

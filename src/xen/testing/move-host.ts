// A test's host, saved and restored into another one, as plain data.

import { Bug } from '../../base/errors.ts'
import { TestGuest, TestHost } from './test-host.ts'

/** A copy of the host. Processors and APICs, which are stand-ins, are new. */
export function moveHost(from: TestHost): TestHost {
  // Everything in the order in which it has to be restored.
  const state = structuredClone({
    clock: from.clock.save(),
    timers: from.timers.save(),
    hypervisor: from.hypervisor.save(),
    frames: from.frames.save(),
    memory: from.memory.u8,
  })
  const to = new TestHost({}, from.frames.frames)
  to.clock.restore(state.clock)
  to.timers.restore(state.timers)
  to.hypervisor.restore(state.hypervisor, (domid) => {
    const config = from.hypervisor.domain(domid)?.config
    if (!config) throw new Bug(`no domain ${domid}`)
    return config
  })
  to.frames.restore(state.frames)
  to.memory.u8.set(state.memory)
  return to
}

/** The guest of the host that is what `like` is on its own. */
export function guestOf(host: TestHost, like: TestGuest): TestGuest {
  const domain = host.hypervisor.domain(like.domain.domid)
  if (!domain) throw new Bug(`no domain ${like.domain.domid}`)
  return new TestGuest(host, domain)
}

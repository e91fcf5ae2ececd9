// The state machine of event channels under random operations of several domains: whatever they
// do to each other, both ends of every channel agree (XSA-343, XSA-344, XSA-359).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PortState } from './event-port.ts'
import { TestHost } from './testing/test-host.ts'

const DOMAINS = 3

const operations = fc.array(
  fc.record({
    kind: fc.constantFrom(
      'allocate',
      'bind',
      'bind',
      'virq',
      'ipi',
      'close',
      'send',
      'move',
      'reset',
      'fifo',
      'destroy',
    ),
    domain: fc.nat(DOMAINS - 1),
    other: fc.nat(DOMAINS - 1),
    port: fc.integer({ min: 0, max: 12 }),
    value: fc.nat(30),
  }),
  { maxLength: 120 },
)

test('both ends of every channel agree, whatever domains do', () => {
  fc.assert(
    fc.property(operations, (list) => {
      const host = new TestHost()
      const guests = Array.from({ length: DOMAINS }, () => host.guest({}, 24))
      let destructions = 0
      for (const { kind, domain: i, other: j, port, value } of list) {
        const guest = guests[i]
        const other = guests[j]
        assert.ok(guest && other)
        const { domain } = guest
        const { channels } = domain
        switch (kind) {
          case 'allocate':
            channels.allocUnbound(other.domain.domid)
            break
          case 'bind':
            channels.bindInterdomain(other.domain.domid, port)
            break
          case 'virq':
            channels.bindVirq(value, value & 1)
            break
          case 'ipi':
            channels.bindIpi(value & 1)
            break
          case 'close':
            channels.close(port)
            break
          case 'send':
            channels.send(port)
            break
          case 'move':
            channels.bindVcpu(port, value & 1)
            break
          case 'reset':
            domain.events.reset()
            break
          case 'fifo':
            domain.events.initControl(20n, 72 * (value & 1), value & 1)
            domain.events.expandArray(21n)
            break
          case 'destroy':
            if (destructions++ > 1) break
            host.hypervisor.destroyDomain(domain)
            guests[i] = host.guest({}, 24)
            break
        }
        check(host)
      }
      for (const { domain } of guests) domain.events.reset()
      for (const { domain } of guests) assert.deepEqual(domain.channels.boundPorts(), [])
    }),
    { numRuns: 50 },
  )
})

/** Every interdomain port names a port that names it; every bound VIRQ is bound once. */
function check(host: TestHost): void {
  for (const domain of host.hypervisor.domainsInOrder()) {
    const { channels } = domain
    const virqs = new Set<string>()
    for (const number of channels.boundPorts()) {
      const port = channels.port(number)
      assert.ok(port)
      if (port.state === PortState.virq) {
        const key = `${port.source} of ${port.source < 2 ? port.vcpu : 'all'}`
        assert.ok(!virqs.has(key), `VIRQ ${key} is bound twice`)
        virqs.add(key)
      }
      if (port.state !== PortState.interdomain) continue
      const remote = host.hypervisor.domain(port.remoteDomid)?.channels.port(port.remotePort)
      assert.equal(remote?.state, PortState.interdomain)
      assert.equal(remote?.remoteDomid, domain.domid)
      assert.equal(remote?.remotePort, number)
    }
  }
}

test('a port that is still linked in a FIFO queue is not given out again', () => {
  const guest = new TestHost().guest()
  const { domain } = guest
  domain.events.initControl(20n, 0, 0)
  domain.events.expandArray(21n)
  const port = domain.channels.bindIpi(0)
  domain.channels.raise(port)
  domain.channels.close(port)
  assert.notEqual(domain.channels.bindIpi(0), port)
  // The guest takes it off its queue.
  guest.put32(21 * 4096 + 4 * port, 0)
  assert.equal(domain.channels.bindIpi(0), port)
})

test('a domain that is ending gives out no ports', () => {
  const host = new TestHost()
  const { domain } = host.guest()
  domain.channels.destroy()
  assert.ok(domain.channels.allocUnbound(0) < 0)
})

test('an event of a closed port is not left for whoever gets the port next', () => {
  for (const isFifo of [false, true]) {
    const { domain } = new TestHost().guest()
    if (isFifo) domain.events.initControl(20n, 0, 0)
    if (isFifo) domain.events.expandArray(21n)
    const port = domain.channels.allocUnbound(0)
    // Without a control block for its processor, FIFO marks the event but links nothing.
    domain.channels.bindVcpu(port, 1)
    domain.channels.raise(port)
    domain.channels.close(port)
    assert.equal(domain.channels.allocUnbound(0), port)
    assert.equal(domain.channels.isPending(port), false)
  }
})

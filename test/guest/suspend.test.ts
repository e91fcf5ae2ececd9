// Debian's kernel suspends itself and goes on, as in the domain of one that was restored: its event
// channels, grants and rings are gone, and it connects console, xenstore, disk and network anew.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { RunningDomain } from '../../src/node/running-domain.ts'
import { ImageFolder } from './disk-images.ts'
import { Session } from './session.ts'

const images = new ImageFolder()
after(() => images.remove())

/** Without a DHCP server, and with an address of its own. */
const settle = (address: string) =>
  `killall -q udhcpc; ip address add ${address}/24 dev eth0; ip link set eth0 up`

const CONNECTED = 4

async function suspend(session: Session): Promise<void> {
  const domain = session.domain as RunningDomain
  const suspended = domain.suspend()
  await session.until(() => domain.guest.isSuspended)
  await suspended
}

for (const vcpus of [1, 2]) {
  test(`a guest with ${vcpus} vCPU is pinged, serves HTTP and has its disk, before and after`, async () => {
    const host = await Session.host()
    const path = images.makeExt4(`disk${vcpus}.raw`, 'raw', 32, { hello: 'from the host' })
    const vifs = ['bridge=xenbr0']
    const guest = await Session.on(host, { name: 'a', vcpus, vifs, disks: [`${path},raw,xvda,w`] })
    const other = await Session.on(host, { name: 'b', vifs })
    const domain = guest.domain as RunningDomain
    const notices: string[] = []
    domain.onNotice((text) => notices.push(text))
    try {
      await guest.prompt()
      await other.prompt()
      await guest.run(settle('10.9.0.1'))
      await other.run(settle('10.9.0.2'))
      await guest.run('mkdir -p /mnt/d; mount /dev/xvda /mnt/d; echo before >/mnt/d/before')
      await guest.run('mkdir /www; echo a page >/www/index.html; httpd -h /www')
      const fetch = 'wget -q -O - http://10.9.0.1/'
      assert.match(await other.run(fetch), /^a page$/m)
      for (const round of ['first', 'second']) {
        // Behind it, so that the shell's next prompt comes when the guest has gone on.
        domain.console.send(new TextEncoder().encode(`sleep 1; echo ${round}\r`))
        await suspend(guest)
        assert.match(await other.run('ping -c 1 -W 1 10.9.0.1'), / 0 packets received/)
        const held = domain.guest.domain.grants.activeGrants().length
        assert.ok(held > 0, 'the backends still hold what they had')
        domain.resume()
        assert.equal(domain.networks.list()[0]?.state, 2)
        await guest.until(() => guest.shown.includes(`\n${round}\n`))
        await guest.until(() => domain.networks.list()[0]?.state === CONNECTED)
        assert.match(await other.run('ping -c 2 10.9.0.1'), / 2 packets received/)
        assert.match(await guest.run('ping -c 2 10.9.0.2'), / 2 packets received/)
        assert.match(await other.run(fetch), /^a page$/m)
        await guest.run(`cat /mnt/d/before >/mnt/d/${round}; sync`)
      }
      assert.equal(domain.networks.list()[0]?.queues, vcpus)
      // From the medium, not from what the kernel remembers.
      await guest.run('umount /mnt/d; mount /dev/xvda /mnt/d')
      const read = await guest.run('cat /mnt/d/hello /mnt/d/first /mnt/d/second')
      assert.match(read, /from the hostbefore\s+before\s/)
      assert.match(await guest.run('nproc'), new RegExp(`^${vcpus}$`, 'm'))
      // Nothing piles up from one time to the next.
      assert.deepEqual(notices, [])
      assert.throws(() => domain.resume(), /not suspended/)
    } finally {
      guest.destroy()
      other.destroy()
    }
  })
}

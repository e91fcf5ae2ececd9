// The command with a stand-in for the host, as a process: for tests that need a real terminal or a
// real pipe. The kernel's command line names the guest's behaviour.

import { execFileSync } from 'node:child_process'
import { Bug } from '../../base/errors.ts'
import { runProcess } from '../process.ts'
import { SOME_FILE } from './call.ts'
import { FakeHost, type GuestBehaviour, POWEROFF } from './fake-host.ts'

const BEHAVIOURS: Readonly<Record<string, GuestBehaviour>> = {
  /** Shows the terminal's settings, then what is typed, until "q". */
  echo: async (guest) => {
    const settings = execFileSync('stty', ['-a'], { stdio: ['inherit', 'pipe', 'inherit'] })
    guest.say(
      `pid ${process.pid}\r\nmode ${settings.includes('-icanon') ? 'raw' : 'cooked'}\r\nready\r\n`,
    )
    await guest.hear('q')
    guest.say(`heard ${JSON.stringify(guest.typed)}\r\n`)
    return POWEROFF
  },
  bug: async () => {
    throw new Bug('the broken invariant')
  },
  uncaught: async (guest) => {
    setTimeout(() => {
      throw new Error('thrown in the event loop')
    }, 50)
    await guest.hear('never typed')
    return POWEROFF
  },
  chatter: async (guest) => {
    for (let i = 0; i < 100_000 && !guest.isDestroyed; i++) {
      guest.say(`line ${i}\n`)
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    return POWEROFF
  },
}

let behaviour: GuestBehaviour = async () => POWEROFF
const host = new FakeHost((guest) => {
  behaviour = BEHAVIOURS[guest.config.cmdline] ?? behaviour
  return behaviour(guest)
})
await runProcess({
  createHost: async () => host,
  connectHost: async () => undefined,
  serveHost: () => Promise.reject(new Bug('no host is served here')),
  demoGuest: async () => ({ kernel: SOME_FILE, ramdisk: SOME_FILE }),
})

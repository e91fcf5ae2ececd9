import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Bug, UserError } from '../base/errors.ts'
import type { DomainEnd } from '../node/host-types.ts'
import { call, SOME_FILE } from './testing/call.ts'
import { POWEROFF } from './testing/fake-host.ts'

const RUN = ['run', '--kernel', SOME_FILE]
const forever = () => new Promise<never>(() => {})

test('the exit status tells how the guest ended', async () => {
  const statuses: [DomainEnd, number][] = [
    [{ reason: 'poweroff' }, 0],
    [{ reason: 'suspend' }, 0],
    [{ reason: 'reboot' }, 10],
    [{ reason: 'crash', cause: 'triple fault' }, 11],
    [{ reason: 'watchdog' }, 11],
  ]
  for (const [end, expected] of statuses) {
    const { status, host } = await call(RUN, { guest: async () => end })
    assert.equal(status, expected, end.reason)
    assert.equal(host.isRunning, false)
    assert.equal(host.guest?.isDestroyed, true)
  }
})

test('a crash names its cause', async () => {
  const guest = async (): Promise<DomainEnd> => ({ reason: 'crash', cause: 'triple fault' })
  const { err } = await call(RUN, { guest })
  assert.match(err, /guest: crashed after \d\.\d\d s: triple fault\n/)
})

test('the console comes on stdout byte for byte and the talk on stderr, without colour', async () => {
  const { out, err } = await call(RUN, {
    guest: async (guest) => {
      guest.reach('kernel', 900, '6.1.0')
      guest.say('Linux version 6.1\r\n')
      return POWEROFF
    },
  })
  assert.equal(out, 'Linux version 6.1\r\n')
  const lines = err.split('\n')
  assert.equal(lines[0], '[   0.210] guest: building domain')
  assert.equal(lines[1], '[   0.900] guest: kernel 6.1.0')
  assert.match(lines[2] ?? '', /^\[ +\d+\.\d{3}\] guest: powered off after/)
  assert.ok(!err.includes('\x1b'))
})

test('a terminal gets one line a phase, dimmed, on a line of its own', async () => {
  const { out, err } = await call(RUN, {
    terminal: true,
    guest: async (guest) => {
      guest.say('half a line')
      guest.reach('kernel', 900, '')
      return POWEROFF
    },
  })
  assert.ok(err.includes('\x1b[2mguest: building domain                  0.21 s\x1b[0m\n'))
  assert.ok(err.includes('\n\n\x1b[2mguest: kernel'))
  assert.match(err, /attached to the console; leave with Ctrl-\]/)
  assert.ok(out.startsWith('half a line'))
})

test('NO_COLOR takes the colour from a terminal', async () => {
  const { out, err } = await call(RUN, { terminal: true, env: { NO_COLOR: '1' } })
  assert.ok(!(out + err).includes('\x1b'))
})

test('Ctrl-] ends the run and puts the terminal back', async () => {
  const { status, rawModes, host } = await call(RUN, {
    terminal: true,
    guest: forever,
    meddle: ({ stdin }) => setTimeout(() => stdin.write('ls\r\x1drest'), 20),
  })
  assert.equal(status, 14)
  assert.deepEqual(rawModes, [true, false])
  assert.equal(host.guest?.typed, 'ls\r')
})

test('standard input that is no terminal is typed, and its end does not end the run', async () => {
  const { status, host, rawModes } = await call(RUN, {
    stdin: 'first\nsecond \x1d\n',
    guest: async (guest) => {
      await guest.hear('second \x1d\n')
      await new Promise((resolve) => setTimeout(resolve, 20))
      return POWEROFF
    },
  })
  assert.equal(status, 0)
  assert.equal(host.guest?.typed, 'first\nsecond \x1d\n')
  assert.deepEqual(rawModes, [])
})

test('--expect ends the run as soon as the console shows it', async () => {
  const { status, err } = await call([...RUN, '--expect', 'login:'], {
    guest: async (guest) => {
      guest.say('demo log')
      guest.say('in: ')
      return forever()
    },
  })
  assert.equal(status, 0)
  assert.match(err, /all that was expected came after/)
})

test('--expect and --send are carried out in the order given', async () => {
  const script = [
    '--expect',
    'login: $',
    '--send',
    'root\\r',
    '--expect',
    '# $',
    '--expect',
    'never',
  ]
  const { status, host, err } = await call([...RUN, ...script], {
    guest: async (guest) => {
      guest.say('never\nlogin: ')
      await guest.hear('root\r')
      guest.say('\x1b[1mdemo\x1b[0m\r\n# ')
      return POWEROFF
    },
  })
  assert.equal(host.guest?.typed, 'root\r')
  assert.equal(status, 15)
  assert.match(err, /powered off.*\n.*\/never\/m had not come by then/)
})

test('a run whose last step is --send ends by the end of the guest', async () => {
  const { status } = await call([...RUN, '--expect', '# $', '--send', 'reboot\\r'], {
    guest: async (guest) => {
      guest.say('# ')
      await guest.hear('reboot\r')
      return { reason: 'reboot' }
    },
  })
  assert.equal(status, 10)
})

test('the time limit quotes the last ten lines of the console', async () => {
  const { status, err, host } = await call([...RUN, '--timeout', '0.05', '--expect', 'login:'], {
    guest: async (guest) => {
      for (let i = 1; i <= 12; i++) guest.say(`line ${i}\r\n`)
      return forever()
    },
  })
  assert.equal(status, 13)
  assert.match(err, /the time limit of 0\.05 s was reached, waiting for \/login:\/m/)
  const quoted = [...err.matchAll(/\| (line \d+)$/gm)].map(([, line]) => line)
  assert.deepEqual(
    quoted,
    Array.from({ length: 10 }, (_, i) => `line ${i + 3}`),
  )
  assert.match(err, /--timeout SECONDS/)
  assert.equal(host.guest?.isDestroyed, true)
})

test('a signal ends the run with 128 plus its number', async () => {
  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const { status, process } = await call(RUN, {
      guest: forever,
      meddle: (world) => setTimeout(() => world.process.emit(signal, signal), 20),
    })
    assert.equal(status, expected)
    assert.deepEqual(process.eventNames(), [])
  }
})

test('a bug of the host ends with status 12 and says how to report it', async () => {
  const { status, err, host } = await call(RUN, {
    guest: async () => {
      throw new Bug('frame 7 has two owners')
    },
  })
  assert.equal(status, 12)
  assert.match(err, /This is a bug in Xenolith/)
  assert.match(err, /frame 7 has two owners\n +at /)
  assert.match(err, /report it .*\n {2}xenolith 0\.\d+\.\d+, Node .*\n {2}xenolith run --kernel/)
  assert.equal(host.guest?.isDestroyed, true)
})

test('what the user can mend is said in three lines', async () => {
  const { status, err } = await call(RUN, {
    meddle: ({ host }) => {
      host.createDomain = async () => {
        throw new UserError('k is no kernel.', 'It has no Xen notes.', 'Give another.')
      }
    },
  })
  assert.equal(status, 1)
  assert.equal(err, 'k is no kernel.\nIt has no Xen notes.\nGive another.\n')
})

test('a trace that does not exist is refused', async () => {
  const { status, err } = await call([...RUN, '--trace', 'hypercalls,dreams'])
  assert.equal(status, 2)
  assert.match(
    err,
    /^There is no trace of "dreams"\.\nWhat can be traced: hypercalls, events, exits, sched\.\n/,
  )
})

test('the options reach the domain and the host', async () => {
  const { host } = await call([
    ...RUN,
    ...['--ramdisk', SOME_FILE, '--cmdline', '-v quiet', '--memory=512', '--vcpus', '2'],
    ...['--name', 'web1', '--cpu', 'modern', '--time', 'real', '--trace', 'hypercalls'],
    ...['--event-channel-abi', '2l,3l', '--max-event-channels', '262143'],
  ])
  assert.deepEqual(host.options, { time: 'real' })
  assert.deepEqual(host.guest?.config, {
    name: 'web1',
    kernel: SOME_FILE,
    ramdisk: SOME_FILE,
    cmdline: '-v quiet',
    memoryMiB: 512,
    vcpus: 2,
    cpu: 'modern',
    trace: ['hypercalls'],
    eventChannelAbi: ['2l', '3l'],
    maxEventChannels: 262143,
  })
})

test('an event-channel ABI that does not exist is refused, and so is a silly number of channels', async () => {
  const abi = await call([...RUN, '--event-channel-abi', '2l,4l'])
  assert.equal(abi.status, 2)
  assert.match(abi.err, /There is no event-channel ABI "4l"\.\nThey are 2l, 3l, fifo\./)
  const number = await call([...RUN, '--max-event-channels', '1'])
  assert.equal(number.status, 2)
  assert.match(number.err, /from 2 to 262143/)
})

test('time is real on a terminal and virtual elsewhere, unless it is told', async () => {
  assert.equal((await call(RUN, { terminal: true })).host.options?.time, 'real')
  assert.equal((await call(RUN)).host.options?.time, 'virtual')
  const told = await call([...RUN, '--time', 'virtual'], { terminal: true })
  assert.equal(told.host.options?.time, 'virtual')
})

test('--json prints one event a line and nothing else', async () => {
  const { out, err } = await call([...RUN, '--json', '--stats'], {
    guest: async (guest) => {
      const euro = new TextEncoder().encode('€')
      guest.say(euro.subarray(0, 1))
      guest.say(euro.subarray(1))
      return { reason: 'crash', cause: 'panic' }
    },
  })
  assert.equal(err, '')
  const events = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  assert.deepEqual(
    events.map(({ event, text }) => [event, event === 'console' ? text : undefined]),
    [
      ['phase', undefined],
      ['console', '€'],
      ['end', undefined],
    ],
  )
  const { status, reason, cause, stats } = events[2] ?? {}
  assert.deepEqual(
    { status, reason, cause, stats },
    {
      status: 11,
      reason: 'crash',
      cause: 'panic',
      stats: { instructions: 1234567, hypercalls: 42 },
    },
  )
})

test('--stats prints the counters after the run', async () => {
  const { err } = await call([...RUN, '--stats'])
  assert.match(err, /powered off.*\ninstructions +1,234,567\nhypercalls +42\n$/)
})

test('--profile tells what took the time, and writes it to a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-'))
  try {
    const file = join(folder, 'run.cpuprofile')
    const { err, host } = await call([...RUN, '--profile', file])
    assert.equal(host.options?.namesCode, true)
    assert.match(err, /\ntime by code of the guest +ms +%\n(\(\w+.*\) +[\d.]+ +[\d.]+\n)*/)
    assert.match(err, /\nthe whole profile: .*run\.cpuprofile\n$/)
    const { nodes, samples } = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown[]>
    assert.ok(nodes && samples)
    const json = await call([...RUN, '--json', '--profile', file])
    const end = JSON.parse(json.out.trimEnd().split('\n').at(-1) ?? '') as { profile: object }
    assert.deepEqual(Object.keys(end.profile), ['file', 'ms', 'times'])
    const { status, err: why } = await call([...RUN, '--profile', join(folder, 'no/such')])
    assert.equal(status, 1)
    assert.match(why, /The profile .* cannot be written\./)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('--console-log keeps what the console shows', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'xenolith-'))
  try {
    const log = join(folder, 'console.log')
    await call([...RUN, '--console-log', log], {
      guest: async (guest) => {
        guest.say('one\r\n')
        guest.say('two\r\n')
        return POWEROFF
      },
    })
    assert.equal(readFileSync(log, 'utf8'), 'one\r\ntwo\r\n')
    const { status, err } = await call([...RUN, '--console-log', join(folder, 'no/such')])
    assert.equal(status, 1)
    assert.equal(err.trimEnd().split('\n').length, 3)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('demo types for itself when nobody is there', async () => {
  const { status, host } = await call(['demo'], {
    guest: async (guest) => {
      guest.say('demo:/# ')
      await guest.hear('uname -a\r')
      guest.say('Linux demo\r\ndemo:/# ')
      await guest.hear('poweroff\r')
      return POWEROFF
    },
  })
  assert.equal(status, 0)
  assert.equal(host.guest?.config.name, 'demo')
})

test('without a kernel the first disk says what boots', async () => {
  const disk = ['--disk', 'root.qcow2,qcow2,xvda,w']
  const { host } = await call(['run', ...disk, '--entry', 'Debian'])
  assert.deepEqual(host.guest?.config.bootloader, { entry: 'Debian' })
  assert.equal(host.guest?.config.kernel, undefined)
  assert.equal(host.guest?.config.cmdline, 'console=hvc0')
  for (const [args, message] of [
    [['run'], /nothing to boot.*Neither a kernel nor a disk/s],
    [['run', ...disk, '--ramdisk', SOME_FILE], /The ramdisk has no kernel/],
    [[...RUN, ...disk, '--entry', '1'], /no boot menu to choose/],
  ] as const) {
    const { status, err } = await call([...args])
    assert.equal(status, 2)
    assert.match(err, message)
  }
})

test('network interfaces and a capture go to the host, and a way out means real time', async () => {
  const guest = async () => POWEROFF
  const vifs = ['--vif', 'bridge=xenbr0,rate=10Mb/s', '--vif', 'gateway=none']
  const closed = await call([...RUN, ...vifs, '--pcap', 'all.pcapng'], { guest })
  assert.deepEqual(closed.host.guest?.config.vifs, ['bridge=xenbr0,rate=10Mb/s', 'gateway=none'])
  assert.equal(closed.host.guest.config.capture, 'all.pcapng')
  assert.equal(closed.host.options?.time, 'virtual')
  const open = await call([...RUN, '--vif', ''], { guest })
  assert.deepEqual(open.host.guest?.config.vifs, [''])
  assert.equal(open.host.options?.time, 'real')
  const wrong = await call([...RUN, '--vif', 'brigde=xenbr0'], { guest })
  assert.notEqual(wrong.status, 0)
  assert.match(wrong.err, /no key "brigde"/)
})

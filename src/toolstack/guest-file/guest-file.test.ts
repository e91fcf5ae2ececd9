import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { warningText } from './diagnostic.ts'
import { type GuestFile, readGuestFile } from './guest-file.ts'
import { KEYS } from './keys.ts'

const LEAST = 'name = "web"; type = "pvh"; kernel = "vmlinuz"\n'

function read(text: string, isStrict = false) {
  return readGuestFile([{ name: 'web.cfg', text: LEAST + text }], isStrict)
}

/** What a setting beside the necessary ones changes. */
const MEANINGS: readonly (readonly [text: string, fields: Partial<GuestFile>])[] = [
  ['', { name: 'web', kernel: 'vmlinuz', commandLine: '', ramdisk: undefined }],
  ['', { memoryMiB: 32, maxMemoryMiB: 32, vcpus: 1, maxVcpus: 1, weight: 256, cap: 0 }],
  ['', { onPoweroff: 'destroy', onReboot: 'restart', onWatchdog: 'destroy', onCrash: 'destroy' }],
  ['memory = 512', { memoryMiB: 512, maxMemoryMiB: 512 }],
  ['memory = "512"', { memoryMiB: 512 }],
  ['memory = 0x200', { memoryMiB: 512 }],
  ['memory = 01000', { memoryMiB: 512 }],
  ['maxmem = 300', { memoryMiB: 300, maxMemoryMiB: 300 }],
  ['memory = 200; maxmem = 300', { memoryMiB: 200, maxMemoryMiB: 300 }],
  ['vcpus = 2; maxvcpus = 4', { vcpus: 2, maxVcpus: 4 }],
  ['root = "/dev/xvda1 ro"; extra = "quiet"', { commandLine: 'root=/dev/xvda1 ro quiet' }],
  ['extra = "quiet"', { commandLine: 'quiet' }],
  // cmdline takes the place of root and extra.
  ['root = "/dev/xvda1"; extra = "quiet"; cmdline = "single"', { commandLine: 'single' }],
  ['cpu_weight = 512; cap = 50', { weight: 512, cap: 50 }],
  [
    'on_crash = "preserve"; on_reboot = "rename-restart"',
    { onCrash: 'preserve', onReboot: 'rename-restart' },
  ],
  [
    'uuid = "7FBE7A2C-8F2A-4E4E-8F6C-0123456789AB"',
    { uuid: '7fbe7a2c-8f2a-4e4e-8f6c-0123456789ab' },
  ],
  ['disk = []; vif = []', { disks: [], vifs: [] }],
]

test('keys mean what xl.cfg(5) says', () => {
  for (const [text, fields] of MEANINGS) {
    const { guest, warnings } = read(text)
    for (const [field, value] of Object.entries(fields)) {
      assert.deepEqual(guest[field as keyof GuestFile], value, `${text}: ${field}`)
    }
    assert.deepEqual(warnings, [], text)
  }
})

const FROM_DISK = 'disk = ["a,,xvda"]\nbootloader = "/usr/bin/pygrub"\n'

const WRONG: readonly (readonly [text: string, message: RegExp])[] = [
  ['memory = "lots"', /web.cfg:2:10: "lots" is no number/],
  ['memory = "512M"', /without a unit/],
  ['memory = 0', /memory cannot be 0/],
  ['memory = -1', /web.cfg:2:10/],
  ['memory = [512]', /memory is a single value, not a list/],
  ['memory = 512; maxmem = 256', /maxmem is below memory.*memory is 512/s],
  ['vcpus = 4; maxvcpus = 2', /maxvcpus is below vcpus/],
  ['vcpus = 129', /1 to 128/],
  ['cpu_weight = 0', /1 to 65535/],
  ['on_crash = "destory"', /did you mean "destroy"/],
  ['on_crash = "coredump-destroy"', /no coredump-destroy yet/],
  ['type = "hvm"', /type cannot be "hvm"/],
  ['name = "12"', /taken for a domain-id/],
  ['name = "a/b"', /slash/],
  ['uuid = "12"', /"12" is no UUID/],
  ['disk = "a,,xvda"', /disk is a list.*brackets/s],
  ["disk = ['a,,xvda,rx']", /web.cfg:2:18: There is no access "rx"/],
  ["vif = ['mca=00:16:3e:00:00:01']", /web.cfg:2:9: There is no key "mca".*did you mean "mac"/s],
  ['bootloader = "pygrub"', /web.cfg:2:14: There is no disk to boot from/],
  ['disk = ["a,,xvda"]; bootloader = "grub"', /web.cfg:2:34: There is no boot loader "grub"/],
  [`${FROM_DISK}bootloader_args = ["--entyr=1"]`, /web.cfg:4:19: .*did you mean "--entry"/],
  [`${FROM_DISK}bootloader_args = "-q -l"`, /-l is not supported/],
  ['pci = ["01:00.0"]', /pci is not supported.*no hardware/s],
]

test('what cannot be is an error at its place', () => {
  for (const [text, message] of WRONG) assert.throws(() => read(text), message, text)
})

test('an error is the line, a caret and what was probably meant', () => {
  const source = { name: 'web1.cfg', text: `${'\n'.repeat(6)}memroy = 512\n` }
  assert.throws(
    () => readGuestFile([source], true),
    (error) => {
      assert.equal(
        (error as Error).message,
        'web1.cfg:7:1: Unknown key "memroy"\n' +
          '    7 | memroy = 512\n' +
          '      | ^^^^^^  did you mean "memory"?\n' +
          'No domain was created.',
      )
      return true
    },
  )
})

test('unknown and ignored keys warn; with strict an unknown key is an error', () => {
  const { warnings } = read('memroy = 512\nvnc = 1\nlocaltime = 0\n')
  assert.deepEqual(
    warnings.map((warning) => warningText(warning).split('\n')[0]),
    [
      'web.cfg:2:1: warning: Unknown key "memroy"',
      'web.cfg:3:1: warning: vnc is ignored',
      'web.cfg:4:1: warning: localtime is ignored',
    ],
  )
  assert.throws(() => read('memroy = 512', true), /did you mean "memory"/)
  assert.equal(read('vnc = 1', true).warnings.length, 1)
})

test('a refused key that asks for nothing is let through', () => {
  for (const text of ['pci = []', 'nestedhvm = 0', 'bootloader = ""', 'vfb = []', 'cpuid = ""']) {
    assert.deepEqual(read(text).warnings, [], text)
  }
})

test('a file without name or kernel says which is missing', () => {
  assert.throws(
    () => readGuestFile([{ name: 'x.cfg', text: 'memory=1' }]),
    /x.cfg does not say name/,
  )
  assert.throws(
    () => readGuestFile([{ name: 'x.cfg', text: 'name="a"' }]),
    /x.cfg does not say its kernel/,
  )
})

test('with a boot loader there need be no kernel, and its arguments are a list or words', () => {
  const source = (text: string) => [{ name: 'x.cfg', text: `name="a"; ${FROM_DISK}${text}` }]
  const { guest, warnings } = readGuestFile(source('extra="quiet"'))
  assert.equal(guest.kernel, undefined)
  assert.equal(guest.bootloader, 'pygrub')
  assert.equal(guest.commandLine, 'quiet')
  assert.deepEqual(warnings, [])
  const list = readGuestFile(source('bootloader_args=["--entry", "Debian, old", "-q"]')).guest
  assert.deepEqual(list.bootloaderArgs, ['--entry', 'Debian, old', '-q'])
  const words = readGuestFile(source('bootloader_args="--debug --entry=2"'))
  assert.deepEqual(words.guest.bootloaderArgs, ['--debug', '--entry=2'])
  assert.match(words.warnings.map(warningText).join(), /x.cfg:3:17: warning: --debug is ignored/)
})

test('where a value comes from is told, the last setting counting', () => {
  const file = { name: 'web.cfg', text: `${LEAST}memory = 64\n` }
  const { guest, origins } = readGuestFile([file, { name: 'command line', text: 'memory=128' }])
  assert.equal(guest.memoryMiB, 128)
  assert.equal(origins['memory'], 'command line:1')
  assert.equal(origins['kernel'], 'web.cfg:1')
  assert.equal(origins['vcpus'], undefined)
})

test('every key has one row, with a reason where it does nothing', () => {
  const names = KEYS.map(({ name }) => name)
  assert.equal(new Set(names).size, names.length)
  for (const { name, status, note } of KEYS) {
    if (status !== 'supported') assert.ok(note.length > 5, name)
  }
})

test('the ABIs of event channels that a guest may use are a list of their names', () => {
  assert.deepEqual(read('event_channel_abi = [ "3l", "fifo" ]').guest.eventChannelAbi, [
    '3l',
    'fifo',
  ])
  assert.equal(read('event_channel_abi = []').guest.eventChannelAbi, undefined)
  assert.throws(() => read('event_channel_abi = [ "fif" ]'), /cannot be "fif"/)
})

test('the example has every supported key, and its values are the defaults that it tells', () => {
  const text = readFileSync(new URL('../../../docs/examples/web.cfg', import.meta.url), 'utf8')
  const { guest, warnings } = readGuestFile([{ name: 'web.cfg', text }], true)
  assert.deepEqual(warnings, [])
  const { guest: least } = read('ramdisk="initrd.gz"; extra="console=hvc0"; memory=256')
  const isSet = ([, value]: [string, unknown]) => value !== undefined
  const defaults = Object.fromEntries(Object.entries(least).filter(isSet))
  const { eventChannelAbi, ...others } = guest
  assert.deepEqual(eventChannelAbi, ['2l', 'fifo'])
  const { maxEventChannels, maxGrantFrames, maxMaptrackFrames, maxGrantVersion, ...rest } = others
  assert.deepEqual(Object.fromEntries(Object.entries(rest).filter(isSet)), defaults)
  assert.deepEqual(
    [maxEventChannels, maxGrantFrames, maxMaptrackFrames, maxGrantVersion],
    [1023, 64, 1024, 2],
  )
  for (const { name, status } of KEYS) {
    if (status === 'supported') assert.match(text, new RegExp(`(^#?|[; ])${name} = `, 'm'), name)
  }
})

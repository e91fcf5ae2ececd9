import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkGuest } from './check-guest.ts'
import { type GuestFile, readGuestFile } from './guest-file.ts'

const text = 'name="web"; type="pvh"; kernel="vmlinuz"; memory=64; maxmem=128; vcpus=2'
const { guest } = readGuestFile([{ name: 'web.cfg', text }])

test('what was read from a file is right', () => {
  checkGuest(guest)
  checkGuest({ ...guest, uuid: '12345678-9abc-4def-8123-456789abcdef', maxGrantVersion: 2 })
})

test('what no file could say is refused by its key, as the file would be', () => {
  const wrong: readonly (readonly [change: Partial<Record<keyof GuestFile, unknown>>, RegExp])[] = [
    [{ name: '12' }, /^name cannot be "12"\.\nA number is taken for a domain-id/],
    [{ name: 'a/b' }, /^name cannot be "a\/b"/],
    [{ type: 'hvm' }, /^type cannot be "hvm"/],
    [{ kernel: '' }, /^kernel cannot be ""/],
    [{ uuid: '../../etc' }, /^uuid cannot be/],
    [{ memoryMiB: 0 }, /^memory cannot be 0\.\nIt is 1 to 1048576/],
    [{ memoryMiB: -5 }, /^memory cannot be -5/],
    [{ maxMemoryMiB: 63 }, /^maxmem cannot be 63\.\nMemory is 64/],
    [{ vcpus: 0 }, /^vcpus cannot be 0/],
    [{ maxVcpus: 1 }, /^maxvcpus cannot be 1\.\nVcpus is 2/],
    [{ maxVcpus: 129 }, /^maxvcpus cannot be 129/],
    [{ weight: 65536 }, /^cpu_weight cannot be 65536\.\nIt is 1 to 65535/],
    [{ cap: -1 }, /^cap cannot be -1/],
    [{ maxEventChannels: 1 }, /^max_event_channels cannot be 1/],
    [{ maxGrantFrames: 0 }, /^max_grant_frames cannot be 0/],
    [{ maxMaptrackFrames: 20_000 }, /^max_maptrack_frames/],
    [{ maxGrantVersion: 3 }, /^max_grant_version cannot be 3/],
    [{ onReboot: 'explode' }, /^on_reboot cannot be "explode"\.\nIt is one of destroy, restart/],
    [{ eventChannelAbi: ['4l'] }, /^event_channel_abi cannot be "4l"/],
  ]
  for (const [change, message] of wrong) {
    assert.throws(
      () => checkGuest({ ...guest, ...change } as GuestFile),
      (error: Error) => message.test(error.message),
      JSON.stringify(change),
    )
  }
})

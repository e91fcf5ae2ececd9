// Disks and network interfaces of a managed domain while it runs: what is plugged in or out also
// changes what the domain is made from when it is started again, as with xl.

import { UserError } from '../../base/errors.ts'
import { formatMac } from '../../backends/net/mac.ts'
import type { DiskSpec } from '../../toolstack/disk-spec.ts'
import type { GuestFile } from '../../toolstack/guest-file/guest-file.ts'
import { virtualDeviceNumber } from '../../toolstack/virtual-device.ts'
import type { VifConfig } from '../../toolstack/vif-config.ts'
import type { RunningDomain } from '../running-domain.ts'
import type { ManagedDomain } from './managed-domain.ts'

/** As long as libxl waits for a guest to let go of a device. */
const DETACH_TIMEOUT_MS = 10_000

/** The file, with what was chosen for its interfaces: they keep it when the domain is made anew. */
export function withChosen(file: GuestFile, { guest }: RunningDomain): GuestFile {
  const { attached } = guest.networks
  return {
    ...file,
    vifs: file.vifs.map((vif, i) => {
      const description = attached[i]?.vif.description
      if (!description) return vif
      return { ...vif, devid: description.devid, mac: formatMac(description.mac) }
    }),
  }
}

/** @throws UserError */
export function attachDisk(managed: ManagedDomain, disk: DiskSpec): void {
  managed.running.disks.attach(disk)
  const { file } = managed
  managed.file = { ...file, disks: [...file.disks, disk] }
}

/**
 * @param vdev name or number of the virtual device
 * @throws UserError if there is none, or the guest does not let go of it
 */
export async function detachDisk(
  managed: ManagedDomain,
  vdev: string,
  isForced: boolean,
): Promise<void> {
  const { disks } = managed.running
  const number = virtualDeviceNumber(vdev)
  const name = disks.list().find(({ devid }) => devid === number)?.vdev ?? vdev
  await inTime(disks.detach(name, { force: isForced }), {
    what: `The guest has not given back the disk ${name}.`,
    remedy: `Unmount it in the guest, or take it by force: xenolith block-detach --force`,
  })
  const { file } = managed
  managed.file = { ...file, disks: file.disks.filter(({ devid }) => devid !== number) }
}

/** @throws UserError */
export async function attachVif(managed: ManagedDomain, vif: VifConfig): Promise<void> {
  const { running } = managed
  const devid = await running.networks.attach(vif)
  const mac = running.networks.list().find((info) => info.devid === devid)?.mac
  const { file } = managed
  const added = { ...vif, devid, ...(mac !== undefined && { mac }) }
  managed.file = { ...file, vifs: [...file.vifs, added] }
}

/**
 * @param called the number or the Ethernet address of the interface
 * @throws UserError if there is none, or the guest does not let go of it
 */
export async function detachVif(managed: ManagedDomain, called: string): Promise<void> {
  const { networks } = managed.running
  const infos = networks.list()
  const found = infos.find(
    ({ devid, mac }) => String(devid) === called || mac === called.toLowerCase(),
  )
  if (!found) {
    const known = infos.map(({ devid, mac }) => `${devid} (${mac})`)
    throw new UserError(
      `${managed.name} has no network interface "${called}".`,
      known.length > 0 ? `It has ${known.join(', ')}.` : 'It has none.',
      'Give the number or the Ethernet address of one of them.',
    )
  }
  await inTime(networks.detach(found.devid), {
    what: `The guest has not let go of the network interface ${found.devid}.`,
    remedy: 'Look at its console: xenolith console',
  })
  const { file } = managed
  managed.file = { ...file, vifs: file.vifs.filter(({ devid }) => devid !== found.devid) }
}

/** @throws UserError if it takes longer than a guest may */
async function inTime(
  done: Promise<void>,
  { what, remedy }: { readonly what: string; readonly remedy: string },
): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const late = () => {
    reject(new UserError(what, `It had ${DETACH_TIMEOUT_MS / 1000} seconds for it.`, remedy))
  }
  const timer = setTimeout(late, DETACH_TIMEOUT_MS)
  try {
    await Promise.race([done, promise])
  } finally {
    clearTimeout(timer)
  }
}

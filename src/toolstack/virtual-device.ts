// Names of virtual disks and their numbers, as xen-vbd-interface(7) has them: `xvda`, `hdc1`, `sdb`,
// `d5p2`, or the number itself. Drivers derive the device's name in the guest from the number.

/** Most disks that an encoding can name. */
const EXTENDED_DISKS = 2 ** 20

/** Where each family of names starts, how many disks it has, and how it packs the two numbers. */
const FAMILIES: Readonly<
  Record<string, { disks: number; partitions: number; number: (d: number, p: number) => number }>
> = {
  hd: {
    disks: 4,
    partitions: 63,
    number: (d, p) => ((d < 2 ? 3 : 22) << 8) | ((d & 1) << 6) | p,
  },
  sd: { disks: 16, partitions: 15, number: (d, p) => (8 << 8) | (d << 4) | p },
}

/** The number of a virtual device; undefined if the name is not one. */
export function virtualDeviceNumber(name: string): number | undefined {
  if (/^(0x[\da-f]{1,8}|\d{1,10})$/i.test(name)) {
    const number = Number(name)
    return number < 2 ** 31 ? number : undefined
  }
  const [, disk, diskPartition] = /^d(\d{1,7})(?:p(\d{1,3}))?$/.exec(name) ?? []
  if (disk !== undefined) return xvdNumber(Number(disk), Number(diskPartition ?? 0))
  const [, family = '', letters = '', partition = '0'] =
    /^(xvd|hd|sd)([a-z]{1,4})(\d{1,3})?$/.exec(name) ?? []
  if (letters === '') return undefined
  const index = diskIndex(letters)
  if (family === 'xvd') return xvdNumber(index, Number(partition))
  const known = FAMILIES[family]
  if (!known || index >= known.disks || Number(partition) > known.partitions) return undefined
  return known.number(index, Number(partition))
}

function xvdNumber(disk: number, partition: number): number | undefined {
  if (disk < 16 && partition < 16) return (202 << 8) | (disk << 4) | partition
  if (disk >= EXTENDED_DISKS || partition > 255) return undefined
  return (1 << 28) | (disk << 8) | partition
}

/** a is 0, z is 25, aa is 26. */
function diskIndex(letters: string): number {
  let index = -1
  for (let i = 0; i < letters.length; i++) index = (index + 1) * 26 + letters.charCodeAt(i) - 97
  return index
}

// A Debian system installed in a disk image, kept in the cache: Debian 12 with systemd, the cloud
// kernel, GRUB's tools and a small web server, in a qcow2 image with a GPT and one ext4 file system.
// Made by the usual tools (mmdebstrap, mke2fs, sfdisk, qemu-img), as root or, with fakeroot, without.

import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { UserError } from '../base/errors.ts'
import { defaultCacheFolder, obtainArtifact } from './artifact-cache.ts'
import type { FetchOptions } from './debian-guests.ts'

const run = promisify(execFile)

/** Bumped when the contents of the image change. */
const VERSION = '1'

const SUITE = 'bookworm'
const PACKAGES = [
  'linux-image-cloud-amd64',
  'systemd-sysv',
  'udev',
  'dbus',
  'iproute2',
  'busybox',
  // update-grub, so that the guest writes its boot configuration itself
  'grub2-common',
]
/** What a guest does not need for anything but reading. */
const LEFT_OUT = [
  '/usr/share/doc/*',
  '/usr/share/man/*',
  '/usr/share/locale/*',
  '/usr/share/info/*',
]

const UUID = '6d3b1f0e-5a52-4c0e-9c1e-b0074d15c000'
const DISK_MIB = 1024
const PARTITION_MIB = DISK_MIB - 2
const TYPE_LINUX_ROOT = '4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709'

/** Files of the system, by path. */
const FILES: Readonly<Record<string, string>> = {
  'etc/hostname': 'debian\n',
  'etc/hosts': '127.0.0.1 localhost debian\n',
  'etc/fstab': `UUID=${UUID} / ext4 errors=remount-ro 0 1\n`,
  // What xenolith's gateways answer from.
  'etc/resolv.conf': 'nameserver 10.0.2.3\n',
  'etc/default/grub':
    'GRUB_DEFAULT=0\nGRUB_TIMEOUT=5\nGRUB_DISTRIBUTOR=Debian\n' +
    'GRUB_CMDLINE_LINUX="console=hvc0"\nGRUB_CMDLINE_LINUX_DEFAULT="quiet"\n',
  'etc/systemd/network/80-dhcp.network': '[Match]\nName=en* eth*\n\n[Network]\nDHCP=ipv4\n',
  'etc/systemd/system/web.service':
    '[Unit]\nDescription=Web server\nAfter=network.target\n\n' +
    '[Service]\nExecStart=/usr/bin/busybox httpd -f -p 80 -h /var/www\n\n' +
    '[Install]\nWantedBy=multi-user.target\n',
  'var/www/index.html': 'Debian in Xenolith\n',
}

/** What is done in the new system: no password for root, services on, a first grub.cfg. */
const FINISH = `set -eu
cp -r "$2/." "$1/"
chroot "$1" passwd -q -d root
chroot "$1" systemctl -q enable systemd-networkd.service web.service
rm -f "$1"/var/lib/dpkg/*-old "$1"/var/cache/debconf/*-old "$1"/var/log/*.log
: > "$1/etc/machine-id"
kernel=$(ls "$1/boot" | sed -n 's/^vmlinuz-//p' | tail -n 1)
mkdir -p "$1/boot/grub"
cat > "$1/boot/grub/grub.cfg" <<END
set default="0"
menuentry 'Debian GNU/Linux' --class debian --id 'gnulinux-simple-${UUID}' {
	insmod part_gpt
	insmod ext2
	search --no-floppy --fs-uuid --set=root ${UUID}
	echo	'Loading Linux $kernel ...'
	linux	/boot/vmlinuz-$kernel root=UUID=${UUID} ro console=hvc0
	echo	'Loading initial ramdisk ...'
	initrd	/boot/initrd.img-$kernel
}
END
`

/**
 * Path of the image; nobody may write to it: give it with `snapshot=1`, or copy it.
 * @throws UserError when it is not in the cache and cannot be made
 */
export async function debianDisk(options: FetchOptions = {}): Promise<string> {
  const say = options.say ?? (() => {})
  const folder = await obtainArtifact(options.cacheFolder ?? defaultCacheFolder(), {
    name: 'debian-12-disk',
    version: VERSION,
    make: async (into, scratch) => {
      say('installing Debian 12 with mmdebstrap; this takes a minute or two')
      const archive = await install(scratch)
      say('making the disk image')
      await makeImage(archive, scratch, join(into, 'debian.qcow2'))
    },
  })
  return join(folder, 'debian.qcow2')
}

async function install(scratch: string): Promise<string> {
  const overlay = join(scratch, 'overlay')
  for (const [path, text] of Object.entries(FILES)) {
    await mkdir(join(overlay, path, '..'), { recursive: true })
    await writeFile(join(overlay, path), text)
  }
  const finish = join(scratch, 'finish.sh')
  await writeFile(finish, FINISH)
  const archive = join(scratch, 'root.tar')
  await command('mmdebstrap', [
    '--quiet',
    '--variant=minbase',
    '--architectures=amd64',
    `--include=${PACKAGES.join(',')}`,
    ...LEFT_OUT.map((path) => `--dpkgopt=path-exclude=${path}`),
    `--customize-hook=sh '${finish}' "$1" '${overlay}'`,
    SUITE,
    archive,
  ])
  return archive
}

async function makeImage(archive: string, scratch: string, image: string): Promise<void> {
  const at = (name: string) => join(scratch, name)
  await mkdir(at('root'))
  // In one process tree: fakeroot knows the owners only as long as it lives.
  const fill =
    `tar -xf '${archive}' -C '${at('root')}' && mke2fs -q -t ext4 -L root -U ${UUID} ` +
    `-d '${at('root')}' '${at('part')}' ${PARTITION_MIB}M`
  const isRoot = process.getuid?.() === 0
  await (isRoot ? command('sh', ['-c', fill]) : command('fakeroot', ['sh', '-c', fill]))
  const table = `label: gpt\\nstart=1MiB, size=${PARTITION_MIB}MiB, type=${TYPE_LINUX_ROOT}\\n`
  await command('sh', [
    '-c',
    `truncate -s ${DISK_MIB}M '${at('disk')}' && printf '${table}' | sfdisk -q '${at('disk')}' && ` +
      `dd if='${at('part')}' of='${at('disk')}' bs=1M seek=1 conv=notrunc,sparse status=none`,
  ])
  await command('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', at('disk'), image])
}

async function command(program: string, args: readonly string[]): Promise<void> {
  try {
    const path = `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`
    const env = { ...process.env, PATH: path, LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' }
    await run(program, args, { env, maxBuffer: 1 << 26 })
  } catch (cause) {
    const isMissing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trimEnd() : ''
    throw new UserError(
      'Cannot make the Debian disk image.',
      isMissing
        ? `The program ${program} is missing.`
        : `${program} failed: ${said.split('\n').slice(-3).join(' ') || String(cause)}`,
      'It needs the Debian packages mmdebstrap, e2fsprogs, fdisk and qemu-utils, as another user ' +
        'than root fakeroot and uidmap too, and the network.',
    )
  }
}

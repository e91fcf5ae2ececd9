// The ramdisk of the demo guest: busybox with all its applets, and an init that says so in one
// line and gives a shell with job control on the console. Leaving the shell powers the guest off.

import { UserError } from '../../base/errors.ts'
import { type CpioEntry, writeCpio } from './cpio.ts'

/** The line that init prints first: userspace is reached. */
export const DEMO_INIT_LINE = 'xenolith demo: init'

/** What the shell prints when it waits for a command, at the root folder. */
export const DEMO_PROMPT = 'demo:/# '

const INIT = `#!/bin/sh
export PATH=/bin HOME=/root TERM=\${TERM:-vt100} PS1='demo:\\w# '
# What busybox's poweroff, halt and reboot send to the first process.
trap 'poweroff -f' USR2
trap 'halt -f' USR1
trap 'reboot -f' TERM
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
echo '${DEMO_INIT_LINE}'
hostname demo
ip link set lo up
for device in /sys/bus/xen/devices/*; do
  case $device in
    */vbd-*) [ -d /sys/module/xen_blkfront ] || insmod /lib/modules/xen-blkfront.ko ;;
    */vif-*) [ -d /sys/module/xen_netfront ] || insmod /lib/modules/xen-netfront.ko ;;
  esac
done
if [ -d /sys/class/net/eth0 ]; then
  ip link set eth0 up
  udhcpc -b -S -i eth0 -s /etc/udhcpc.script >/dev/null 2>&1
fi
cd /
# In the background, as the traps have to wait for a process in the foreground.
setsid cttyhack sh &
wait $!
poweroff -f
`

const UDHCPC = `#!/bin/sh
# Called by udhcpc with what it learnt in the environment.
case $1 in
  deconfig) ip -4 address flush dev $interface ;;
  bound|renew)
    ip address replace $ip/\${mask:-24} dev $interface
    for address in $router; do ip route replace default via $address; done
    for address in $dns; do echo "nameserver $address"; done >/etc/resolv.conf
    ;;
esac
`

/** A kernel module to include: `name` such as xen-blkfront.ko. */
export interface DemoModule {
  readonly name: string
  readonly bytes: Uint8Array
}

/**
 * The ramdisk as an uncompressed cpio archive.
 * @param busybox a statically linked busybox for x86-64
 * @throws UserError when the file is not a busybox
 */
export function makeDemoRamdisk(
  busybox: Uint8Array,
  modules: readonly DemoModule[],
): Uint8Array<ArrayBuffer> {
  const folders = ['bin', 'dev', 'etc', 'lib', 'lib/modules', 'mnt', 'proc', 'root', 'sys', 'tmp']
  const applets = busyboxApplets(busybox).filter((name) => name !== 'busybox')
  const entries: CpioEntry[] = [
    ...folders.map((path): CpioEntry => ({ kind: 'folder', path })),
    { kind: 'folder', path: 'usr' },
    { kind: 'link', path: 'sbin', target: 'bin' },
    { kind: 'link', path: 'usr/bin', target: '/bin' },
    { kind: 'link', path: 'usr/sbin', target: '/bin' },
    { kind: 'character device', path: 'dev/console', major: 5, minor: 1 },
    { kind: 'character device', path: 'dev/null', mode: 0o666, major: 1, minor: 3 },
    { kind: 'file', path: 'bin/busybox', mode: 0o755, data: busybox },
    ...applets.map((name): CpioEntry => ({ kind: 'link', path: `bin/${name}`, target: 'busybox' })),
    { kind: 'file', path: 'etc/passwd', data: 'root::0:0:root:/root:/bin/sh\n' },
    { kind: 'file', path: 'etc/group', data: 'root:x:0:\n' },
    { kind: 'file', path: 'etc/udhcpc.script', mode: 0o755, data: UDHCPC },
    ...modules.map(
      ({ name, bytes }): CpioEntry => ({ kind: 'file', path: `lib/modules/${name}`, data: bytes }),
    ),
    { kind: 'file', path: 'init', mode: 0o755, data: INIT },
  ]
  return writeCpio(entries)
}

/**
 * The names busybox answers to, from the sorted table in the program: it cannot be asked, as the
 * host may be of another kind. Each name ends with a NUL; an empty name ends the table.
 */
export function busyboxApplets(busybox: Uint8Array): string[] {
  const text = new TextDecoder('latin1').decode(busybox)
  const start = text.indexOf('\0[\0[[\0')
  const end = text.indexOf('\0\0', start + 1)
  const names = start < 0 || end < 0 ? [] : text.slice(start + 1, end).split('\0')
  if (!names.includes('sh') || names.some((name) => !/^[\w.[-]+$/.test(name))) {
    throw new UserError(
      'Cannot make the demo ramdisk.',
      'The program given as busybox has no table of applets.',
      'Give a statically linked busybox with sh (Debian: busybox-static).',
    )
  }
  return names
}

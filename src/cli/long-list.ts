// A domain as `xl list -l` prints it: libxl's domain configuration as JSON, as far as there is
// anything to say.

import type { DomainInfo } from '../toolstack/domain-info.ts'
import type { GuestFile } from '../toolstack/guest-file/guest-file.ts'

export function longForm(info: DomainInfo, file: GuestFile): unknown {
  const action = (text: string) => text.replaceAll('-', '_')
  return {
    domid: info.id,
    config: {
      c_info: { type: file.type, name: info.name, uuid: info.uuid },
      b_info: {
        max_vcpus: info.vcpus.length,
        avail_vcpus: info.vcpus.filter(({ isOnline }) => isOnline).map(({ id }) => id),
        max_memkb: file.maxMemoryMiB * 1024,
        target_memkb: info.targetKiB,
        sched_params: { weight: info.weight, cap: info.cap },
        kernel: file.kernel,
        cmdline: file.commandLine,
        ramdisk: file.ramdisk,
        ...(file.bootloader && {
          bootloader: file.bootloader,
          bootloader_args: file.bootloaderArgs,
        }),
        event_channels: file.maxEventChannels,
        type: { [file.type]: {} },
      },
      disks: file.disks.map(({ target, format = 'raw', vdev, isReadOnly, isCdrom }) => ({
        pdev_path: target,
        vdev,
        format,
        readwrite: isReadOnly ? 0 : 1,
        is_cdrom: isCdrom ? 1 : 0,
      })),
      nics: file.vifs.map(({ mac, bridge, ip, mtu, devid }) => ({ devid, mac, bridge, ip, mtu })),
      on_poweroff: action(file.onPoweroff),
      on_reboot: action(file.onReboot),
      on_watchdog: action(file.onWatchdog),
      on_crash: action(file.onCrash),
    },
  }
}

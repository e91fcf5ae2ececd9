// The table of verbs, in the order in which the help lists them.

import { bench } from './bench.ts'
import { blockAttach, blockDetach, blockList } from './block-verbs.ts'
import { completion } from './completion.ts'
import { configUpdate } from './config-update.ts'
import { console } from './console.ts'
import { create } from './create.ts'
import { demo } from './demo.ts'
import { help } from './help.ts'
import { host } from './host.ts'
import { destroy, pause, reboot, rename, shutdown, unpause } from './life-verbs.ts'
import { info } from './info.ts'
import { list } from './list.ts'
import { debugKeys, dmesg } from './log-verbs.ts'
import { memMax, memSet } from './memory-verbs.ts'
import { domid, domname } from './name-verbs.ts'
import { networkAttach, networkDetach, networkList } from './network-verbs.ts'
import { pcap } from './pcap.ts'
import { run } from './run.ts'
import { schedCredit2 } from './sched-credit2.ts'
import { sysrq, trigger } from './signal-verbs.ts'
import { top } from './top.ts'
import { trace } from './trace.ts'
import { uptime } from './uptime.ts'
import { vcpuList, vcpuPin, vcpuSet } from './vcpu-verbs.ts'
import type { Verb } from './verb.ts'
import { version } from './version.ts'
import { vmList } from './vm-list.ts'

export const VERBS: readonly Verb[] = [
  run,
  demo,
  create,
  list,
  console,
  shutdown,
  reboot,
  destroy,
  pause,
  unpause,
  rename,
  domid,
  domname,
  top,
  vcpuList,
  vcpuSet,
  vcpuPin,
  memSet,
  memMax,
  schedCredit2,
  uptime,
  vmList,
  blockList,
  blockAttach,
  blockDetach,
  networkList,
  networkAttach,
  networkDetach,
  pcap,
  trace,
  configUpdate,
  sysrq,
  trigger,
  info,
  dmesg,
  debugKeys,
  host,
  completion,
  bench,
  help,
  version,
]

// The verbs and flags of xl(1) of Xen 4.17 that are not here, each with the reason: what the help
// says to who tries one, and what docs/reference/xl.md lists.

interface AbsentVerb {
  readonly name: string
  /** Without a full stop. */
  readonly why: string
  /** Whether it is to come: its part of the host is not there yet. */
  readonly isPlanned?: boolean
}

function absent(why: string, names: readonly string[], isPlanned = false): AbsentVerb[] {
  return names.map((name) => ({ name, why, ...(isPlanned && { isPlanned }) }))
}

export const ABSENT_VERBS: readonly AbsentVerb[] = [
  ...absent('only HVM guests have drives whose discs change', ['cd-insert', 'cd-eject']),
  ...absent('domains cannot be saved yet', ['save', 'restore', 'dump-core'], true),
  ...absent('domains cannot move to another host', ['migrate', 'remus']),
  ...absent('there is one pool of processors', [
    'cpupool-create',
    'cpupool-list',
    'cpupool-destroy',
    'cpupool-rename',
    'cpupool-cpu-add',
    'cpupool-cpu-remove',
    'cpupool-migrate',
    'cpupool-numa-split',
  ]),
  ...absent('the scheduler is credit2', ['sched-credit', 'sched-rtds']),
  ...absent('domains share no pages', ['sharing']),
  ...absent('memory is given when a domain is built, not claimed before', ['claims']),
  ...absent('the host has no command line of Xen', ['set-parameters']),
  ...absent('PVH guests have no buttons; use shutdown', ['button-press']),
  ...absent('PVH guests have no screen', ['vncviewer']),
  ...absent('there is no device model', ['qemu-monitor-command']),
  ...absent('there is no backend for it', [
    'channel-list',
    'vtpm-attach',
    'vtpm-detach',
    'vtpm-list',
    'vdispl-attach',
    'vdispl-detach',
    'vdispl-list',
    'vsnd-attach',
    'vsnd-detach',
    'vsnd-list',
    'vkb-attach',
    'vkb-detach',
    'vkb-list',
  ]),
  ...absent('there is no hardware to pass through', [
    'pci-assignable-list',
    'pci-assignable-add',
    'pci-assignable-remove',
    'pci-attach',
    'pci-detach',
    'pci-list',
    'usbctrl-attach',
    'usbctrl-detach',
    'usbdev-attach',
    'usbdev-detach',
    'usb-list',
  ]),
  ...absent('there are no security labels (XSM)', ['getenforce', 'setenforce', 'loadpolicy']),
  ...absent('the processor is software and has no such monitors', [
    'psr-hwinfo',
    'psr-cmt-attach',
    'psr-cmt-detach',
    'psr-cmt-show',
    'psr-cat-set',
    'psr-cat-show',
    'psr-mba-set',
    'psr-mba-show',
  ]),
]

/** Flags of verbs that are here, by verb; those before the verb under an empty name. */
export const ABSENT_FLAGS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  '': {
    '-v': 'there is nothing more to say',
    '-N': 'create has it as -n',
    '-f': 'there is no xend',
    '-t': 'progress is one line a phase',
    '-T': 'lines have times when standard error is no terminal',
  },
  create: {
    '--vncviewer': 'PVH guests have no screen',
    '--vncviewer-autopass': 'PVH guests have no screen',
  },
  list: {
    '--context': 'there are no security labels (XSM)',
    '--numa': 'there are no NUMA nodes',
  },
  info: { '--numa': 'there are no NUMA nodes' },
  reboot: { '-F': 'PVH guests have no buttons; use destroy and create' },
  shutdown: { '-F': 'PVH guests have no buttons; use destroy' },
  'sched-credit2': {
    '--cpupool': 'there is one pool of processors',
    '--schedparam': 'the length of a turn is fixed',
    '--ratelimit_us': 'the length of a turn is fixed',
  },
}

/** Why a verb of xl is not here. */
export function absentVerb(name: string): AbsentVerb | undefined {
  return ABSENT_VERBS.find((verb) => verb.name === name)
}

/** The verbs that xl does not have. */
export const OWN_VERBS: readonly string[] = [
  'run',
  'demo',
  'host',
  'pcap',
  'trace',
  'completion',
  'bench',
  'version',
]

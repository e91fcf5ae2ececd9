// All hypercalls that a PVH guest can make: number, name, arguments and handler. Traces, counters
// and the dispatcher go by this table; what is not in it is -ENOSYS.

import * as threeLevelAbi from '../abi/event-channel-3l.ts'
import * as eventAbi from '../abi/event-channel.ts'
import * as grantAbi from '../abi/grant-table.ts'
import * as hvmAbi from '../abi/hvm-op.ts'
import * as memoryAbi from '../abi/memory.ts'
import * as physdevAbi from '../abi/physdev.ts'
import * as schedAbi from '../abi/sched.ts'
import { namesOf } from '../abi/structure.ts'
import * as vcpuAbi from '../abi/vcpu.ts'
import * as versionAbi from '../abi/version.ts'
import * as abi from '../abi/xen.ts'
import type { Handler } from './call.ts'
import { consoleIo } from './console-io.ts'
import { eventChannelOp } from './event-channel-op.ts'
import { grantTableOp } from './grant-table-op.ts'
import { hvmOp } from './hvm-op.ts'
import { memoryOp } from './memory-op.ts'
import { multicall } from './multicall.ts'
import { physdevOp } from './physdev-op.ts'
import { mmuextOp, privileged, switchedOff, xsmOp } from './refused.ts'
import { schedOp } from './sched-op.ts'
import { setTimerOp } from './set-timer-op.ts'
import { vcpuOp } from './vcpu-op.ts'
import { vmAssist } from './vm-assist.ts'
import { xenVersion } from './xen-version.ts'

export interface Hypercall {
  readonly number: number
  /** As in the header, without the prefix. */
  readonly name: string
  readonly handler: Handler
  /** Names of the arguments it takes. */
  readonly parameters: readonly string[]
  /** Names of its operations, if its first argument chooses one. */
  readonly operations?: ReadonlyMap<number, string>
}

const NAMES = namesOf(abi, '__HYPERVISOR_')

function hypercall(
  number: number,
  handler: Handler,
  parameters: readonly string[],
  operations?: ReadonlyMap<number, string>,
): [number, Hypercall] {
  const name = (NAMES.get(number) ?? `hypercall_${number}`).replace('__HYPERVISOR_', '')
  return [
    number,
    operations
      ? { number, name, handler, parameters, operations }
      : { number, name, handler, parameters },
  ]
}

export const HYPERCALLS: ReadonlyMap<number, Hypercall> = new Map([
  hypercall(abi.__HYPERVISOR_platform_op, privileged, ['op']),
  hypercall(abi.__HYPERVISOR_memory_op, memoryOp, ['cmd', 'arg'], memoryOperations()),
  hypercall(abi.__HYPERVISOR_multicall, multicall, ['call_list', 'nr_calls']),
  hypercall(abi.__HYPERVISOR_set_timer_op, setTimerOp, ['timeout']),
  hypercall(
    abi.__HYPERVISOR_xen_version,
    xenVersion,
    ['cmd', 'arg'],
    namesOf(versionAbi, 'XENVER_'),
  ),
  hypercall(
    abi.__HYPERVISOR_console_io,
    consoleIo,
    ['cmd', 'count', 'buffer'],
    consoleOperations(),
  ),
  hypercall(
    abi.__HYPERVISOR_grant_table_op,
    grantTableOp,
    ['cmd', 'uop', 'count'],
    namesOf(grantAbi, 'GNTTABOP_'),
  ),
  hypercall(abi.__HYPERVISOR_vm_assist, vmAssist, ['cmd', 'type'], namesOf(abi, 'VMASST_CMD_')),
  hypercall(
    abi.__HYPERVISOR_vcpu_op,
    vcpuOp,
    ['cmd', 'vcpuid', 'arg'],
    namesOf(vcpuAbi, 'VCPUOP_'),
  ),
  hypercall(abi.__HYPERVISOR_mmuext_op, mmuextOp, ['op', 'count', 'pdone', 'foreigndom']),
  hypercall(abi.__HYPERVISOR_xsm_op, xsmOp, ['op']),
  hypercall(abi.__HYPERVISOR_sched_op, schedOp, ['cmd', 'arg'], namesOf(schedAbi, 'SCHEDOP_')),
  hypercall(
    abi.__HYPERVISOR_event_channel_op,
    eventChannelOp,
    ['cmd', 'arg'],
    namesOf({ ...eventAbi, ...threeLevelAbi }, 'EVTCHNOP_'),
  ),
  hypercall(
    abi.__HYPERVISOR_physdev_op,
    physdevOp,
    ['cmd', 'arg'],
    namesOf(physdevAbi, 'PHYSDEVOP_'),
  ),
  hypercall(abi.__HYPERVISOR_hvm_op, hvmOp, ['op', 'arg'], hvmOperations()),
  hypercall(abi.__HYPERVISOR_sysctl, privileged, ['op']),
  hypercall(abi.__HYPERVISOR_domctl, privileged, ['op']),
  hypercall(abi.__HYPERVISOR_argo_op, switchedOff, ['cmd', 'arg1', 'arg2', 'arg3', 'arg4']),
  hypercall(abi.__HYPERVISOR_xenpmu_op, switchedOff, ['op', 'arg']),
  hypercall(abi.__HYPERVISOR_dm_op, privileged, ['domid', 'nr_bufs', 'bufs']),
  hypercall(abi.__HYPERVISOR_hypfs_op, privileged, ['cmd', 'arg1', 'arg2', 'arg3', 'arg4']),
])

/** XENMEM_ also prefixes numbers that are no operations of memory_op. */
function memoryOperations(): ReadonlyMap<number, string> {
  const operations = Object.entries(memoryAbi).filter(
    ([name, value]) =>
      name.startsWith('XENMEM_') &&
      !name.startsWith('XENMEM_resource') &&
      typeof value === 'number',
  )
  return namesOf(Object.fromEntries(operations), 'XENMEM_')
}

function consoleOperations(): ReadonlyMap<number, string> {
  return namesOf(abi, 'CONSOLEIO_')
}

function hvmOperations(): ReadonlyMap<number, string> {
  const { HVMOP_ALTP2M_INTERFACE_VERSION: _, ...operations } = hvmAbi
  return namesOf(operations, 'HVMOP_')
}

// What a toolstack asks of a running guest or changes about it: through xenstore, where the guest's
// drivers have to play along, or directly in the hypervisor. As libxl does it.

import { UserError } from '../base/errors.ts'
import {
  requestShutdown,
  sendSysrq,
  setMemoryTarget,
  setVcpusOnline,
  type ShutdownRequest,
} from '../backends/xenstore/domain-tree.ts'
import { HVM_PARAM_CALLBACK_IRQ } from '../xen/abi/hvm-params.ts'
import { MOST_WEIGHT } from '../xen/credit.ts'
import type { GuestDomain } from './guest-domain.ts'
import { SLACK_PAGES } from './xen-host.ts'

const KIB_PER_PAGE = 4
const KIB_PER_MIB = 1024
/** A balloon below this is a mistake: no kernel lives in it. */
const LEAST_TARGET_KIB = 1024

/** @throws UserError if the guest has no drivers that would understand */
export function askToShutDown(guest: GuestDomain, request: ShutdownRequest): void {
  needDrivers(guest, `be asked to ${request === 'reboot' ? 'reboot' : 'shut down'}`)
  requestShutdown(guest.xenstore, guest.domain.domid, request)
}

/** @throws UserError */
export function askSysrq(guest: GuestDomain, key: string): void {
  if (!/^[\x21-\x7e]$/.test(key)) {
    throw new UserError(
      `"${key}" cannot be sent.`,
      'A system request is one character.',
      'Linux knows h for a list of them, s, u, b, c and more.',
    )
  }
  needDrivers(guest, 'be sent a system request')
  sendSysrq(guest.xenstore, guest.domain.domid, key)
}

/**
 * mem-set: a new target of the balloon driver, and no more than that for the domain.
 * @throws UserError if it is out of bounds
 */
export function setTarget(guest: GuestDomain, targetKiB: number): void {
  const mostKiB = guest.maxMemoryMiB * KIB_PER_MIB
  if (targetKiB > mostKiB || targetKiB < LEAST_TARGET_KIB) {
    throw new UserError(
      `The memory of ${guest.name} cannot be set to ${targetKiB} KiB.`,
      `It has ${LEAST_TARGET_KIB} KiB at least, and at most its maxmem, ${mostKiB} KiB.`,
      'Give a number in between; m stands for MiB, g for GiB.',
    )
  }
  guest.memoryTargetKiB = targetKiB
  // As on Xen it may be below what the domain has: it gets nothing new until it has given back.
  guest.domain.maxPages = Math.floor(targetKiB / KIB_PER_PAGE) + SLACK_PAGES
  setMemoryTarget(guest.xenstore, guest.domain.domid, targetKiB)
}

/**
 * mem-max: the limit that the hypervisor holds the domain to.
 * @throws UserError if it is below the target
 */
export function setMaxMemory(guest: GuestDomain, maxKiB: number): void {
  if (maxKiB < guest.memoryTargetKiB) {
    throw new UserError(
      `The most memory of ${guest.name} cannot be ${maxKiB} KiB.`,
      `Its target is ${guest.memoryTargetKiB} KiB.`,
      'Lower that first, with mem-set.',
    )
  }
  guest.domain.maxPages = Math.floor(maxKiB / KIB_PER_PAGE) + SLACK_PAGES
}

/**
 * vcpu-set: asks the guest to bring the first `count` vCPUs on line and the others off line. As
 * with xl nothing happens for a count below 1.
 * @throws UserError if it does not have so many
 */
export function setVcpus(guest: GuestDomain, count: number): void {
  const { vcpus, domid } = guest.domain
  if (count > vcpus.length) {
    throw new UserError(
      `${guest.name} cannot have ${count} vCPUs.`,
      `It was created with maxvcpus ${vcpus.length}.`,
      'Give that many at most, or create it anew.',
    )
  }
  if (count < 1) return
  setVcpusOnline(
    guest.xenstore,
    domid,
    vcpus.map((_, i) => i < count),
  )
}

/** @throws UserError for numbers that credit2 does not take */
export function setCredit(guest: GuestDomain, weight?: number, cap?: number): void {
  const { credit, vcpus } = guest.domain
  if (weight !== undefined && (weight < 1 || weight > MOST_WEIGHT)) {
    throw new UserError(
      `The weight cannot be ${weight}.`,
      `It is 1 to ${MOST_WEIGHT}.`,
      'Twice the weight gets twice the processor time; 256 is the default.',
    )
  }
  if (cap !== undefined && (cap < 0 || cap > 100 * vcpus.length)) {
    throw new UserError(
      `The cap cannot be ${cap}.`,
      `It is 0 to ${100 * vcpus.length} per cent, as ${guest.name} has ${vcpus.length} vCPUs.`,
      'Give 0 for no cap.',
    )
  }
  credit.set(weight ?? credit.weight, cap ?? credit.cap)
}

/**
 * trigger: what hardware buttons would do. Xen answers the others with -ENOSYS, too.
 * @throws UserError
 */
export function trigger(guest: GuestDomain, what: string, vcpuId: number): void {
  const vcpu = guest.domain.vcpus[vcpuId]
  if (!vcpu) {
    throw new UserError(
      `${guest.name} has no vCPU ${vcpuId}.`,
      `It has ${guest.domain.vcpus.length}, counted from 0.`,
      'Give one of them.',
    )
  }
  if (what === 'nmi') return vcpu.sendNmi()
  throw new UserError(
    `A trigger "${what}" cannot be sent.`,
    'A PVH guest has no such button.',
    'Use shutdown, reboot or destroy.',
  )
}

/** As libxl decides it: drivers have told the hypervisor how they want their events. */
function needDrivers(guest: GuestDomain, what: string): void {
  if (guest.domain.params.get(HVM_PARAM_CALLBACK_IRQ) !== 0n) return
  throw new UserError(
    `${guest.name} cannot ${what}.`,
    'Its kernel has no Xen drivers, or has not come to start them.',
    'Wait, or end it with destroy.',
  )
}

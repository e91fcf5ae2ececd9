// What a host says of its domains: the facts of XEN_DOMCTL_getdomaininfo and getvcpuinfo, as plain
// data.

import { SHUTDOWN_crash } from '../xen/abi/sched.ts'
import type { Vcpu } from '../xen/vcpu.ts'
import type { GuestDomain } from './guest-domain.ts'

const KIB_PER_PAGE = 4
const NS = 1e9

export interface DomainInfo {
  readonly id: number
  readonly name: string
  readonly uuid: string
  readonly memoryKiB: number
  readonly maxMemoryKiB: number
  /** What its balloon driver is asked for. */
  readonly targetKiB: number
  readonly vcpus: readonly VcpuInfo[]
  readonly isPaused: boolean
  readonly isDying: boolean
  /** SHUTDOWN_* once it has shut down. */
  readonly shutdownReason: number | null
  readonly isCrashed: boolean
  readonly weight: number
  readonly cap: number
  /** Seconds since it was created. */
  readonly uptime: number
  readonly traffic: TrafficInfo
}

/** What has passed a domain's devices, as xentop counts it: those that it has now. */
export interface TrafficInfo {
  readonly networks: number
  /** Bytes that the guest has sent and received. */
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly disks: number
  readonly reads: number
  readonly writes: number
  readonly readSectors: number
  readonly writtenSectors: number
}

export interface VcpuInfo {
  readonly id: number
  readonly isOnline: boolean
  readonly isBlocked: boolean
  /** Seconds for which it had a processor. */
  readonly seconds: number
}

/** `createdAtNs` and `nowNs` are of the host's clock. */
export function domainInfo(guest: GuestDomain, createdAtNs: number, nowNs: number): DomainInfo {
  const { domain } = guest
  return {
    id: domain.domid,
    name: guest.name,
    uuid: guest.uuid,
    memoryKiB: domain.totalPages * KIB_PER_PAGE,
    maxMemoryKiB: domain.maxPages * KIB_PER_PAGE,
    targetKiB: guest.memoryTargetKiB,
    vcpus: domain.vcpus.map(vcpuInfo),
    isPaused: domain.isPaused,
    isDying: domain.isDying,
    shutdownReason: domain.shutdownReason ?? null,
    isCrashed: domain.shutdownReason === SHUTDOWN_crash,
    weight: domain.credit.weight,
    cap: domain.credit.cap,
    uptime: Math.max(0, nowNs - createdAtNs) / NS,
    traffic: trafficInfo(guest),
  }
}

function trafficInfo(guest: GuestDomain): TrafficInfo {
  const vifs = guest.networks.all.map(({ vif }) => vif.counters)
  const disks = guest.disks.list().map(({ counters }) => counters)
  return {
    networks: vifs.length,
    sentBytes: sum(vifs, 'sentBytes'),
    receivedBytes: sum(vifs, 'receivedBytes'),
    disks: disks.length,
    reads: sum(disks, 'reads'),
    writes: sum(disks, 'writes'),
    readSectors: sum(disks, 'readSectors'),
    writtenSectors: sum(disks, 'writtenSectors'),
  }
}

function sum<K extends string>(counters: readonly Readonly<Record<K, number>>[], key: K): number {
  return counters.reduce((total, one) => total + one[key], 0)
}

function vcpuInfo(vcpu: Vcpu): VcpuInfo {
  return {
    id: vcpu.id,
    isOnline: vcpu.isUp,
    isBlocked: vcpu.state === 'blocked' || vcpu.state === 'polling',
    seconds: vcpu.cpuTimeNs / NS,
  }
}

/** Seconds for which all vCPUs of a domain together had a processor. */
export function cpuSeconds({ vcpus }: DomainInfo): number {
  return vcpus.reduce((sum, { seconds }) => sum + seconds, 0)
}

/** The six letters of `xl list`: running, blocked, paused, shut down, crashed, dying. */
export function stateLetters(info: DomainInfo): string {
  const online = info.vcpus.filter(({ isOnline }) => isOnline)
  const isStopped = info.isPaused || info.isDying || info.shutdownReason !== null
  const isRunning = !isStopped && online.some(({ isBlocked }) => !isBlocked)
  const isBlocked = !isStopped && !isRunning && online.length > 0
  const letters: readonly (readonly [boolean, string])[] = [
    [isRunning, 'r'],
    [isBlocked, 'b'],
    [info.isPaused, 'p'],
    [info.shutdownReason !== null, 's'],
    [info.isCrashed, 'c'],
    [info.isDying, 'd'],
  ]
  return letters.map(([holds, letter]) => (holds ? letter : '-')).join('')
}

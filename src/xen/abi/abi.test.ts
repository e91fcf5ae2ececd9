// Compares every number and every layout of this folder with Xen's own headers (Debian's
// libxen-dev), as gcc sees them for 64-bit and for 32-bit guests.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import * as blkif from './blkif.ts'
import * as cpuid from './cpuid.ts'
import * as errno from './errno.ts'
import * as eventChannel from './event-channel.ts'
import * as features from './features.ts'
import * as grantTable from './grant-table.ts'
import * as hvmOp from './hvm-op.ts'
import * as hvmParams from './hvm-params.ts'
import * as hvmVcpu from './hvm-vcpu.ts'
import * as memory from './memory.ts'
import * as physdev from './physdev.ts'
import * as sched from './sched.ts'
import * as startInfo from './start-info.ts'
import { Structure, type Width } from './structure.ts'
import * as vcpu from './vcpu.ts'
import * as version from './version.ts'
import * as xen from './xen.ts'
import * as xenbus from './xenbus.ts'

const MODULES: Readonly<Record<string, object>> = {
  'xen.h': xen,
  'io/blkif.h': blkif,
  'io/xenbus.h': xenbus,
  'errno.h': errno,
  'event_channel.h': eventChannel,
  'features.h': features,
  'grant_table.h': grantTable,
  'hvm/hvm_op.h': hvmOp,
  'hvm/params.h': hvmParams,
  'hvm/hvm_vcpu.h': hvmVcpu,
  'memory.h': memory,
  'physdev.h': physdev,
  'sched.h': sched,
  'arch-x86/hvm/start_info.h': startInfo,
  'vcpu.h': vcpu,
  'version.h': version,
  'arch-x86/cpuid.h': cpuid,
}

/** Our own names for what the headers say otherwise: in C. */
const IN_C: Readonly<Record<string, string>> = {
  VCPU_INFO_SIZE: 'sizeof(struct vcpu_info)',
  VCPU_INFO_TIME: 'offsetof(struct vcpu_info, time)',
  XEN_COMMANDLINE_LEN: 'sizeof(xen_commandline_t)',
}

/** Structures of which only the start is declared. */
const PARTIAL = new Set(['vcpu_info', 'xen_build_id', 'blkif_request_indirect'])

interface Claim {
  readonly name: string
  readonly c: string
  readonly value: bigint
}

function numberClaims(): Claim[] {
  const claims: Claim[] = []
  for (const module of Object.values(MODULES)) {
    for (const [name, value] of Object.entries(module)) {
      if (typeof value !== 'number' && typeof value !== 'bigint') continue
      claims.push({ name, c: IN_C[name] ?? name, value: BigInt(value) })
    }
  }
  return claims
}

function layoutClaims(width: Width): Claim[] {
  const claims: Claim[] = []
  for (const module of Object.values(MODULES)) {
    for (const [key, structure] of Object.entries(module)) {
      if (!(structure instanceof Structure)) continue
      if (key === 'compat_shared_info' ? width === 64 : key === 'shared_info' && width === 32)
        continue
      const type = structure.name.startsWith('union ') ? structure.name : `struct ${structure.name}`
      if (!PARTIAL.has(structure.name)) {
        claims.push({
          name: `size of ${key}`,
          c: `sizeof(${type})`,
          value: BigInt(structure.size(width)),
        })
      }
      for (const field of structure.fields) {
        claims.push({
          name: `${key}.${field}`,
          c: `offsetof(${type}, ${field})`,
          value: BigInt(structure.offsetOf(width, field)),
        })
      }
    }
  }
  return claims
}

/** The values that gcc computes, by the claims' numbers. */
function ask(claims: readonly Claim[], width: Width): Map<number, bigint> {
  const headers = Object.keys(MODULES)
  const includes = headers.map((header) => `#include <xen/${header}>`)
  const source = [
    '#include <stddef.h>',
    '#include <stdint.h>',
    '#define __XEN_TOOLS__ 1',
    ...includes,
    // An operand has at most 32 bits: the two halves of each value are given apart.
    '#define LOW(c) ((int)(((unsigned long long)(c)) & 0xffffffff))',
    '#define HIGH(c) ((int)(((unsigned long long)(c)) >> 32))',
    'void claims(void) {',
    ...claims.map(
      ({ c }, i) => `__asm__ volatile("#claim ${i} %c0 %c1" :: "i"(LOW(${c})), "i"(HIGH(${c})));`,
    ),
    '}',
  ].join('\n')
  const args = [
    width === 32 ? '-m32' : '-m64',
    '-ffreestanding',
    '-w',
    '-S',
    '-x',
    'c',
    '-',
    '-o',
    '-',
  ]
  const assembly = execFileSync('gcc', args, { input: source, encoding: 'utf8' })
  const found = new Map<number, bigint>()
  for (const [, i, low, high] of assembly.matchAll(/#claim (\d+) (-?\d+) (-?\d+)/g)) {
    found.set(Number(i), (BigInt(high ?? '') << 32n) | BigInt.asUintN(32, BigInt(low ?? '')))
  }
  return found
}

function check(claims: readonly Claim[], width: Width): void {
  const found = ask(claims, width)
  claims.forEach(({ name, value }, i) => {
    assert.equal(BigInt.asUintN(64, found.get(i) ?? -1n), BigInt.asUintN(64, value), name)
  })
}

const hasHeaders = existsSync('/usr/include/xen/xen.h') && existsSync('/usr/bin/gcc')
const options = hasHeaders ? {} : { skip: 'libxen-dev or gcc is not installed' }

test('every number is that of the header', options, () => {
  const claims = numberClaims()
  assert.ok(claims.length > 300)
  check(claims, 64)
})

test('every layout is that of the header for 64-bit guests', options, () => {
  check(layoutClaims(64), 64)
})

test('every layout is that of the header for 32-bit guests', options, () => {
  check(layoutClaims(32), 32)
})

test('a long is a bigint in both widths, and cut to 32 bits where it has to be', () => {
  const values = { domid: 1, size: 2, space: 3, idx: 0x1_0000_0005n, gpfn: 6n }
  const narrow = memory.xen_add_to_physmap.encode(32, values)
  assert.equal(narrow.length, 16)
  assert.deepEqual(memory.xen_add_to_physmap.decode(32, narrow), { ...values, idx: 5n })
  const wide = memory.xen_add_to_physmap.encode(64, values)
  assert.equal(wide.length, 24)
  assert.deepEqual(memory.xen_add_to_physmap.decode(64, wide), values)
})

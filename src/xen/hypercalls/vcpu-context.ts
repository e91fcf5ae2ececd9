// The state that VCPUOP_initialise gives a processor (public/hvm/hvm_vcpu.h), read and checked as
// far as the processor itself does not: the rules for segments are those of a VM entry.

import { XEN_EFAULT, XEN_EINVAL } from '../abi/errno.ts'
import {
  VCPU_HVM_MODE_32B,
  VCPU_HVM_MODE_64B,
  vcpu_hvm_context,
  vcpu_hvm_x86_32,
  vcpu_hvm_x86_64,
} from '../abi/hvm-vcpu.ts'
import type { GuestAccess } from '../guest-access.ts'
import type { VcpuContext } from '../processor.ts'

const ACCESSED = 1
const WRITABLE = 2
const CODE = 8
const SYSTEM_CLEAR = 0x10
const PRESENT = 0x80
const GRANULAR = 0x800
const BUSY_TSS = 0x8b

const FLAT = { base: 0, limit: 0xffffffff, attributes: 0xc93 }
const FLAT_CODE = { base: 0, limit: 0xffffffff, attributes: 0xa9b }
const TASK = { base: 0, limit: 0x67, attributes: BUSY_TSS }

/** The context at an address, or an error number. */
export function readVcpuContext(guest: GuestAccess, address: bigint): VcpuContext | number {
  const context = guest.read(vcpu_hvm_context, address)
  if (!context) return -XEN_EFAULT
  if (context.pad !== 0) return -XEN_EINVAL
  switch (context.mode) {
    case VCPU_HVM_MODE_32B:
      return read32(context.cpu_regs)
    case VCPU_HVM_MODE_64B:
      return read64(context.cpu_regs)
    default:
      return -XEN_EINVAL
  }
}

function read32(bytes: Uint8Array): VcpuContext | number {
  // The structure has no pointers or longs: one layout for both widths of caller, Xen's own.
  const r = vcpu_hvm_x86_32.decode(64, bytes)
  if (r.pad1 !== 0 || r.pad2.some((word) => word !== 0)) return -XEN_EINVAL
  const segments = {
    cs: { base: r.cs_base, limit: r.cs_limit, attributes: r.cs_ar },
    ds: { base: r.ds_base, limit: r.ds_limit, attributes: r.ds_ar },
    ss: { base: r.ss_base, limit: r.ss_limit, attributes: r.ss_ar },
    es: { base: r.es_base, limit: r.es_limit, attributes: r.es_ar },
    tr: { base: r.tr_base, limit: r.tr_limit, attributes: r.tr_ar },
  }
  const { cs, ds, ss, es, tr } = segments
  // A context without a TSS gets one.
  if (tr.limit === 0 && tr.attributes === 0) segments.tr = TASK
  else if ((tr.attributes & 0x9f) !== BUSY_TSS) return -XEN_EINVAL
  if (!isSegment(cs) || !(cs.attributes & CODE) || !(cs.attributes & PRESENT)) return -XEN_EINVAL
  if (!isSegment(ss) || !(ss.attributes & WRITABLE) || ss.attributes & CODE) return -XEN_EINVAL
  for (const data of [ds, es]) {
    const isUnused = data.attributes === 0
    if (!isUnused && !isSegment(data)) return -XEN_EINVAL
  }
  return {
    is64: false,
    registers: [r.eax, r.ecx, r.edx, r.ebx, r.esp, r.ebp, r.esi, r.edi].map(BigInt),
    rip: BigInt(r.eip),
    rflags: BigInt(r.eflags),
    cr0: BigInt(r.cr0),
    cr3: BigInt(r.cr3),
    cr4: BigInt(r.cr4),
    efer: r.efer,
    segments,
  }
}

/** A code or data segment that has been loaded: its limit agrees with its granularity. */
function isSegment({ limit, attributes }: { limit: number; attributes: number }): boolean {
  if (!(attributes & SYSTEM_CLEAR) || !(attributes & ACCESSED)) return false
  if (attributes & GRANULAR) return (limit & 0xfff) === 0xfff
  return limit <= 0xfffff
}

function read64(bytes: Uint8Array): VcpuContext {
  const r = vcpu_hvm_x86_64.decode(64, bytes)
  return {
    is64: true,
    registers: [r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi],
    rip: r.rip,
    rflags: r.rflags,
    cr0: r.cr0,
    cr3: r.cr3,
    cr4: r.cr4,
    efer: r.efer,
    segments: { cs: FLAT_CODE, ds: FLAT, ss: FLAT, es: FLAT, tr: TASK },
  }
}

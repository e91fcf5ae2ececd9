// The CPUID leaves by which a guest knows Xen (public/arch-x86/cpuid.h): 0x40000000 and the five
// after it. The rest of 0x4000xxxx reads as zero, quickly: Linux scans it in 256 steps.

import { pvclockScale, type Tsc } from '../machine/tsc.ts'
import {
  XEN_CPUID_FIRST_LEAF,
  XEN_CPUID_MAX_NUM_LEAVES,
  XEN_CPUID_SIGNATURE_EBX,
  XEN_CPUID_SIGNATURE_ECX,
  XEN_CPUID_SIGNATURE_EDX,
  XEN_HVM_CPUID_DOMID_PRESENT,
  XEN_HVM_CPUID_IOMMU_MAPPINGS,
  XEN_HVM_CPUID_UPCALL_VECTOR,
  XEN_HVM_CPUID_VCPU_ID_PRESENT,
} from './abi/cpuid.ts'
import { MSR_HYPERCALL_PAGE } from './hypercall-page.ts'
import { XEN_VERSION } from './version.ts'

/** The four registers that CPUID fills. */
export interface CpuidRegisters {
  readonly eax: number
  readonly ebx: number
  readonly ecx: number
  readonly edx: number
}

/** All four registers zero. */
export const CPUID_ZERO: CpuidRegisters = { eax: 0, ebx: 0, ecx: 0, edx: 0 }

const HOST_TSC_IS_RELIABLE = 2
const RDTSCP = 4

/** Is the leaf one that a hypervisor answers. */
export function isHypervisorLeaf(leaf: number): boolean {
  return leaf >>> 16 === 0x4000
}

/** What Xen answers to a leaf of 0x4000xxxx in a PVH domain. */
export function xenCpuid(
  leaf: number,
  subleaf: number,
  guest: { readonly domid: number; readonly vcpu: number; readonly tsc: Tsc },
): CpuidRegisters {
  switch (leaf - XEN_CPUID_FIRST_LEAF) {
    case 0:
      return {
        eax: XEN_CPUID_FIRST_LEAF + XEN_CPUID_MAX_NUM_LEAVES,
        ebx: XEN_CPUID_SIGNATURE_EBX,
        ecx: XEN_CPUID_SIGNATURE_ECX,
        edx: XEN_CPUID_SIGNATURE_EDX,
      }
    case 1:
      return { ...CPUID_ZERO, eax: XEN_VERSION }
    case 2:
      return { ...CPUID_ZERO, eax: 1, ebx: MSR_HYPERCALL_PAGE }
    case 3:
      return timeLeaf(subleaf, guest.tsc)
    case 4:
      return {
        eax:
          XEN_HVM_CPUID_IOMMU_MAPPINGS |
          XEN_HVM_CPUID_VCPU_ID_PRESENT |
          XEN_HVM_CPUID_DOMID_PRESENT |
          XEN_HVM_CPUID_UPCALL_VECTOR,
        ebx: guest.vcpu,
        ecx: guest.domid,
        edx: 0,
      }
    default:
      return CPUID_ZERO
  }
}

function timeLeaf(subleaf: number, tsc: Tsc): CpuidRegisters {
  switch (subleaf) {
    case 0:
      return { eax: HOST_TSC_IS_RELIABLE | RDTSCP, ebx: 0, ecx: tsc.khz, edx: 0 }
    case 1: {
      const { tscToSystemMul, tscShift } = pvclockScale(tsc.khz)
      const offset = tsc.offset
      return {
        eax: Number(offset & 0xffffffffn),
        ebx: Number(offset >> 32n),
        ecx: tscToSystemMul,
        edx: tscShift >>> 0,
      }
    }
    case 2:
      return { ...CPUID_ZERO, eax: tsc.khz }
    default:
      return CPUID_ZERO
  }
}

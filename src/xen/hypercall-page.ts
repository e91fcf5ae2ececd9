// The hypercall page: 128 entries of 32 bytes, each of which calls the hypercall of its number.
// A guest asks for it by writing a guest-physical address to an MSR that CPUID names.

import { __HYPERVISOR_iret } from './abi/xen.ts'

/** The MSR that takes the address; base + 2 of the Xen leaves of CPUID names it. */
export const MSR_HYPERCALL_PAGE = 0x40000000

const PAGE = 4096
const ENTRY = 32
/** What lies between the entries: INT3. */
const FILLER = 0xcc

/** The contents of the page, with VMMCALL for a processor of AMD or Hygon and VMCALL for others. */
export function hypercallPage(isAmd: boolean): Uint8Array {
  const page = new Uint8Array(PAGE).fill(FILLER)
  for (let i = 0; i < PAGE / ENTRY; i++) {
    // No iret for a guest that has the real one: UD2.
    const code =
      i === __HYPERVISOR_iret
        ? [0x0f, 0x0b]
        : [0xb8, i, 0, 0, 0, 0x0f, 0x01, isAmd ? 0xd9 : 0xc1, 0xc3]
    page.set(code, i * ENTRY)
  }
  return page
}

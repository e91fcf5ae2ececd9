// Virtual-8086 mode: segments as real mode has them, at privilege level 3. It is entered by IRET
// and by a task switch, and left by any event. (SDM vol. 3A, chapter 21.) Left out: the
// virtual-mode extensions (CR4.VME), which CPUID does not announce.

import type { Cpu } from '../cpu.ts'
import * as S from '../state.ts'
import {
  ATTR_ACCESSED,
  ATTR_CODE,
  ATTR_DPL,
  ATTR_P,
  ATTR_READABLE,
  ATTR_S,
  ATTR_WRITABLE,
} from './current-mode.ts'
import { setSegment } from './segment-access.ts'

const VM_DATA = ATTR_P | ATTR_S | ATTR_WRITABLE | ATTR_ACCESSED | ATTR_DPL
const VM_CODE = ATTR_P | ATTR_S | ATTR_CODE | ATTR_READABLE | ATTR_ACCESSED | ATTR_DPL

/** Loads a segment register in virtual-8086 mode. */
export function loadVmSegment(cpu: Cpu, segment: number, selector: number): void {
  const attributes = segment === S.CS ? VM_CODE : VM_DATA
  setSegment(cpu, segment, selector, BigInt(selector * 16), 0xffff, attributes)
}

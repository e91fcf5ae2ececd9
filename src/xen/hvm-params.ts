// The parameters of an HVM or PVH domain (public/hvm/params.h): which of them the guest itself may
// read and write, as in Xen 4.17, and the one that Xen acts upon, the event callback.

import { invariant } from '../base/errors.ts'
import { SHUTDOWN_reboot } from './abi/sched.ts'
import {
  HVM_NR_PARAMS,
  HVM_PARAM_ACPI_IOPORTS_LOCATION,
  HVM_PARAM_ALTP2M,
  HVM_PARAM_CALLBACK_IRQ,
  HVM_PARAM_CALLBACK_TYPE_VECTOR,
  HVM_PARAM_CONSOLE_EVTCHN,
  HVM_PARAM_CONSOLE_PFN,
  HVM_PARAM_STORE_EVTCHN,
  HVM_PARAM_STORE_PFN,
  HVM_PARAM_TRIPLE_FAULT_REASON,
  HVM_PARAM_VM86_TSS,
  HVM_PARAM_VM86_TSS_SIZED,
  HVM_PARAM_VM_GENERATION_ID_ADDR,
  HVM_PARAM_X87_FIP_WIDTH,
} from './abi/hvm-params.ts'

const GUEST_MAY_SET: ReadonlySet<number> = new Set([
  HVM_PARAM_CALLBACK_IRQ,
  HVM_PARAM_VM86_TSS,
  HVM_PARAM_VM86_TSS_SIZED,
  HVM_PARAM_ACPI_IOPORTS_LOCATION,
  HVM_PARAM_VM_GENERATION_ID_ADDR,
  HVM_PARAM_STORE_EVTCHN,
  HVM_PARAM_CONSOLE_EVTCHN,
  HVM_PARAM_X87_FIP_WIDTH,
])

const GUEST_MAY_GET: ReadonlySet<number> = new Set([
  ...GUEST_MAY_SET,
  HVM_PARAM_STORE_PFN,
  HVM_PARAM_CONSOLE_PFN,
  HVM_PARAM_ALTP2M,
])

/** The plain form of {@link HvmParams}. */
export interface HvmParamsState {
  readonly version: 1
  readonly values: readonly bigint[]
}

export class HvmParams {
  /** The vector injected when events are pending (CALLBACK_IRQ of type 2); 0 for none. */
  callbackVector = 0
  #values: bigint[] = new Array<bigint>(HVM_NR_PARAMS).fill(0n)

  constructor() {
    this.#values[HVM_PARAM_TRIPLE_FAULT_REASON] = BigInt(SHUTDOWN_reboot)
  }

  /** Does Xen know a parameter of that number. */
  static isKnown(index: number): boolean {
    return index >= 0 && index < HVM_NR_PARAMS
  }

  static mayGuestSet(index: number): boolean {
    return GUEST_MAY_SET.has(index)
  }

  static mayGuestGet(index: number): boolean {
    return GUEST_MAY_GET.has(index)
  }

  /** The value of a known parameter; for the toolstack as well. */
  get(index: number): bigint {
    const value = this.#values[index]
    invariant(value !== undefined, `there is no HVM parameter ${index}`)
    return value
  }

  set(index: number, value: bigint): void {
    invariant(HvmParams.isKnown(index), `there is no HVM parameter ${index}`)
    this.#values[index] = BigInt.asUintN(64, value)
    if (index === HVM_PARAM_CALLBACK_IRQ) this.#takeCallback()
  }

  save(): HvmParamsState {
    return { version: 1, values: [...this.#values] }
  }

  restore(state: HvmParamsState): void {
    invariant(state.version === 1, `HVM parameters of version ${state.version} are not known`)
    this.#values = [...state.values]
    this.#takeCallback()
  }

  /** The vector is asked for at every look for interrupts: it is worked out only here. */
  #takeCallback(): void {
    const value = this.get(HVM_PARAM_CALLBACK_IRQ)
    const isVector = value >> 56n === BigInt(HVM_PARAM_CALLBACK_TYPE_VECTOR)
    this.callbackVector = isVector ? Number(value & 0xffn) : 0
  }
}

// The DSDT of a PVH guest: its processors, and nothing else. Xen's has methods for CPU hotplug
// besides, which read registers of a device model that such a guest does not have.

import { device, integer, name, processor, scope, string } from './aml.ts'

/** Where Xen says the processors' power state ports are; nobody answers there. */
const PROCESSOR_PORTS = { address: 0xb010, length: 6 }

/** The byte of a Processor object holds IDs up to 254; higher ones are Device objects. */
const LAST_PROCESSOR_ID = 254

/** The AML of the DSDT, without the table's header. */
export function dsdtBody(vcpus: number): Uint8Array {
  const terms: number[] = []
  for (let id = 0; id < vcpus; id++) terms.push(...processorObject(id))
  return Uint8Array.from(scope('_SB_', terms))
}

function processorObject(id: number): number[] {
  const hex = id.toString(16).toUpperCase()
  const terms = [...name('_HID', string('ACPI0007')), ...name('_UID', integer(id))]
  if (id > LAST_PROCESSOR_ID) return device(`P${hex.padStart(3, '0')}`, terms)
  return processor(`PR${hex.padStart(2, '0')}`, id, PROCESSOR_PORTS, terms)
}

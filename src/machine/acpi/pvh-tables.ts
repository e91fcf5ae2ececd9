// The ACPI tables of a PVH guest, at the addresses and with the values of Xen 4.17's toolstack
// (observed of xl with 1 and 2 vCPUs). What they tell the guest: there are only processors with
// local APICs; no VGA, no keyboard controller, no CMOS clock, no PM timer, no I/O APIC.
//
// Left out: the RSDT of ACPI 1.0 (the XSDT replaces it), the methods for CPU hotplug, and the
// page that those methods read, which stays zero.

import { invariant } from '../../base/errors.ts'
import { dsdtBody } from './dsdt.ts'
import {
  FACS,
  FADT_BODY,
  GENERIC_ADDRESS,
  MADT_BODY,
  MADT_LOCAL_APIC,
  MADT_LOCAL_X2APIC,
  RSDP,
} from './layouts.ts'
import { ascii, checksum, OEM_ID, table } from './table.ts'

/** Start of the region: the page that Xen keeps for its own AML. */
export const ACPI_REGION = 0xfc000000
const TABLES = 0xfc001000
/** The RSDP follows the seven pages that the tables fill on Xen. */
export const ACPI_RSDP = 0xfc008000
const RSDP_AREA_BYTES = 64

const PM1A_EVT_BLK = 0xb000
const PM1A_CNT_BLK = 0xb004
const GPE0_BLK = 0xafe0
const LOCAL_APIC_ADDRESS = 0xfee00000

// FADT: WBINVD works, C1 exists, no fixed power and sleep buttons, no fixed RTC alarm, a 32-bit PM
// timer value, the platform clock is the one to use. (ACPI 5.0, table 5-35)
const FADT_FLAGS = 0x8175
// FADT, IA-PC boot architecture: no VGA, no CMOS RTC; neither legacy devices nor an 8042.
const BOOT_ARCH_NO_VGA_NO_CMOS_RTC = 0x24
const SPACE_IO = 1
const PCAT_COMPAT = 1
const APIC_ENABLED = 1
const LAST_XAPIC_ID = 254

/** Bytes, and the guest-physical address they belong at. */
export interface PlacedBytes {
  readonly address: number
  readonly bytes: Uint8Array
}

/** The tables of a guest. */
export interface AcpiTables {
  /** What to write into the guest's memory; between the pieces there are zeros. */
  readonly pieces: readonly PlacedBytes[]
  /** The address to give the guest in hvm_start_info.rsdp_paddr. */
  readonly rsdp: number
  /** The range to show in the memory map as ACPI data; whole pages of it need memory. */
  readonly region: { readonly address: number; readonly bytes: number }
}

export interface PvhAcpiOptions {
  /** vCPUs that the guest may have. */
  readonly vcpus: number
  /** Which of them are online at the start; all, if not given. */
  readonly isOnline?: (vcpu: number) => boolean
  /** APIC ID of a vCPU; twice its number, if not given. */
  readonly apicId?: (vcpu: number) => number
}

/** Builds the tables. */
export function pvhAcpiTables(options: PvhAcpiOptions): AcpiTables {
  const pieces: PlacedBytes[] = []
  let next = TABLES
  const place = (bytes: Uint8Array, align = 16): number => {
    const address = Math.ceil(next / align) * align
    next = address + bytes.length
    invariant(next <= ACPI_RSDP, `the ACPI tables of ${options.vcpus} vCPUs do not fit`)
    pieces.push({ address, bytes })
    return address
  }
  const facs = place(FACS.encode({ signature: ascii('FACS'), length: FACS.size, version: 1 }), 64)
  const dsdt = place(table('DSDT', 2, dsdtBody(options.vcpus)))
  const fadt = place(table('FACP', 5, fadtBody(facs, dsdt)))
  const madt = place(table('APIC', 2, madtBody(options)))
  const xsdt = place(table('XSDT', 1, addresses([fadt, madt])))
  pieces.push({ address: ACPI_RSDP, bytes: rsdp(xsdt) })
  const bytes = ACPI_RSDP + RSDP_AREA_BYTES - ACPI_REGION
  return { pieces, rsdp: ACPI_RSDP, region: { address: ACPI_REGION, bytes } }
}

function fadtBody(facs: number, dsdt: number): Uint8Array {
  return FADT_BODY.encode({
    firmwareCtrl: facs,
    dsdt,
    xFirmwareCtrl: BigInt(facs),
    xDsdt: BigInt(dsdt),
    sciInt: 9,
    pm1aEvtBlk: PM1A_EVT_BLK,
    pm1EvtLen: 4,
    pm1aCntBlk: PM1A_CNT_BLK,
    pm1CntLen: 2,
    gpe0Blk: GPE0_BLK,
    gpe0BlkLen: 4,
    // Latencies above 100 and 1000 us: neither C2 nor C3 exists.
    pLvl2Lat: 0xfff,
    pLvl3Lat: 0xfff,
    iapcBootArch: BOOT_ARCH_NO_VGA_NO_CMOS_RTC,
    flags: FADT_FLAGS,
    resetReg: port(0xcf9, 8),
    resetValue: 6,
    xPm1aEvtBlk: port(PM1A_EVT_BLK, 32),
    xPm1aCntBlk: port(PM1A_CNT_BLK, 16),
  })
}

function port(address: number, bitWidth: number): Uint8Array {
  return GENERIC_ADDRESS.encode({ space: SPACE_IO, bitWidth, address: BigInt(address) })
}

function madtBody({
  vcpus,
  isOnline = () => true,
  apicId = (n) => 2 * n,
}: PvhAcpiOptions): number[] {
  const head = MADT_BODY.encode({ localApicAddress: LOCAL_APIC_ADDRESS, flags: PCAT_COMPAT })
  const body = [...head]
  for (let vcpu = 0; vcpu < vcpus; vcpu++) {
    body.push(...madtEntry(vcpu, apicId(vcpu), isOnline(vcpu) ? APIC_ENABLED : 0))
  }
  return body
}

function madtEntry(vcpu: number, apicId: number, flags: number): Uint8Array {
  if (apicId > LAST_XAPIC_ID) {
    const length = MADT_LOCAL_X2APIC.size
    return MADT_LOCAL_X2APIC.encode({ type: 9, length, apicId, flags, processorUid: vcpu })
  }
  const length = MADT_LOCAL_APIC.size
  return MADT_LOCAL_APIC.encode({ type: 0, length, processorId: vcpu, apicId, flags })
}

function addresses(tables: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(8 * tables.length)
  const view = new DataView(bytes.buffer)
  for (const [i, address] of tables.entries()) view.setBigUint64(8 * i, BigInt(address), true)
  return bytes
}

function rsdp(xsdt: number): Uint8Array {
  const bytes = RSDP.encode({
    signature: ascii('RSD PTR '),
    oemId: OEM_ID,
    revision: 2,
    length: RSDP.size,
    xsdtAddress: BigInt(xsdt),
  })
  // The first checksum covers what ACPI 1.0 knew, the second everything, the first one included.
  bytes[RSDP.offsetOf('checksum')] = checksum(bytes.subarray(0, RSDP.offsetOf('length')))
  bytes[RSDP.offsetOf('extendedChecksum')] = checksum(bytes)
  return bytes
}

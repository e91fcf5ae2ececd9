// The structures of ACPI that a PVH guest is given, as layouts. (ACPI 5.0: RSDP 5.2.5.3, header
// 5.2.6, FADT 5.2.9, FACS 5.2.10, MADT 5.2.12.) All of them are packed.

import { Layout } from '../../base/layout.ts'

const PACKED = { packed: true }

export const RSDP = new Layout(
  'RSDP',
  {
    signature: { bytes: 8 },
    checksum: 'u8',
    oemId: { bytes: 6 },
    revision: 'u8',
    rsdtAddress: 'u32',
    length: 'u32',
    xsdtAddress: 'u64',
    extendedChecksum: 'u8',
    reserved: { bytes: 3 },
  },
  PACKED,
)

export const TABLE_HEADER = new Layout(
  'table header',
  {
    signature: { bytes: 4 },
    length: 'u32',
    revision: 'u8',
    checksum: 'u8',
    oemId: { bytes: 6 },
    oemTableId: { bytes: 8 },
    oemRevision: 'u32',
    creatorId: { bytes: 4 },
    creatorRevision: 'u32',
  },
  PACKED,
)

/** A register's place: address space, width and offset in bits, access size, address. */
export const GENERIC_ADDRESS = new Layout(
  'generic address',
  { space: 'u8', bitWidth: 'u8', bitOffset: 'u8', accessSize: 'u8', address: 'u64' },
  PACKED,
)

const REGISTER = { bytes: GENERIC_ADDRESS.size } as const

/** What follows the header in a FADT of revision 5. */
export const FADT_BODY = new Layout(
  'FADT',
  {
    firmwareCtrl: 'u32',
    dsdt: 'u32',
    reserved: 'u8',
    preferredPmProfile: 'u8',
    sciInt: 'u16',
    smiCmd: 'u32',
    acpiEnable: 'u8',
    acpiDisable: 'u8',
    s4BiosReq: 'u8',
    pstateCnt: 'u8',
    pm1aEvtBlk: 'u32',
    pm1bEvtBlk: 'u32',
    pm1aCntBlk: 'u32',
    pm1bCntBlk: 'u32',
    pm2CntBlk: 'u32',
    pmTmrBlk: 'u32',
    gpe0Blk: 'u32',
    gpe1Blk: 'u32',
    pm1EvtLen: 'u8',
    pm1CntLen: 'u8',
    pm2CntLen: 'u8',
    pmTmrLen: 'u8',
    gpe0BlkLen: 'u8',
    gpe1BlkLen: 'u8',
    gpe1Base: 'u8',
    cstCnt: 'u8',
    pLvl2Lat: 'u16',
    pLvl3Lat: 'u16',
    flushSize: 'u16',
    flushStride: 'u16',
    dutyOffset: 'u8',
    dutyWidth: 'u8',
    dayAlrm: 'u8',
    monAlrm: 'u8',
    century: 'u8',
    iapcBootArch: 'u16',
    reserved1: 'u8',
    flags: 'u32',
    resetReg: REGISTER,
    resetValue: 'u8',
    armBootArch: 'u16',
    minorVersion: 'u8',
    xFirmwareCtrl: 'u64',
    xDsdt: 'u64',
    xPm1aEvtBlk: REGISTER,
    xPm1bEvtBlk: REGISTER,
    xPm1aCntBlk: REGISTER,
    xPm1bCntBlk: REGISTER,
    xPm2CntBlk: REGISTER,
    xPmTmrBlk: REGISTER,
    xGpe0Blk: REGISTER,
    xGpe1Blk: REGISTER,
    sleepControl: REGISTER,
    sleepStatus: REGISTER,
  },
  PACKED,
)

export const FACS = new Layout(
  'FACS',
  {
    signature: { bytes: 4 },
    length: 'u32',
    hardwareSignature: 'u32',
    firmwareWakingVector: 'u32',
    globalLock: 'u32',
    flags: 'u32',
    xFirmwareWakingVector: 'u64',
    version: 'u8',
    reserved: { bytes: 31 },
  },
  PACKED,
)

/** What follows the header in a MADT, before its entries. */
export const MADT_BODY = new Layout('MADT', { localApicAddress: 'u32', flags: 'u32' }, PACKED)

/** MADT entry 0. */
export const MADT_LOCAL_APIC = new Layout(
  'MADT local APIC',
  { type: 'u8', length: 'u8', processorId: 'u8', apicId: 'u8', flags: 'u32' },
  PACKED,
)

/** MADT entry 9, for APIC IDs from 255. */
export const MADT_LOCAL_X2APIC = new Layout(
  'MADT local x2APIC',
  {
    type: 'u8',
    length: 'u8',
    reserved: 'u16',
    apicId: 'u32',
    flags: 'u32',
    processorUid: 'u32',
  },
  PACKED,
)

// Areas of guest memory of up to a page that one instruction reads or writes as a whole (FXSAVE,
// XSAVE): copied through one buffer, with all faults before the first byte is written.

import type { Cpu } from '../cpu.ts'
import { ACCESS_READ, ACCESS_WRITE } from '../mmu/walker.ts'
import * as S from '../state.ts'

const PAGE = 4096
const BOUNCE_SIZE = 64

/** The buffer; instructions run one at a time. */
const buffer = new Uint8Array(PAGE)

/** The buffer's contents as 32-bit words, and as bytes. */
export const areaWords = new Int32Array(buffer.buffer)
export const areaBytes = buffer
export const areaView = new DataView(buffer.buffer)

/** Reads `size` bytes at `linear` into the buffer, from its byte `at` on. Throws GuestFault. */
export function loadArea(cpu: Cpu, linear: bigint, size: number, at = 0): void {
  const first = firstPiece(linear, size)
  loadPiece(cpu, linear, first, at)
  if (first < size) loadPiece(cpu, linear + BigInt(first), size - first, at + first)
}

function loadPiece(cpu: Cpu, linear: bigint, size: number, at: number): void {
  const { u8 } = cpu.engine.memory
  const from = cpu.linear.translate(low(linear), high(linear), ACCESS_READ, cpu.privilege)
  if (from >= 0) {
    buffer.set(u8.subarray(from, from + size), at)
    return
  }
  const bounce = cpu.state + S.BOUNCE
  for (let done = 0; done < size; done += BOUNCE_SIZE) {
    const piece = Math.min(size - done, BOUNCE_SIZE)
    const here = linear + BigInt(done)
    cpu.linear.readTo(low(here), high(here), piece, bounce, cpu.privilege)
    buffer.set(u8.subarray(bounce, bounce + piece), at + done)
  }
}

/** Checks that `size` bytes at `linear` may be written. Throws GuestFault. */
export function probeArea(cpu: Cpu, linear: bigint, size: number): void {
  const first = firstPiece(linear, size)
  cpu.linear.translate(low(linear), high(linear), ACCESS_WRITE, cpu.privilege)
  if (first === size) return
  const next = linear + BigInt(first)
  cpu.linear.translate(low(next), high(next), ACCESS_WRITE, cpu.privilege)
}

/** Writes `size` bytes of the buffer, from its byte `at` on, to `linear`. Throws GuestFault. */
export function storeArea(cpu: Cpu, linear: bigint, size: number, at = 0): void {
  probeArea(cpu, linear, size)
  const first = firstPiece(linear, size)
  storePiece(cpu, linear, first, at)
  if (first < size) storePiece(cpu, linear + BigInt(first), size - first, at + first)
}

function storePiece(cpu: Cpu, linear: bigint, size: number, at: number): void {
  const { u8 } = cpu.engine.memory
  const to = cpu.linear.translate(low(linear), high(linear), ACCESS_WRITE, cpu.privilege)
  if (to >= 0) {
    u8.set(buffer.subarray(at, at + size), to)
    cpu.engine.written(to, size)
    return
  }
  const bounce = cpu.state + S.BOUNCE
  for (let done = 0; done < size; done += BOUNCE_SIZE) {
    const piece = Math.min(size - done, BOUNCE_SIZE)
    const here = linear + BigInt(done)
    u8.set(buffer.subarray(at + done, at + done + piece), bounce)
    cpu.linear.writeFrom(low(here), high(here), piece, bounce, cpu.privilege)
  }
}

function firstPiece(linear: bigint, size: number): number {
  return Math.min(size, PAGE - (low(linear) & (PAGE - 1)))
}

function low(linear: bigint): number {
  return Number(BigInt.asIntN(32, linear))
}

function high(linear: bigint): number {
  return Number(BigInt.asIntN(32, linear >> 32n))
}

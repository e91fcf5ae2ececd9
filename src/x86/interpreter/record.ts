// A record is a decoded instruction in linear memory, 32 bytes, executed by the handler whose
// table index it starts with. The records of a block lie one after another.
//
//   +0  u32 handler             +8  u8 ModRM.reg register     +16 i64 immediate, or branch target
//   +4  u16 end, page offset    +9  u8 ModRM.rm register          relative to the rip base
//   +6  u8  length              +10 u8 base register          +24 i32 displacement
//   +7  u8  left                +11 u8 index register         +28 i32 second immediate, or link
//                               +12 u8 scale  +13 u8 segment base  +14 u8 segment
//                               +15 u8 ModRM byte          +28 u8 register in VEX.vvvv
//
// Registers, bases and segment bases are byte offsets in the state block where they are general
// ones, numbers otherwise. `left` counts the instructions from this one to the end of the block:
// the first record's is what a run of the block takes from the budget, and whoever leaves early
// gives the rest back. `end` is relative to the page on which the block starts, and so may pass
// 4096. A link is the first record of a branch target on the same page, 0 before it is known, 1 for
// a target that goes on in the next page and cannot be linked.

import type { HostMemory } from '../memory/host-memory.ts'

/** Memory that records lie in. */
export type RecordMemory = Pick<HostMemory, 'u8' | 'u16' | 'u32' | 'i32' | 'view'>

export const RECORD_SIZE = 32
export const REC_HANDLER = 0
export const REC_END = 4
export const REC_LENGTH = 6
export const REC_LEFT = 7
export const REC_REG = 8
export const REC_RM = 9
export const REC_BASE = 10
export const REC_INDEX = 11
export const REC_SCALE = 12
export const REC_SEGMENT_BASE = 13
export const REC_SEGMENT = 14
export const REC_MODRM = 15
export const REC_IMMEDIATE = 16
export const REC_DISPLACEMENT = 24
export const REC_LINK = 28
/** In place of a link: the target goes on in the next page, and is looked up each time. */
export const LINK_CROSSING = 1
export const REC_SECOND_IMMEDIATE = 28
export const REC_VVVV = 28

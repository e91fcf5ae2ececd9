// The state block of a virtual processor: where each register lies, as byte offsets from the
// block's start. WebAssembly code reaches it through its `cpu` parameter, TypeScript through the
// accessors of Cpu. What decoded instructions name in one byte (general registers, RIP's page,
// the constant zero, segment bases) lies in the first 256 bytes.
//
//   000 general registers, 16 × 8          080 rip base, zero        090 segment bases, 8 × 8
//   0d0 flags                               0e0 run control           100 segments, 8 × 32
//   200 control, debug, MSRs                400 vectors, 32 × 64      c00 masks, 8 × 8
//   c40 x87/MMX registers, 8 × 16           cc0 x87 and SSE control   d00 scratch

/** General registers in the order of their encodings: RAX RCX RDX RBX RSP RBP RSI RDI R8…R15. */
export const GPR = 0x00
export const RAX = 0
export const RCX = 1
export const RDX = 2
export const RBX = 3
export const RSP = 4
export const RBP = 5
export const RSI = 6
export const RDI = 7

/** RIP minus the page offset of the running block's linear address: offsets in records add to it. */
export const RIP_BASE = 0x80
/** Always zero: the base or index that an address does not have. */
export const ZERO = 0x88

/** Segments in the order of their encodings; LDTR and TR follow. */
export const ES = 0
export const CS = 1
export const SS = 2
export const DS = 3
export const FS = 4
export const GS = 5
export const LDTR = 6
export const TR = 7
/** Base addresses, 64 bits each, by segment. */
export const SEG_BASE = 0x90

/** The last result, sign-extended to 64 bits: ZF, SF and PF derive from it. */
export const FLAG_RESULT = 0xd0
/**
 * Carries: bit 31 = CF, bit 30 = CF ^ OF (the carry into the sign bit), bit 3 = AF. Corrections,
 * for flags that no one result can give together: bit 16 flips SF, bits 15:8 flip parity bits.
 */
export const FLAG_AUX = 0xd8
/** RFLAGS without CF PF AF ZF SF OF, which are kept zero here. */
export const RFLAGS = 0xdc

/** Instructions that may still run before run() returns. */
export const BUDGET = 0xe0
/** The TLB that loads and stores use now: depends on privilege and RFLAGS.AC. */
export const TLB_BASE = 0xe4
/** Distinguishes entries of the jump cache by mode and by generation of the mappings. */
export const JUMP_KEY = 0xe8
/** Another number each time that code may lie elsewhere; no two processors have the same. */
export const CODE_EPOCH = 0xec
/** The record at which it came back. */
export const EXIT_RECORD = 0xf0
export const CPL = 0xf4
/** Nonzero when the run loop has to look for interrupts once they are enabled. */
export const ATTENTION = 0xf8
/** Where the jump cache of this processor lies. */
export const JUMP_CACHE = 0xfc

/**
 * Per segment: selector, limit (bytes - 1, expanded), attributes as in a descriptor's high word,
 * and the highest offset that loads and stores reach without a closer look (-1: none).
 */
export const SEGMENT = 0x100
export const SEGMENT_SIZE = 32
export const SEG_SELECTOR = 0
export const SEG_LIMIT = 4
export const SEG_ATTRIBUTES = 8
export const SEG_READ_LIMIT = 16
export const SEG_WRITE_LIMIT = 24

export const RIP = 0x200
export const CR0 = 0x208
export const CR2 = 0x210
export const CR3 = 0x218
export const CR4 = 0x220
export const EFER = 0x228
export const XCR0 = 0x230
export const GDT_BASE = 0x238
export const GDT_LIMIT = 0x240
export const IDT_BASE = 0x248
export const IDT_LIMIT = 0x250
/** DR0…DR7, 64 bits each. */
export const DR = 0x258
export const FAULT_VECTOR = 0x298
export const FAULT_CODE = 0x29c
export const FAULT_ADDRESS = 0x2a0
/** Values that instructions pass to TypeScript and get back, 64 bits each. */
export const ARGUMENTS = 0x2a8
export const ARGUMENT_COUNT = 4
export const STAR = 0x2d0
export const LSTAR = 0x2d8
export const CSTAR = 0x2e0
export const SFMASK = 0x2e8
export const KERNEL_GS_BASE = 0x2f0
export const SYSENTER_CS = 0x2f8
export const SYSENTER_ESP = 0x300
export const SYSENTER_EIP = 0x308
export const TSC_AUX = 0x310
export const XSS = 0x318
/** RIP behind the last STI that enabled interrupts; the upper half is 0x80000000 for none. */
export const SHADOW_RIP = 0x320
/** What TLB_BASE is outside user mode, by RFLAGS.AC. */
export const TLB_WITHOUT_AC = 0x328
export const TLB_WITH_AC = 0x32c
/** The same for user mode with RFLAGS.AC clear. */
export const TLB_USER = 0x334
/** Elements that one execution of a repeated string instruction processes at most. */
export const REP_CHUNK = 0x330
/** State of the generator behind RDRAND and RDSEED. */
export const RANDOM = 0x338

/** Instructions that translated regions have executed, 64 bits. */
export const TRANSLATED = 0x340

/** Nonzero when emitted code has to come back behind the running instruction. */
export const KICKED = 0x348
/** Why WebAssembly code came back; one of the EXIT_ values. */
export const EXIT = 0x34c

/** RIP that a RET has to find to come back to the region that made the call; or NO_RETURN. */
export const RETURN_RIP = 0x350
/** Calls that regions may still make within each other. */
export const CALLS_LEFT = 0x358

/**
 * Nobody waits for a RET, or the one that was waited for has come. No call returns there; a RET that
 * goes there comes back to the run loop.
 */
export const NO_RETURN = -1n
/** A fifth of the stack that engines give has room for as many of the largest regions. */
export const MOST_CALLS = 32

/** Vector registers: 32 of 64 bytes (XMM in the lowest 16). */
export const VECTORS = 0x400
export const VECTOR_SIZE = 64
export const MASKS = 0xc00
/** Physical x87 registers R0…R7, 16 bytes each: significand (also MM0…MM7), sign and exponent. */
export const X87 = 0xc40
export const X87_SIZE = 16
export const FCW = 0xcc0
/** x87 status word, TOP included. */
export const FSW = 0xcc4
/** One bit for each physical register that is not empty (the abridged tag word of FXSAVE). */
export const FTW = 0xcc8
export const FOP = 0xccc
export const FIP = 0xcd0
export const FDP = 0xcd8
export const MXCSR = 0xce0
export const FCS = 0xce4
export const FDS = 0xce8

/** Where slow memory accesses put or find up to 64 bytes. */
export const BOUNCE = 0xd00

/** Bytes of a state block. */
export const STATE_SIZE = 0x1000

/** The budget or the time slice is used up; RIP is set. */
export const EXIT_BUDGET = 1
/** A fault; RIP is that of the instruction. */
export const EXIT_FAULT = 2
/** RIP is set and the run loop has to look around (interrupts, mode changes, host requests). */
export const EXIT_LOOK = 3
/** The block at EXIT_RECORD has been dropped; RIP has to be looked up again. */
export const EXIT_DEAD = 4
/** Before the record at EXIT_RECORD the run loop has to look around, as KICKED says. */
export const EXIT_KICKED = 5

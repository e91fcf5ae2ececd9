// Where everything lies in the machine that random programs run in. Linear addresses are the same
// in 64-bit and 32-bit mode (the supervisor's without their sign extension):
//
//   10000000 data: two pages to write, one to read, one missing (handlers may supply it)
//   10008000 the first data page again
//   10010000 stack, two pages, none around them
//   20000000 code, four pages that can be written
//   20010000 the same four pages again
//   c0100000 the supervisor's: all physical memory

export const DATA = 0x10000000
export const DATA_BYTES = 0x4000
export const DATA_AGAIN = DATA + 0x8000
export const STACK = DATA + 0x10000
export const STACK_BYTES = 0x2000
/** Where programs start with their stack pointer. */
export const STACK_START = STACK + 0x1400
export const CODE = 0x20000000
export const CODE_BYTES = 0x4000
/** The code pages again, this far above. */
export const AGAIN = 0x10000

/** What the supervisor's linear addresses add to physical ones, in 32-bit mode and in 64-bit mode. */
export const SUPERVISOR_32 = 0xc0100000
export const SUPERVISOR_64 = 0xffffffffc0100000n

// Physical addresses.
export const GDT = 0x1000
export const IDT = 0x2000
export const TASK = 0x3000
export const PML4 = 0x4000
export const PDPT = 0x5000
export const PD = 0x6000
export const PD_HIGH = 0x7000
export const PT_HIGH = 0x8000
export const PT_DATA = 0x9000
export const PT_CODE = 0xa000
/** The four entries that CR3 points to in 32-bit mode. */
export const PDPT_32 = 0xb000
/** 16 bytes for each vector, then what they share. */
export const HANDLERS = 0xc000
/** What handlers keep: see handlers.ts. */
export const LOG = 0xe000
/** Tops of the stacks of level 0 and of the interrupt stack table. */
export const LEVEL0_TOP = 0x10000
export const IST_TOP = 0x11000
export const STACK_FRAME = 0x12000
/** For each byte of code, as 16 bits: offset at which to go on when it faults. */
export const RESUME = 0x14000
export const DATA_FRAME = 0x1c000
export const CODE_FRAME = 0x20000
/** Other pages that may be mapped in place of the code. */
export const OTHER_FRAME = 0x24000
export const RAM_BYTES = 0x28000

/** Selectors. */
export const CODE64 = 0x08
export const DATA32 = 0x10
export const USER_CODE32 = 0x18 | 3
export const USER_DATA = 0x20 | 3
export const USER_CODE64 = 0x28 | 3
export const CODE32 = 0x30
export const TASK_SELECTOR = 0x40

/** The vector by which a program ends. */
export const END_VECTOR = 0xff
/** Writing to these ports asks for an interrupt, and for the end of the run. */
export const PORT_INTERRUPT = 0x30
export const PORT_EXIT = 0x31

// The x87 control and status words: where their fields lie. (SDM vol. 1, 8.1.3 and 8.1.5.)

/** Exception flags in the status word, masks in the control word: IE DE ZE OE UE PE. */
export const EXCEPTIONS = 0x3f
/** Status: the invalid operation was a stack overflow (C1 = 1) or underflow (C1 = 0). */
export const STACK_FAULT = 0x40
/** Status: ES, an unmasked exception is pending, and B, its copy. */
export const SUMMARY = 0x8080
/** Status: ES alone. */
export const ERROR_PENDING = 0x80
/** Status: condition codes. */
export const C0 = 0x0100
export const C1 = 0x0200
export const C2 = 0x0400
export const C3 = 0x4000
/** Status: number of the physical register that is ST(0). */
export const TOP = 0x3800
export const TOP_SHIFT = 11

/** Control: bits that can be set; bit 12 once chose between infinities and means nothing. */
export const CONTROL_MASK = 0x1f3f
/** Control: a bit that always reads 1. */
export const CONTROL_ONES = 0x40
/** Control: precision. */
export const PRECISION = 0x0300
/** Control: rounding; 0 is to nearest. */
export const ROUNDING = 0x0c00
export const ROUNDING_DOWN = 0x0400
export const ROUNDING_UP = 0x0800
/** Control word after FNINIT: all masked, 64 bits of precision, to nearest. */
export const CONTROL_INITIAL = 0x37f

/** The status word with ES and B as its flags and the masks of a control word ask for. */
export function summarize(status: number, control: number): number {
  const isPending = (status & ~control & EXCEPTIONS) !== 0
  return isPending ? status | SUMMARY : status & ~SUMMARY
}

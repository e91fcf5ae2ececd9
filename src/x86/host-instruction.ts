// Instructions, or parts of them, that are written in TypeScript instead of WebAssembly: what is
// rare and long (far transfers, descriptor loads, CPUID, XSAVE, x87 transcendentals).

import type { Cpu } from './cpu.ts'

/**
 * Runs in the middle of an instruction, before anything of it is committed. A fault is thrown as
 * a GuestFault. It returns true to leave for the run loop (RIP is then set by it).
 */
export type HostInstruction = (cpu: Cpu) => boolean | void

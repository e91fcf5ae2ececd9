// The exception handlers of random programs, for 64-bit and 32-bit mode: each entry is logged; then
// the cause is mended and the instruction tried again, or it is skipped by a table that says where
// to go on. Layout of the log:
//
//   +00 u32 entries so far    +04 u32 entries at which to stop    +08 u32 options
//   +0c u32 page faults       +10 linear address of the program's end
//   +40 64 entries of 32 bytes: vector u32, error or DR6 u32, RIP u64, flags u64, RSP u64

import { assemble } from '../x86/assemble.ts'
import * as L from './layout.ts'

/** Options: page faults in the data are mended; the stack pointer is set anew now and then. */
export const MENDS = 1
export const SETS_STACK = 2

const SOURCE_64 = `
  %define A rax
  %define B rbx
  %define C rcx
  %define D rdx
  %define WORD 8
  %define OVER
  %define IRET iretq
  %define BASE 0x${L.SUPERVISOR_64.toString(16)}
`
const SOURCE_32 = `
  %define A eax
  %define B ebx
  %define C ecx
  %define D edx
  %define WORD 4
  %define OVER ss:
  %define IRET iretd
  %define BASE 0x${L.SUPERVISOR_32.toString(16)}
`

const hex = (value: number) => `0x${value.toString(16)}`

const COMMON = `
  %macro stub 1
    align 16
    %if %1 != 8 && %1 != 17 && (%1 < 10 || %1 > 14)
      push 0
    %endif
    push dword %1
    jmp near entered
  %endmacro
  %assign v 0
  %rep 256
    stub v
    %assign v v + 1
  %endrep

  ; [A] [C] [D] [B] vector error RIP CS flags RSP SS, from the top
  %define ENTRY_VECTOR [OVER D + 4 * WORD]
  %define ENTRY_ERROR [OVER D + 5 * WORD]
  %define ENTRY_RIP [OVER D + 6 * WORD]
  %define ENTRY_CS [OVER D + 7 * WORD]
  %define ENTRY_FLAGS [OVER D + 8 * WORD]
  %define ENTRY_RSP [OVER D + 9 * WORD]
  align 16
entered:
  cld
  push B
  push D
  push C
  push A
  %if WORD == 8
    mov rdx, rsp
  %else
    mov edx, esp
  %endif
  cmp dword ENTRY_VECTOR, ${L.END_VECTOR}
  je near stop
  mov B, BASE + ${hex(L.LOG)}
  mov eax, [OVER B]
  inc eax
  mov [OVER B], eax
  cmp eax, [OVER B + 4]
  jae near stop
  and eax, 63
  shl eax, 5
  lea C, [B + A + 64]
  cmp dword ENTRY_VECTOR, 1
  jne .no_debug
  mov A, dr6
  mov ENTRY_ERROR, A
  xor eax, eax
  mov dr6, A
.no_debug:
  mov eax, ENTRY_VECTOR
  mov [OVER C], eax
  mov eax, ENTRY_ERROR
  mov [OVER C + 4], eax
  mov A, ENTRY_RIP
  mov [OVER C + 8], A
  mov A, ENTRY_FLAGS
  mov [OVER C + 16], A
  test dword ENTRY_CS, 3
  %if WORD == 4
    jz .same_stack
  %endif
  mov A, ENTRY_RSP
  mov [OVER C + 24], A
  test dword [OVER B + 8], ${SETS_STACK}
  jz .same_stack
  test dword [OVER B], 7
  jnz .same_stack
  mov eax, ${hex(L.STACK_START)}
  mov ENTRY_RSP, A
.same_stack:
  mov eax, ENTRY_VECTOR
  cmp eax, 32
  jae near leave
  cmp eax, 1
  je debug
  cmp eax, 2
  je near leave
  cmp eax, 3
  je near leave
  cmp eax, 4
  je near leave
  cmp eax, 7
  je device
  cmp eax, 14
  je page
  cmp eax, 16
  je x87
  cmp eax, 19
  je simd
skip:
  mov A, ENTRY_RIP
  mov ecx, ${hex(L.CODE)}
  sub A, C
  cmp A, ${2 * L.AGAIN}
  jae .outside
  and eax, 0xffff
  cmp eax, ${L.CODE_BYTES}
  jae .outside
  sub ENTRY_RIP, A
  mov B, BASE + ${hex(L.RESUME)}
  movzx eax, word [OVER B + A * 2]
  add ENTRY_RIP, A
  jmp leave
.outside:
  mov A, [OVER B + 16]
  mov ENTRY_RIP, A
  jmp leave
debug:
  or dword ENTRY_FLAGS, 0x10000
  test dword [OVER B], 7
  jnz leave
  and dword ENTRY_FLAGS, ~0x100
  jmp leave
device:
  clts
  jmp leave
x87:
  fnclex
  jmp leave
simd:
  push A
  %if WORD == 8
    stmxcsr [rsp]
    or dword [rsp], 0x1f80
    ldmxcsr [rsp]
  %else
    stmxcsr [esp]
    or dword [esp], 0x1f80
    ldmxcsr [esp]
  %endif
  pop A
  jmp leave
page:
  test dword [OVER B + 8], ${MENDS}
  jz skip
  inc dword [OVER B + 12]
  test dword [OVER B + 12], 3
  jnz .mend
  ; Now and then the second data page goes away.
  mov C, BASE + ${hex(L.PT_DATA)}
  and dword [OVER C + 8], ~1
  mov ecx, ${hex(L.DATA + 0x1000)}
  invlpg [OVER C]
.mend:
  mov A, cr2
  mov ecx, ${hex(L.DATA)}
  sub A, C
  cmp A, ${L.DATA_BYTES}
  jae skip
  add C, A
  shr eax, 12
  mov B, BASE + ${hex(L.PT_DATA)}
  lea B, [B + A * 8]
  mov eax, [OVER B]
  and eax, 7
  cmp eax, 7
  je skip_again
  or dword [OVER B], 7
  invlpg [OVER C]
  jmp leave
skip_again:
  mov B, BASE + ${hex(L.LOG)}
  jmp skip
leave:
  pop A
  pop C
  pop D
  pop B
  %if WORD == 8
    add rsp, 16
  %else
    add esp, 8
  %endif
  IRET
stop:
  cli
  hlt
  jmp stop
`

/** Machine code of the handlers, for physical address HANDLERS. */
export function handlers(bits: 32 | 64): Uint8Array {
  return assemble((bits === 64 ? SOURCE_64 : SOURCE_32) + COMMON, bits, 0)
}

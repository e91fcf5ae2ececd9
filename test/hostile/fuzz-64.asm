; Makes CALLS hypercalls with wild numbers and arguments, from SEED. Behind long-mode.asm.
; r12: state of the random numbers; rbp: calls left; the area at AREA is what pointers point into.

AREA equ 0x800000               ; 1 MiB, with nothing mapped behind MEMORY_END

; The next random number in rax (xorshift64*). Clobbers rcx.
random:
    mov rax, r12
    shr rax, 12
    xor r12, rax
    mov rax, r12
    shl rax, 25
    xor r12, rax
    mov rax, r12
    shr rax, 27
    xor r12, rax
    mov rax, 0x2545f4914f6cdd1d
    imul rax, r12
    ret

; A value that a hypercall may take for a number, a frame or a pointer, in rax. Clobbers rcx, rdx.
value:
    call random
    mov rdx, rax
    shr rdx, 40
    mov ecx, eax
    and ecx, 15
    jmp [kinds + rcx * 8]
kinds:
    dq .small, .small, .small, .small, .pointer, .pointer, .pointer, .page_end
    dq .nowhere, .noncanonical, .any, .domain, .frame, .order, .negative, .top
.small:
    and edx, 15
    mov eax, edx
    ret
.pointer:
    and edx, 0xfffff
    lea rax, [rdx + AREA]
    ret
.page_end:
    and edx, 0xff00f
    lea rax, [rdx + AREA + 0xff0]
    ret
.nowhere:
    and edx, 0xfffff
    lea rax, [rdx + 0x70000000]
    ret
.noncanonical:
    bts rdx, 47
    bts rdx, 62
    mov rax, rdx
    ret
.any:
    call random
    ret
.domain:
    and edx, 7
    lea eax, [rdx + 0x7fee]
    ret
.frame:
    and edx, 0x7ff
    lea eax, [rdx + 0x800]
    ret
.order:
    mov ecx, edx
    and ecx, 63
    mov eax, 1
    shl rax, cl
    dec rax                             ; not 0x100, where this code is
    ret
.negative:
    mov rax, rdx
    neg rax
    ret
.top:
    mov rax, -1
    and edx, 0xfff
    sub rax, rdx
    ret

main:
    mov r12, SEED
    mov rbp, CALLS
.loop:
    mov r15, .loop                      ; after an exception, all over
    mov rsp, STACK_TOP
    dec rbp
    jz power_off
    ; Wild words where the arguments will point.
    call value
    mov rsi, rax
    mov rbx, AREA + 0x4000
    call random
    and eax, 0xff0
    add rbx, rax
    mov r14d, 12
.words:
    call value
    mov [rbx], rax
    call value
    mov [rbx + 4], eax
    add rbx, 8
    dec r14d
    jnz .words
    sub rbx, 96
    call value
    mov r8, rax
    call value
    mov r10, rax
    call value
    mov r13, rax
    call value
    mov rdi, rax
    ; Three times in four the second argument points at the words.
    call random
    test eax, 3
    cmovnz rsi, rbx
    shr eax, 8
    and eax, 63
    mov rdx, r13
    cmp eax, 48
    jb .call
    ; A quarter of the calls are those that take memory, events and grants.
    and eax, 3
    mov eax, [favourites + rax * 4]
    and edi, 15
.call:
    cmp eax, __HYPERVISOR_sched_op
    jne .go
    or edi, 8                           ; nothing that ends or stops it here
.go:
    cmp eax, __HYPERVISOR_vcpu_op
    jne .vmcall
    cmp edi, 2                          ; nor VCPUOP_down
    je .loop
.vmcall:
    cmp eax, __HYPERVISOR_multicall
    jne .list
    mov rdi, rbx                        ; lists that run over all memory end the guest too soon
    and esi, 31
.list:
    cmp eax, __HYPERVISOR_grant_table_op
    jne .ready
    and edx, 1023
.ready:
    vmcall
    jmp .loop
favourites:
    dd __HYPERVISOR_memory_op, __HYPERVISOR_grant_table_op, __HYPERVISOR_event_channel_op
    dd __HYPERVISOR_multicall

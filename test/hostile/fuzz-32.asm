; Makes CALLS hypercalls with wild numbers and arguments, from SEED, in 32-bit mode without paging.
; What fuzz-64.asm does, with the other registers.

AREA  equ 0x800000
STATE equ 0x20b100              ; words of the random numbers, calls left

bits 32
    mov esp, 0x2ff000
    mov dword [STATE], SEED
    mov dword [STATE + 4], CALLS
    jmp main

; xorshift32 in eax.
random:
    mov eax, [STATE]
    shl eax, 13
    xor [STATE], eax
    mov eax, [STATE]
    shr eax, 17
    xor [STATE], eax
    mov eax, [STATE]
    shl eax, 5
    xor [STATE], eax
    mov eax, [STATE]
    imul eax, eax, 0x9e3779b1
    ret

; A value in eax. Clobbers ecx, edx.
value:
    call random
    mov edx, eax
    shr edx, 8
    mov ecx, eax
    shr ecx, 28
    jmp [kinds + ecx * 4]
kinds:
    dd .small, .small, .small, .small, .pointer, .pointer, .pointer, .page_end
    dd .nowhere, .random, .random, .domain, .frame, .order, .negative, .top
.small:
    and edx, 15
    mov eax, edx
    ret
.pointer:
    and edx, 0xfffff
    lea eax, [edx + AREA]
    ret
.page_end:
    and edx, 0xff00f
    lea eax, [edx + AREA + 0xff0]
    ret
.nowhere:
    and edx, 0xfffff
    lea eax, [edx + 0x70000000]
    ret
.random:
    jmp random
.domain:
    and edx, 7
    lea eax, [edx + 0x7fee]
    ret
.frame:
    and edx, 0x7ff
    lea eax, [edx + 0x800]
    ret
.order:
    mov ecx, edx
    and ecx, 31
    mov eax, 1
    shl eax, cl
    dec eax
    ret
.negative:
    mov eax, edx
    neg eax
    ret
.top:
    mov eax, -1
    and edx, 0xfff
    sub eax, edx
    ret

main:
    dec dword [STATE + 4]
    jz power_off
    call random
    and eax, 0xffc
    lea ebx, [eax + AREA + 0x4000]
    mov ebp, 16
.words:
    call value
    mov [ebx], eax
    add ebx, 4
    dec ebp
    jnz .words
    sub ebx, 64
    mov ebp, ebx                        ; where the words are
    call value
    mov edi, eax
    call value
    mov esi, eax
    call value
    mov ebx, eax
    call random
    test eax, 0x300
    jnz .pointed
    push eax
    call value
    mov ebp, eax
    pop eax
.pointed:
    shr eax, 12
    and eax, 63
    push eax
    call value
    mov edx, eax
    pop eax
    cmp eax, 48
    jb .call
    and eax, 3
    mov eax, [favourites + eax * 4]
    and ebx, 15
.call:
    mov ecx, ebp
    cmp eax, 29
    jne .go
    or ebx, 8
.go:
    cmp eax, 24
    jne .vmcall
    cmp ebx, 2
    je main
.vmcall:
    cmp eax, 13
    jne .list
    mov ebx, ebp                        ; lists that run over all memory end the guest too soon
    and ecx, 31
.list:
    cmp eax, 20
    jne .ready
    and edx, 1023
.ready:
    vmcall
    jmp main
favourites:
    dd 12, 20, 32, 13
power_off:
    mov dword [STATE + 8], 0
    mov ebx, 2
    mov ecx, STATE + 8
    mov eax, 29
    vmcall
    jmp $

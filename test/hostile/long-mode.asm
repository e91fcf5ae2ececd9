; Brings a PVH guest from its entry point (32-bit, paging off) to long mode with the first 4 GiB
; mapped one to one, an IDT whose every gate leads to `fault`, and a stack. Jumps to `main`.
;
; After an exception the guest goes on at the address in r15, or, if that is 0, ends with a crash.
; FAULTS counts them; LAST_FAULT is the vector of the last one.

TABLES     equ 0x200000         ; PML4, PDPT, four page directories
IDT        equ 0x20a000
SCRATCH    equ 0x300000         ; 1 MiB for the guest's own use
STACK_TOP  equ 0x2ff000
FAULTS     equ 0x20b000
LAST_FAULT equ 0x20b008

__HYPERVISOR_memory_op        equ 12
__HYPERVISOR_multicall        equ 13
__HYPERVISOR_console_io       equ 18
__HYPERVISOR_grant_table_op   equ 20
__HYPERVISOR_vcpu_op          equ 24
__HYPERVISOR_sched_op         equ 29
__HYPERVISOR_event_channel_op equ 32
__HYPERVISOR_hvm_op           equ 34

bits 32
    mov esp, STACK_TOP
    cld
    mov [START_INFO], ebx
    mov dword [TABLES], TABLES + 0x1007
    xor ecx, ecx
.directories:
    mov eax, ecx
    shl eax, 12
    add eax, TABLES + 0x2007
    mov [TABLES + 0x1000 + ecx * 8], eax
    inc ecx
    cmp ecx, 4
    jb .directories
    xor ecx, ecx
.pages:
    mov eax, ecx
    shl eax, 21
    or eax, 0x87
    mov [TABLES + 0x2000 + ecx * 8], eax
    inc ecx
    cmp ecx, 2048
    jb .pages
    xor ecx, ecx
.gates:
    mov eax, [stubs + ecx * 4]
    mov edx, eax
    and eax, 0xffff
    or eax, 0x80000
    mov [IDT + ecx * 8], eax            ; compacted below: 16 bytes a gate
    and edx, 0xffff0000
    or edx, 0x8e00
    mov [IDT + ecx * 8 + 4], edx
    inc ecx
    cmp ecx, 32
    jb .gates
    mov ecx, 32
.spread:                                ; from the last one on, so that none is overwritten
    dec ecx
    mov eax, [IDT + ecx * 8]
    mov edx, [IDT + ecx * 8 + 4]
    shl ecx, 4
    mov [IDT + ecx], eax
    mov [IDT + ecx + 4], edx
    mov dword [IDT + ecx + 8], 0
    mov dword [IDT + ecx + 12], 0
    shr ecx, 4
    jnz .spread
    mov eax, cr4
    or eax, 0x620                       ; PAE, OSFXSR, OSXMMEXCPT
    mov cr4, eax
    mov eax, TABLES
    mov cr3, eax
    mov ecx, 0xc0000080
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, cr0
    or eax, 0x80010000                  ; PG, WP
    mov cr0, eax
    lgdt [gdt_pointer]
    jmp 8:.long

bits 64
.long:
    mov eax, 16
    mov ds, eax
    mov es, eax
    mov ss, eax
    lidt [idt_pointer]
    xor r15, r15
    jmp main

START_INFO equ 0x20b010

gdt:
    dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
    dq 0, 0
gdt_pointer:
    dw $ - gdt - 1
    dq gdt
idt_pointer:
    dw 32 * 16 - 1
    dq IDT

%assign vector 0
%rep 32
stub %+ vector:
  %if vector != 8 && (vector < 10 || vector > 14) && vector != 17 && vector != 21
    push 0
  %endif
    push vector
    jmp fault
  %assign vector vector + 1
%endrep

stubs:
%assign vector 0
%rep 32
    dd stub %+ vector
  %assign vector vector + 1
%endrep

fault:
    inc qword [FAULTS]
    pop qword [LAST_FAULT]
    add rsp, 8
    test r15, r15
    jz crash
    mov [rsp], r15
    mov rsp, [rsp + 24]
    jmp r15

; SCHEDOP_shutdown(edi)
shutdown:
    mov [SHUTDOWN], edi
    mov edi, 2
    mov esi, SHUTDOWN
    mov eax, __HYPERVISOR_sched_op
    vmcall
    jmp $
SHUTDOWN equ 0x20b020

power_off:
    xor edi, edi
    jmp shutdown
crash:
    mov edi, 3
    jmp shutdown

; Prints rax in hexadecimal and a line end on Xen's console.
print:
    mov edi, NUMBER + 16
    mov byte [rdi], 10
    mov ecx, 16
.digit:
    mov edx, eax
    and edx, 15
    movzx edx, byte [digits + rdx]
    dec edi
    mov [rdi], dl
    shr rax, 4
    loop .digit
    xor edi, edi
    mov esi, 17
    mov edx, NUMBER
    mov eax, __HYPERVISOR_console_io
    vmcall
    ret
NUMBER equ 0x20b030
digits: db '0123456789abcdef'

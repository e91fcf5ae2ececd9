/* The entry of a PVH guest: a stack, long mode with the first 4 GiB mapped one to one where the
 * program is 64-bit, an IDT in which every gate but the upcall's ends the domain, and then
 * guest_main(cpu). Other processors come in at start_other with paging set up by VCPUOP_initialise.
 * The stack of processor n is the nth of 16 KiB from STACKS on: the stack pointer tells who it is.
 */
#include "places.h"

    .section .start, "ax"
    .code32
    .globl start
start:
    cli
    cld
    movl $STACKS + STACK_BYTES, %esp
#ifdef __x86_64__
    movl $TABLES + 0x1007, TABLES
    xorl %ecx, %ecx
1:  movl %ecx, %eax
    shll $12, %eax
    addl $TABLES + 0x2007, %eax
    movl %eax, TABLES + 0x1000(,%ecx,8)
    incl %ecx
    cmpl $4, %ecx
    jb 1b
    xorl %ecx, %ecx
2:  movl %ecx, %eax
    shll $21, %eax
    orl $0x87, %eax
    movl %eax, TABLES + 0x2000(,%ecx,8)
    incl %ecx
    cmpl $2048, %ecx
    jb 2b
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $TABLES, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80010000, %eax
    movl %eax, %cr0
    lgdt gdt_pointer
    ljmp $8, $3f
    .code64
3:
#else
    lgdt gdt_pointer
    ljmp $8, $3f
3:
#endif
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    call make_idt
    lidt idt_pointer
#ifdef __x86_64__
    xorl %edi, %edi
    call guest_main
#else
    pushl $0
    call guest_main
#endif
    jmp .

    .globl start_other
start_other:
    lgdt gdt_pointer
    lidt idt_pointer
#ifdef __x86_64__
    pushq $8
    pushq $4f
    lretq
4:  movl $16, %eax
    movl %eax, %ss
    movq %rsp, %rdi
    subq $STACKS, %rdi
    shrq $14, %rdi
    call other_main
#endif
    jmp .

    .globl upcall_entry, fault_entry
#ifdef __x86_64__
upcall_entry:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    movq %rsp, %rdi
    subq $STACKS, %rdi
    shrq $14, %rdi
    call upcall
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    iretq
#else
upcall_entry:
    pushal
    pushl $0
    call upcall
    addl $4, %esp
    popal
    iretl
#endif
fault_entry:
    call fault
    jmp .

    .balign 8
gdt:
#ifdef __x86_64__
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
#else
    .quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff
#endif
gdt_pointer:
    .word gdt_pointer - gdt - 1
#ifdef __x86_64__
    .quad gdt
idt_pointer:
    .word 256 * 16 - 1
    .quad IDT
#else
    .long gdt
idt_pointer:
    .word 256 * 8 - 1
    .long IDT
#endif

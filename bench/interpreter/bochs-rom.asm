; 128 KiB ROM image at 0xE0000
bits 16
org 0xE0000
%define LOAD 0x100000
kernel_image:
 incbin KERNEL
kernel_end:
 times 0x10000-($-$$) db 0xff
; F000:0000
entry:
 cli
 in al, 0x92
 or al, 2
 and al, 0xfe
 out 0x92, al
 cs lgdt [gdtr - 0xF0000]
 mov eax, cr0
 or al, 1
 mov cr0, eax
 jmp dword 0x18:protected
gdt: dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
gdtr: dw 31
 dd gdt
bits 32
protected:
 mov ax, 0x10
 mov ds, ax
 mov es, ax
 mov ss, ax
 mov fs, ax
 mov gs, ax
 ; page tables at 0x1000: PML4, PDPT 0x2000, PD 0x3000
 mov edi, 0x1000
 mov ecx, 0x3000/4
 xor eax, eax
 cld
 rep stosd
 mov dword [0x1000], 0x2003
 mov dword [0x2000], 0x3003
 mov edi, 0x3000
 mov eax, 0x83
 mov ecx, 512
.fill: mov [edi], eax
 add eax, 0x200000
 add edi, 8
 loop .fill
 mov esi, kernel_image
 mov edi, LOAD
 mov ecx, (kernel_end-kernel_image+3)/4
 rep movsd
 mov eax, 0x620          ; PAE, OSFXSR, OSXMMEXCPT
 mov cr4, eax
 mov eax, 0x1000
 mov cr3, eax
 mov ecx, 0xc0000080
 mov eax, 0x100
 xor edx, edx
 wrmsr
 mov eax, cr0
 or eax, 0x80000000
 and eax, ~0x60000004
 mov cr0, eax
 jmp dword 8:LOAD
 times 0x1fff0-($-$$) db 0xff
bits 16
 jmp 0xF000:0
 times 0x20000-($-$$) db 0xff

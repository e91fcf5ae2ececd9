; A ROM for Bochs in place of a BIOS: 128 KiB that end at 1 MiB. From the reset vector it enters
; 64-bit mode with the first GiB mapped one to one by pages of 2 MiB, copies the image that it
; holds to 1 MiB, and enters it. (SDM vol. 3A, 9.8.5, initialization of IA-32e mode.)

bits 16
org 0xE0000

SEGMENT_BASE equ 0xF0000        ; real-mode code runs in segment F000, from its offset 0 on
LOAD         equ 0x100000
PML4         equ 0x1000
PDPT         equ 0x2000
DIRECTORY    equ 0x3000

image:  incbin  KERNEL
image_end:
        times   SEGMENT_BASE - 0xE0000 - ($ - $$) db 0xff

entry:  cli
        in      al, 0x92        ; the A20 line
        or      al, 2
        and     al, 0xfe
        out     0x92, al
        cs o32 lgdt [gdtr - entry]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     dword 0x18:protected

gdt:    dq      0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
gdtr:   dw      gdtr - gdt - 1
        dd      gdt

bits 32
protected:
        mov     eax, 0x10
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     fs, eax
        mov     gs, eax
        cld
        mov     edi, PML4       ; PML4, PDPT and directory, one behind another
        mov     ecx, 3 * 4096 / 4
        xor     eax, eax
        rep stosd
        mov     dword [PML4], PDPT | 3
        mov     dword [PDPT], DIRECTORY | 3
        mov     edi, DIRECTORY
        mov     eax, 0x83
        mov     ecx, 512
fill:   mov     [edi], eax
        add     eax, 1 << 21
        add     edi, 8
        loop    fill
        mov     esi, image
        mov     edi, LOAD
        mov     ecx, (image_end - image + 3) / 4
        rep movsd
        mov     eax, 0x620      ; CR4: PAE, OSFXSR, OSXMMEXCPT
        mov     cr4, eax
        mov     eax, PML4
        mov     cr3, eax
        mov     ecx, 0xc0000080 ; EFER.LME
        mov     eax, 0x100
        xor     edx, edx
        wrmsr
        mov     eax, cr0        ; PG; caches on; no EM
        or      eax, 1 << 31
        and     eax, ~0x60000004
        mov     cr0, eax
        jmp     8:LOAD

        times   0x1fff0 - ($ - $$) db 0xff
bits 16
        jmp     0xF000:0
        times   0x20000 - ($ - $$) db 0xff

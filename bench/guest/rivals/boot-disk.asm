; The first sectors of a disk that boots a Linux kernel through a PC's BIOS as QEMU's -kernel does
; it: the kernel lies on the disk as it will in memory, is not decompressed, and is entered by its
; PVH entry, so that what happens between the mark "@entry" and init is the same. Reads by INT 13h
; (EDD, AH=42h), asks for the memory map by INT 15h (E820h), marks the entry on COM1.
; (Xen public/arch-x86/hvm/start_info.h; ACPI 15.1.)
;
; Given: KERNEL, ENTRY, RAMDISK: physical addresses; KERNEL_CHUNKS, RAMDISK_CHUNKS: sizes on the
; disk, in chunks of 32 KiB; RAMDISK_BYTES; COMMAND_LINE, a string. The kernel starts at the first
; chunk of the disk after this, the ramdisk behind it.

bits 16
org 0x7C00

LOADER_SECTORS equ 8
CHUNK_SECTORS equ 64
CHUNK       equ CHUNK_SECTORS * 512
INFO        equ 0x7000          ; start info, below us, in memory that nothing uses
MAP         equ 0x7100          ; the map, 24 bytes an entry
MAP_END     equ 0x7B00
BUFFER      equ 0x10000
COM1        equ 0x3F8

start:  jmp     0:begin
begin:  cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, INFO
        sti
        mov     [drive], dl
        mov     si, rest        ; the other sectors of this
        call    read
        jmp     load

; Reads what the packet at DS:SI says.
read:   mov     ah, 0x42
        mov     dl, [drive]
        int     0x13
        jc      fail
        ret

fail:   mov     si, failed
        call    say
        cli
        hlt

; Writes a string to COM1, at 115,200 baud, 8N1.
say:    mov     dx, COM1 + 3
        mov     al, 0x83
        out     dx, al
        mov     dx, COM1
        mov     ax, 1
        out     dx, ax
        mov     dx, COM1 + 3
        mov     al, 3
        out     dx, al
.wait:  mov     dx, COM1 + 5    ; until the transmitter is empty
        in      al, dx
        test    al, 0x20
        jz      .wait
        lodsb
        test    al, al
        jz      .end
        mov     dx, COM1
        out     dx, al
        jmp     .wait
.end:   ret

drive:  db      0
rest:   db      16, 0
        dw      LOADER_SECTORS - 1
        dw      0x7E00, 0
        dq      1
failed: db      10, "the disk cannot be read", 10, 0

        times   510 - ($ - $$) db 0
        dw      0xAA55

load:   in      al, 0x92        ; the A20 line
        or      al, 2
        and     al, 0xfe
        out     0x92, al
        mov     ebx, KERNEL
        mov     cx, KERNEL_CHUNKS
        call    bring
        mov     ebx, RAMDISK
        mov     cx, RAMDISK_CHUNKS
        call    bring

        xor     eax, eax
        mov     di, INFO
        mov     cx, (MAP_END - INFO) / 2
        rep stosw
        mov     di, MAP
        xor     ebx, ebx
.next:  mov     eax, 0xE820
        mov     edx, 0x534D4150 ; "SMAP"
        mov     ecx, 20
        int     0x15
        jc      .mapped
        add     di, 24
        inc     dword [INFO + 48]
        test    ebx, ebx
        jz      .mapped
        cmp     di, MAP_END - 24
        jbe     .next
.mapped:
        mov     dword [INFO], 0x336EC578
        mov     dword [INFO + 4], 1             ; version
        mov     dword [INFO + 12], 1            ; one module
        mov     dword [INFO + 16], modules
        mov     dword [INFO + 24], command_line
        mov     dword [INFO + 40], MAP
        mov     si, mark
        call    say

        cli
        lgdt    [gdtr]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        jmp     dword 8:protected

; Brings CX chunks, the next ones of the disk, to the physical address EBX. No BIOS call takes data
; past 16 MiB: the registers get the limits of protected mode and keep them in real mode.
bring:  push    cx
        push    ebx
        mov     si, packet
        call    read
        pop     edi
        add     dword [packet + 8], CHUNK_SECTORS
        cli
        lgdt    [gdtr]
        mov     eax, cr0
        or      al, 1
        mov     cr0, eax
        mov     bx, 0x10
        mov     ds, bx
        mov     es, bx
        and     al, 0xfe
        mov     cr0, eax
        mov     esi, BUFFER
        mov     ecx, CHUNK / 4
        a32 rep movsd
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        sti
        mov     ebx, edi
        pop     cx
        loop    bring
        ret

bits 32
protected:
        mov     eax, 0x10
        mov     ds, eax
        mov     es, eax
        mov     ss, eax
        mov     ebx, INFO
        mov     eax, ENTRY
        jmp     eax

        align   8
gdt:    dq      0, 0x00cf9b000000ffff, 0x00cf93000000ffff
gdtr:   dw      gdtr - gdt - 1
        dd      gdt
        align   8
packet: db      16, 0
        dw      CHUNK_SECTORS
        dw      0, BUFFER >> 4
        dq      CHUNK_SECTORS
modules:
        dq      RAMDISK, RAMDISK_BYTES, 0, 0
mark:   db      10, "@entry", 10, 0
command_line:
        db      COMMAND_LINE, 0

        times   CHUNK - ($ - $$) db 0

; How every kernel starts and ends: a stack, a byte 1, the kernel, a byte 2, and its
; checksum as 16 hexadecimal digits, all on port 0xE9; then Bochs' word for switching it off.
; Entered in 64-bit mode at privilege 0 with the first mebibytes mapped one to one.

bits 64
extern kernel

section .start
        mov     esp, 0x80000
        mov     al, 1
        out     0xe9, al
        call    kernel
        mov     rbx, rax
        mov     al, 2
        out     0xe9, al
        mov     ecx, 16
digit:  rol     rbx, 4
        mov     eax, ebx
        and     eax, 15
        cmp     al, 10
        jb      decimal
        add     al, 'a' - '0' - 10
decimal:
        add     al, '0'
        out     0xe9, al
        dec     ecx
        jnz     digit
        mov     edx, 0x8900
        lea     rsi, [rel word_]
        mov     ecx, 8
        cld
letter: lodsb
        out     dx, al
        dec     ecx
        jnz     letter
        cli
        hlt
word_:  db      "Shutdown"

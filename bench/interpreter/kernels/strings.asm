; String instructions on a text of words: its bytes one by one (LODSB, STOSB, SCASB), whole words
; by repeated ones (REPNE SCASB, REP MOVSB, REPE CMPSB), and lines cleared and copied at once.

bits 64
global kernel

TEXT    equ 0x200000            ; LENGTH bytes: words of 1 to 16 letters, a zero after each
COPY    equ 0x300000
LENGTH  equ 0x10000
ROUNDS  equ 100

section .text

kernel: push    rbx
        push    rbp
        push    r12
        cld
        mov     rdi, TEXT       ; the text: a letter, or a zero every now and then
        mov     ecx, LENGTH
        mov     r8d, 12345
fill:   imul    r8d, r8d, 1664525
        add     r8d, 1013904223
        mov     eax, r8d
        shr     eax, 24
        cmp     al, 28
        jae     letter
        xor     eax, eax
        stosb
        dec     ecx
        jnz     fill
        jmp     filled
letter: and     al, 15
        add     al, 'a'
        stosb
        dec     ecx
        jnz     fill
filled: mov     byte [TEXT + LENGTH - 1], 0
        xor     ebp, ebp        ; the checksum
        mov     r12d, ROUNDS

round:  mov     esi, TEXT       ; upper case, and a sum over the letters
        mov     edi, COPY
        mov     ecx, LENGTH
upper:  lodsb
        test    al, al
        jz      keep
        sub     al, 32
keep:   stosb
        movzx   eax, al
        rol     rbp, 3
        xor     rbp, rax
        dec     ecx
        jnz     upper

        mov     edi, TEXT       ; the lengths of the words
        mov     ebx, TEXT + LENGTH
words:  mov     rdx, rdi
        xor     eax, eax
        mov     ecx, 0xffff
        repne scasb
        mov     rcx, rdi
        sub     rcx, rdx
        imul    rbp, rbp, 31
        add     rbp, rcx
        mov     r9, rdi         ; each word copied behind the text and compared with the original
        mov     rsi, rdx
        mov     edi, COPY + LENGTH
        mov     r10, rcx
        rep movsb
        mov     rcx, r10
        mov     rsi, rdx
        mov     edi, COPY + LENGTH
        repe cmpsb
        sete    al
        movzx   eax, al
        add     rbp, rax
        mov     rdi, r9
        cmp     rdi, rbx
        jb      words

        mov     edi, COPY       ; how many e: SCASB in a loop
        mov     ecx, LENGTH
        mov     al, 'E'
        xor     edx, edx
count:  scasb
        jne     other
        inc     edx
other:  dec     ecx
        jnz     count
        add     rbp, rdx

        mov     r11d, 64        ; lines of 256 bytes: cleared, copied, summed
        mov     edi, COPY
lines:  mov     r8, rdi
        xor     eax, eax
        mov     ecx, 16
        rep stosq
        lea     rsi, [r8 + 0x1000]
        mov     ecx, 32
        rep movsd
        mov     rsi, r8
        mov     ecx, 32
sum:    lodsq
        add     rbp, rax
        rol     rbp, 1
        dec     ecx
        jnz     sum
        dec     r11d
        jnz     lines

        dec     r12d
        jnz     round
        mov     rax, rbp
        pop     r12
        pop     rbp
        pop     rbx
        ret

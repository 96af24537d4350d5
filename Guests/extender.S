// To protected mode by INT 15h AH=89h and back by a reset with shutdown code 5, as programs for the
// 80286 go. Says `protected` and `back` on COM1 and leaves by the debug exit with 0, or with what
// went wrong: 1 not in protected mode, 2 not back in real mode, 3 memory lost, 4 the call failed.
#include "guest.inc"
GUEST_BEGIN extender
    FLAT_START
    movl $0x600DF00D, 0x600
    movw $0x67, %bx
    movw $AT(resume), 0x400(%bx)
    movw $0, 0x402(%bx)
    movw $AT(table), %si
    movw $0x2028, %bx
    movb $0x89, %ah
    int $0x15
    testb %ah, %ah
    movb $4, %al
    jnz leave
    smsw %ax
    testb $1, %al
    movb $1, %al
    jz leave
    movw $AT(in_text), %si
    call say_text
    movb $0x0F, %al
    outb %al, $0x70
    movb $0x05, %al
    outb %al, $0x71
    movb $0xFE, %al
    outb %al, $0x64
1:  hlt
    jmp 1b
resume:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7C00, %sp
    smsw %ax
    testb $1, %al
    movb $2, %al
    jnz leave
    cmpl $0x600DF00D, 0x600
    movb $3, %al
    jne leave
    movw $AT(back_text), %si
    call say_text
    movb $0, %al
leave:
    outb %al, $0xF4
1:  hlt
    jmp 1b
    SAY_TEXT
in_text: .asciz "protected\r\n"
back_text: .asciz "back\r\n"
    .balign 8
// Nothing, this table, the interrupt table, DS, ES, SS, CS, and room for the firmware's own.
table:
    .quad 0
    .word 0x3F, AT(table), 0x9300, 0
    .quad 0x0000930000000000
    .quad 0x000093000000FFFF
    .quad 0x000093000000FFFF
    .quad 0x000093000000FFFF
    .quad 0x00009B000000FFFF
    .quad 0
    BOOT_SIGNATURE
GUEST_END extender

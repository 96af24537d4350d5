// Gives up: an exception in protected mode without an interrupt table. Says `up` on COM1 at each
// start; the second one, after a reset, leaves by the debug exit with 7.
#include "guest.inc"

#define MARK 0x600                  // survives a reset, as all RAM does

GUEST_BEGIN triplefault
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7C00, %sp
    movw $AT(up_text), %si
    call say_text
    cmpl $0x600DF00D, MARK
    movl $0x600DF00D, MARK
    jne 1f
    movb $7, %al
    outb %al, $0xF4
1:  lgdtl AT(tables)
    lidtl AT(no_table)
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $0x08, $AT(protected)
    .code32
protected:
    movl $0x10, %eax
    movl %eax, %ss
    movl %eax, %ds
    ud2
1:  hlt
    jmp 1b
    .code16
    SAY_TEXT
up_text: .asciz "up\r\n"
    .balign 8
gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF
    .quad 0x00CF93000000FFFF
tables:
    .word tables - gdt - 1
    .long AT(gdt)
no_table:
    .word 0
    .long 0
    BOOT_SIGNATURE
GUEST_END triplefault

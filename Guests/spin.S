// Spins for ever with interrupts off, after it said `spinning` on COM1.
#include "guest.inc"
GUEST_BEGIN spin
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7C00, %sp
    movw $AT(text), %si
    call say_text
1:  jmp 1b
    SAY_TEXT
text: .asciz "spinning\r\n"
    BOOT_SIGNATURE
GUEST_END spin

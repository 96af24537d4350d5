// A boot record with nothing to boot: says `up` on COM1 and leaves it to the next device by INT 18h.
#include "guest.inc"
GUEST_BEGIN giveup
    xorw %ax, %ax
    movw %ax, %ds
    cld
    movw $AT(text), %si
    call say_text
    int $0x18
1:  hlt
    jmp 1b
    SAY_TEXT
text: .asciz "up\r\n"
    BOOT_SIGNATURE
GUEST_END giveup

// A boot sector that changes the colour of a 320x200 block about once a second by itself, and says so
// on the serial port: what the time from a change to the viewer's pixel is measured with.
#include "guest.inc"

#define COM1 0x3F8
#define TICKS 20

GUEST_BEGIN pulse
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7C00, %sp
    movw $0x0013, %ax
    int $0x10
    movw $(COM1 + 3), %dx           // line control: 8 bits, no parity
    movb $0x03, %al
    outb %al, %dx
    movw $0xA000, %ax
    movw %ax, %es
    cld
    movb $0x20, %bl
again:
    movw $TICKS, %cx
1:  hlt
    loop 1b
    incb %bl
    orb $0x20, %bl
    movb %bl, %al
    movb %bl, %ah
    xorw %di, %di
    movw $16, %cx
    rep stosw
    movw $COM1, %dx
    movb $'.', %al
    outb %al, %dx
    jmp again
    BOOT_SIGNATURE
GUEST_END pulse

// A boot sector that paints a block of a 320x200 screen in another colour at every key that INT 16h
// gives it: what the time from a key to the changed pixel is measured with.
#include "guest.inc"
GUEST_BEGIN echo
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7C00, %sp
    movw $0x0013, %ax
    int $0x10
    movw $0xA000, %ax
    movw %ax, %es
    cld
    movb $0x20, %bl
paint:
    movb %bl, %al
    movb %al, %ah
    xorw %di, %di
    movw $16, %dx
row:
    movw $16, %cx
    rep stosw
    addw $(320 - 32), %di
    decw %dx
    jnz row
    movb $0, %ah
    int $0x16
    incb %bl
    orb $0x20, %bl
    jmp paint
    BOOT_SIGNATURE
GUEST_END echo

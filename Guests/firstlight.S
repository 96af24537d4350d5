// A boot sector that sets 1024x768x32 by the Bochs VBE ports, paints the first row through the
// banked window, and halts: what the time from process start to the first picture is measured with.
#include "guest.inc"
GUEST_BEGIN firstlight
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw $AT(settings), %si
    movw $5, %cx
1:  movw $0x1CE, %dx
    lodsw
    outw %ax, %dx
    incw %dx
    lodsw
    outw %ax, %dx
    loop 1b
    movw $0xA000, %ax
    movw %ax, %es
    xorw %di, %di
    movl $0x003060C0, %eax
    movl $0x400, %ecx
    rep stosl
2:  hlt
    jmp 2b
// Register and value: disable, width, height, depth, enable (linear frame buffer, cleared).
settings:
    .word 4, 0, 1, 1024, 2, 768, 3, 32, 4, 0x41
    BOOT_SIGNATURE
GUEST_END firstlight

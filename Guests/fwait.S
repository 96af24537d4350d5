// Executes FWAIT (9B) in real mode, which some hosts' KVM can't: says `before` on COM1, then, where
// it goes on, `after`, and leaves by the debug exit with 0.
#include "guest.inc"
GUEST_BEGIN fwait
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7C00, %sp
    movw $AT(before), %si
    call say_text
    fwait
    movw $AT(after), %si
    call say_text
    xorb %al, %al
    outb %al, $0xF4
1:  hlt
    jmp 1b
    SAY_TEXT
before: .asciz "before\r\n"
after: .asciz "after\r\n"
    BOOT_SIGNATURE
GUEST_END fwait

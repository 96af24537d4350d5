// Fills and scrolls the planar 16-colour screen of 640x480, and says on COM1 how many cycles of the
// time-stamp counter each took, in hexadecimal: `fill: N` for 16 screens by doublewords through the
// map mask, `scroll: N` for 16 screens moved up by 16 lines through the latches, a byte at a time.
#include "guest.inc"
#include "checks.inc"

#define SCREEN 38400                // bytes of a plane
#define LINE 80
#define TIMES 16

GUEST_BEGIN vgabench
    CHECKS_BEGIN
    LOAD_REST vgabench
    jmp begin
    BOOT_SIGNATURE

begin:
    SERIAL_ON
    movw $0x0012, %ax
    int $0x10
    cld
    movw $0xA000, %ax
    movw %ax, %es
    movw $0x3C4, %dx
    movw $0x0F02, %ax               // every plane
    outw %ax, %dx
    rdtsc
    movl %eax, AT(vga_began)
    movl $TIMES, %ebp
1:  movl %ebp, %eax
    imull $0x11111111, %eax
    xorw %di, %di
    movw $(SCREEN / 4), %cx
    rep stosl
    decl %ebp
    jnz 1b
    movw $AT(fill_text), %si
    call tell_vga
    movw $0x3CE, %dx
    movw $0x0105, %ax               // write mode 1
    outw %ax, %dx
    rdtsc
    movl %eax, AT(vga_began)
    movl $TIMES, %ebp
    movw $0xA000, %ax
    movw %ax, %ds
2:  movw $(16 * LINE), %si
    xorw %di, %di
    movw $(SCREEN - 16 * LINE), %cx
    rep movsb
    decl %ebp
    jnz 2b
    xorw %ax, %ax
    movw %ax, %ds
    movw $AT(scroll_text), %si
    call tell_vga
    jmp finish

// Says the text at SI and the cycles since `vga_began`.
tell_vga:
    rdtsc
    subl AT(vga_began), %eax
    call print
    call print_long
    SAY ""
    ret
    .balign 4
vga_began: .long 0
fill_text: .asciz "fill: "
scroll_text: .asciz "scroll: "
    CHECK_ROUTINES
GUEST_END vgabench

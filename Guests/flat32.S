// A test card in unpaged 32-bit protected mode: 800x600 in 32 bits, drawn into the linear frame
// buffer. Says `card drawn` on COM1, waits until Esc is let go, and leaves by the debug exit with 32.
#include "guest.inc"

#define COM1 0x3F8
#define DEBUG_EXIT 0xF4
#define VBE_INFO 0xD000
#define MODE_INFO 0xD200
#define STACK 0xF800

#define WIDTH 800
#define HEIGHT 600

GUEST_BEGIN flat32
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $0x7C00, %esp
    sti
    LOAD_REST flat32
    jmp choose_mode
stop16:
    hlt
    jmp stop16
    BOOT_SIGNATURE

choose_mode:
    movl $0x32454256, VBE_INFO      // "VBE2"
    movw $VBE_INFO, %di
    movw $0x4F00, %ax
    int $0x10
    cmpw $0x004F, %ax
    jne stop16
    lfsw VBE_INFO + 14, %si
next_mode:
    movw %fs:(%si), %cx
    addw $2, %si
    cmpw $0xFFFF, %cx
    je stop16
    movw $MODE_INFO, %di
    movw $0x4F01, %ax
    int $0x10
    cmpw $0x004F, %ax
    jne next_mode
    testb $0x80, MODE_INFO
    jz next_mode
    cmpw $WIDTH, MODE_INFO + 18
    jne next_mode
    cmpw $HEIGHT, MODE_INFO + 20
    jne next_mode
    cmpb $32, MODE_INFO + 25
    jne next_mode
    movw %cx, %bx
    orw $0x4000, %bx
    movw $0x4F02, %ax
    int $0x10
    cmpw $0x004F, %ax
    jne stop16
    cli
    lgdtl AT(gdt_pointer)
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $0x08, $AT(protected)

    .code32
protected:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %fs
    movl %eax, %gs
    movl %eax, %ss
    movl $STACK, %esp
    movl MODE_INFO + 40, %eax
    movl %eax, AT(frame_buffer)
    movzwl MODE_INFO + 16, %eax
    movl %eax, AT(pitch)

    // Rectangles, last one on top.
    movl $AT(rectangles), %esi
draw_next:
    lodsl
    cmpl $-1, %eax
    je draw_ramp
    movl %eax, %edi
    lodsl
    movl %eax, %ebx
    lodsl
    movl %eax, %edx
    lodsl
    movl %eax, %ecx
    lodsl
    call fill
    jmp draw_next

    // Greys: a column for each.
draw_ramp:
    xorl %ebp, %ebp
1:  leal 16(%ebp, %ebp, 2), %edi
    movl $430, %ebx
    movl $3, %edx
    movl $60, %ecx
    movl %ebp, %eax
    imull $0x010101, %eax
    call fill
    incl %ebp
    cmpl $256, %ebp
    jb 1b

    // A circle, eight points at a time.
    xorl %esi, %esi                 // x
    movl $150, %edi                 // y
    movl $(1 - 150), %ebp
1:  call points
    xchgl %esi, %edi
    call points
    xchgl %esi, %edi
    testl %ebp, %ebp
    js 2f
    decl %edi
    movl %edi, %eax
    addl %eax, %eax
    subl %eax, %ebp
2:  incl %esi
    leal 1(%ebp, %esi, 2), %ebp
    cmpl %edi, %esi
    jle 1b

    movl $(COM1 + 3), %edx
    movb $0x03, %al
    outb %al, %dx
    movl $AT(message), %esi
say:
    lodsb
    testb %al, %al
    jz await_key
    movb %al, %ah
    movl $(COM1 + 5), %edx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movl $COM1, %edx
    movb %ah, %al
    outb %al, %dx
    jmp say

await_key:
    inb $0x64, %al
    testb $0x01, %al
    jz await_key
    inb $0x60, %al
    cmpb $0x81, %al
    jne await_key
    movb $32, %al
    outb %al, $DEBUG_EXIT
stop32:
    hlt
    jmp stop32

// Fills EDX x ECX pixels at EDI, EBX with EAX. Keeps ESI and EBP.
fill:
    imull AT(pitch), %ebx
    leal (%ebx, %edi, 4), %edi
    addl AT(frame_buffer), %edi
    movl %ecx, %ebx
1:  pushl %edi
    movl %edx, %ecx
    rep stosl
    popl %edi
    addl AT(pitch), %edi
    decl %ebx
    jnz 1b
    ret

// Four points of the circle: its middle (400, 250) plus and minus ESI, EDI.
points:
    movl $3, %ecx
1:  movl %esi, %eax
    testb $1, %cl
    jz 2f
    negl %eax
2:  movl %edi, %ebx
    testb $2, %cl
    jz 3f
    negl %ebx
3:  addl $250, %ebx
    imull AT(pitch), %ebx
    leal 1600(%ebx, %eax, 4), %ebx
    addl AT(frame_buffer), %ebx
    movl $0xFFFFFF, (%ebx)
    decl %ecx
    jns 1b
    ret

    .balign 8
gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF
    .quad 0x00CF93000000FFFF
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long AT(gdt)
    .balign 4
frame_buffer: .long 0
pitch: .long 0
// x, y, width, height, colour
rectangles:
    .long 0, 0, WIDTH, HEIGHT, 0x203040
    .long 0, 0, WIDTH, 1, 0xFFFFFF
    .long 0, HEIGHT - 1, WIDTH, 1, 0xFFFFFF
    .long 0, 0, 1, HEIGHT, 0xFFFFFF
    .long WIDTH - 1, 0, 1, HEIGHT, 0xFFFFFF
    .long 80, 80, 80, 340, 0xC0C0C0
    .long 160, 80, 80, 340, 0xC0C000
    .long 240, 80, 80, 340, 0x00C0C0
    .long 320, 80, 80, 340, 0x00C000
    .long 400, 80, 80, 340, 0xC000C0
    .long 480, 80, 80, 340, 0xC00000
    .long 560, 80, 80, 340, 0x0000C0
    .long 640, 80, 80, 340, 0x101010
    .long 20, 20, 40, 40, 0xFF0000
    .long 740, 20, 40, 40, 0x00FF00
    .long 20, 540, 40, 40, 0x0000FF
    .long 740, 540, 40, 40, 0xFFFF00
    .long 200, 530, 400, 2, 0xFFFFFF
    .long -1
message: .asciz "card drawn\r\n"
GUEST_END flat32

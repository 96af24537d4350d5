// Reads and writes ports at random for a second or more, in all widths, with interrupts off, then
// says `survived` on COM1 and leaves by the debug exit with 0. It leaves alone what resets the
// machine or ends it. The series begins with the real-time clock's minutes and seconds.
#include "guest.inc"

#define ROUNDS 15000

GUEST_BEGIN hammer
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7C00, %sp
    movb $0x00, %al
    outb %al, $0x70
    inb $0x71, %al
    movb %al, %ah
    movb $0x02, %al
    outb %al, $0x70
    inb $0x71, %al
    movw %ax, AT(seed)
    movl $ROUNDS, %ebp
next:
    call random
    movw %ax, %dx
    // Most are below 400h, the others from 1C0h on or from 4C0h on.
    andw $0x03FF, %dx
    testb $0x18, %ah
    jnz 1f
    andw $0x001F, %dx
    addw $0x01C0, %dx
    testb $0x04, %ah
    jz 1f
    addw $0x0300, %dx
1:  movw $AT(forbidden), %si
2:  lodsw
    testw %ax, %ax
    jz 3f
    subw %dx, %ax               // nothing that reaches it, with four bytes
    cmpw $3, %ax
    jbe next
    jmp 2b
3:  call random
    movl %eax, %ebx
    rorl $16, %ebx
    testb $0x07, %bh
    jz 6f
    testb $0x01, %bl
    jz 4f
    call random
    testb $0x02, %bl
    jz 31f
    outb %al, %dx
    jmp 7f
31: testb $0x04, %bl
    jz 32f
    outw %ax, %dx
    jmp 7f
32: outl %eax, %dx
    jmp 7f
4:  testb $0x02, %bl
    jz 41f
    inb %dx, %al
    jmp 7f
41: testb $0x04, %bl
    jz 42f
    inw %dx, %ax
    jmp 7f
42: inl %dx, %eax
    jmp 7f
    // Memory of the display.
6:  movw $0xA000, %ax
    testb $0x08, %bl
    jz 61f
    movw $0xB000, %ax
61: movw %ax, %es
    call random
    movw %ax, %di
    shrw $1, %di                // four bytes from there are within the segment
    rorl $8, %eax
    movb %es:(%di), %cl
    movl %eax, %es:(%di)
7:  decl %ebp
    jnz next
    // The serial port as it should be: 115200 baud, no loop, no FIFOs.
    movw $AT(serial_program), %si
    movw $6, %cx
8:  lodsw
    movb $0x03, %dh
    movb %al, %dl
    movb %ah, %al
    outb %al, %dx
    loop 8b
    movw $AT(text), %si
    call say_text
    xorb %al, %al
    outb %al, $0xF4
1:  hlt
    jmp 1b
// EAX: the next of a series of random numbers.
random:
    imull $1664525, AT(seed), %eax
    addl $1013904223, %eax
    movl %eax, AT(seed)
    rorl $11, %eax
    ret
    SAY_TEXT
    .balign 4
seed: .long 0
// Keyboard controller, port 92h, debug exit, the reset register's neighbours are out of reach.
forbidden: .word 0x60, 0x64, 0x92, 0xF4, 0
// Low byte of the port, value.
serial_program:
    .byte 0xFB, 0x83, 0xF8, 0x01, 0xF9, 0x00, 0xFB, 0x03, 0xFC, 0x03, 0xFA, 0x00
text: .asciz "\r\nsurvived\r\n"
    BOOT_SIGNATURE
GUEST_END hammer

// Has the power button interrupt by ACPI, and switches the machine off when it is pressed.
#include "guest.inc"

#define POWER 0x600             // where the firmware puts the power management block
#define STATUS 0
#define ENABLE 2
#define CONTROL 4
#define BUTTON 0x0100
#define SOFT_OFF 0x2000
#define APM_COMMAND 0xB2
#define ACPI_ENABLE 0xF1
#define IRQ9_VECTOR 0x71

GUEST_BEGIN button
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $0x7C00, %sp
    movw $AT(pressed), IRQ9_VECTOR * 4
    movw $0, IRQ9_VECTOR * 4 + 2
    movb $ACPI_ENABLE, %al
    outb %al, $APM_COMMAND
    movw $BUTTON, %ax
    movw $(POWER + STATUS), %dx
    outw %ax, %dx
    movw $(POWER + ENABLE), %dx
    outw %ax, %dx
    inb $0xA1, %al                  // IRQ 9, and the cascade to its controller
    andb $0xFD, %al
    outb %al, $0xA1
    inb $0x21, %al
    andb $0xFB, %al
    outb %al, $0x21
    movw $AT(ready_text), %si
    call say_text
1:  sti
    hlt
    jmp 1b

pressed:
    movw $(POWER + STATUS), %dx
    inw %dx, %ax
    testw $BUTTON, %ax
    jz 1f
    movw $AT(pressed_text), %si
    call say_text
    movw $(POWER + CONTROL), %dx
    inw %dx, %ax
    orw $SOFT_OFF, %ax
    outw %ax, %dx
1:  movb $0x20, %al
    outb %al, $0xA0
    outb %al, $0x20
    iret

SAY_TEXT
ready_text:
    .asciz "ready\r\n"
pressed_text:
    .asciz "pressed\r\n"
    BOOT_SIGNATURE
GUEST_END button

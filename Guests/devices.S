// Drives the PC's chips by their ports, without the BIOS, and tells on COM1 what they answer: see
// checks.inc. Expects 32 MiB of RAM.
#include "guest.inc"
#include "checks.inc"

// Writes a byte to a port; AL and, above FFh, DX change.
.macro OUT8 port, value
    movb $\value, %al
    .if \port > 0xFF
    movw $\port, %dx
    outb %al, %dx
    .else
    outb %al, $\port
    .endif
.endm
.macro IN8 port
    .if \port > 0xFF
    movw $\port, %dx
    inb %dx, %al
    .else
    inb $\port, %al
    .endif
.endm
// Points a vector at a handler of this program, with interrupts off; UNHOOK brings the BIOS's back.
.macro HOOK vector, handler, old
    cli
    movl \vector * 4, %eax
    movl %eax, AT(\old)
    movl $AT(\handler), \vector * 4
    sti
.endm
.macro UNHOOK vector, old
    cli
    movl AT(\old), %eax
    movl %eax, \vector * 4
    sti
.endm

GUEST_BEGIN devices
    CHECKS_BEGIN
    LOAD_REST devices
    jmp checks
    BOOT_SIGNATURE

checks:
    SERIAL_ON
    call timer_checks
    call pic_checks
    call clock_checks
    call controller_checks
    call mouse_checks
    call uart_checks
    call gate_checks
    call bus_checks
    call vga_checks
    call dispi_checks
    call apic_checks
    jmp finish

// Halts until the timer has ticked CX times.
wait_ticks:
    pushw %ax
1:  movw 0x46C, %ax
2:  hlt
    cmpw 0x46C, %ax
    je 2b
    loop 1b
    popw %ax
    ret

    CHECK_ROUTINES
#include "devices/timer.inc"
#include "devices/pic.inc"
#include "devices/clock.inc"
#include "devices/controller.inc"
#include "devices/uart.inc"
#include "devices/bus.inc"
#include "devices/vga.inc"
#include "devices/apic.inc"
GUEST_END devices

// Drives the PC's chips by their ports, without the BIOS, and tells on COM1 what they answer: see
// checks.inc. Expects 32 MiB of RAM.
#include "guest.inc"
#include "checks.inc"
#include "ports.inc"

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

// Time passes as counter 2 of the 8254 counts it, whatever the processor's speed and whether
// interrupts are on. It must be read every 50 ms; what a busy host misses makes a wait longer.
stopwatch_start:
    pushw %ax
    OUT8 0x61, 0x01
    OUT8 0x43, 0xB4
    OUT8 0x42, 0x00
    OUT8 0x42, 0x00
    movl $0, AT(elapsed)
    movw $0, AT(last_count)
    popw %ax
    ret
// EAX: 1193182nds of a second since the start.
stopwatch:
    pushl %ecx
    OUT8 0x43, 0x80
    call read_counter_2
    movzwl AT(last_count), %ecx
    movw %ax, AT(last_count)
    subw %ax, %cx
    addl AT(elapsed), %ecx
    movl %ecx, AT(elapsed)
    movl %ecx, %eax
    popl %ecx
    ret
// Goes back to `label` until so many milliseconds have passed since the start.
.macro UNTIL_MS ms, label
    call stopwatch
    cmpl $(\ms * 1193), %eax
    jb \label
.endm
.macro PAUSE_MS ms
    call stopwatch_start
93: UNTIL_MS \ms, 93b
.endm
    .balign 4
elapsed: .long 0
last_count: .word 0

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

// Calls every BIOS service and tells on COM1 how each answered: see checks.inc. Lines that begin with
// `press`, `hold`, `release` and `move` ask whoever watches for input; `time` and `date` tell what
// the clock says.
//
// Expects 32 MiB of RAM, itself in drive A:, and a hard disk of 16 MiB whose sectors each begin with
// their own number, but for the first one.
#include "guest.inc"
#include "checks.inc"

#define SCRATCH 0x2000              // segment of 64 KiB for whoever needs it
#define SCRATCH2 0x3000

GUEST_BEGIN services
    CHECKS_BEGIN
    LOAD_REST services
    jmp checks
    BOOT_SIGNATURE

checks:
    SERIAL_ON
    movw $0xB800, %ax
    movw %ax, %fs
    movw $0xA000, %ax
    movw %ax, %gs
    call table_checks
    call memory_checks
    call text_checks
    call font_checks
    call color_checks
    call graphics_checks
    call vesa_checks
    call diskette_checks
    call hard_disk_checks
    call port_checks
    call time_checks
    call keyboard_checks
    call pointer_checks
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
#include "services/tables.inc"
#include "services/memory.inc"
#include "services/text.inc"
#include "services/fonts.inc"
#include "services/colors.inc"
#include "services/graphics.inc"
#include "services/vesa.inc"
#include "services/diskette.inc"
#include "services/harddisk.inc"
#include "services/ports.inc"
#include "services/time.inc"
#include "services/keyboard.inc"
#include "services/pointer.inc"
GUEST_END services

// The firmware's ROM, 64 KiB at F000:0000.
//
// The ROM is thin. An interrupt service is a trap slot: its OUT to BIOS_TRAP_PORT leaves guest code,
// the service runs in the host, and the slot returns to the caller. What programs hook and chain
// (timer, keyboard, clock and pointing device interrupts) is real code in handlers.h. Entry points and
// tables that programs address directly stand where the IBM PC/AT has them (IBM Personal Computer AT
// Technical Reference, section 5; the compatible entry points are listed in Phoenix, "System BIOS for
// IBM PC/XT/AT Computers and Compatibles", appendix A).
//
// Labels become ROM offsets by OFF(); a relocation of 16 bits would not survive linking.

#include "bios.h"

#define OFF(label) ((label) - rom)
#define SLOT(number) slots + BIOS_TRAP_SLOT_SIZE * (number)

  .section .rodata.porthole_bios, "a", @progbits
  .balign 16
  .code16
  .globl bios_rom
bios_rom:
rom:

// ---- Trap slots ----------------------------------------------------------------------------------
//
// The carry flag after the OUT asks to wait: the slot lets interrupts in, halts until one came, and
// traps again. STI holds interrupts off for one more instruction, so none slips in before the HLT.
// IRET loads the caller's flags, changed where the service answers in them.

  .org rom + BIOS_TRAP_SLOTS
slots:
  .set slot_number, 0
  .rept BIOS_SLOT_FIRST_INTERNAL
  .balign BIOS_TRAP_SLOT_SIZE
7:
  out %al, $BIOS_TRAP_PORT
  jc 8f
  iret
8:
  .if slot_number == 0x16
  jmp wait_for_key
  .else
  sti
  hlt
  cli
  jmp 7b
  .endif
  .set slot_number, slot_number + 1
  .endr

// Slots that the ROM calls itself return near. POST's jumps, since it must not touch the stack of a
// program that returns to real mode by a reset.
  .org SLOT(BIOS_SLOT_POST)
  out %al, $BIOS_TRAP_PORT
  jmp post_done

  .rept 0x100 - BIOS_SLOT_FIRST_INTERNAL - 1
  .balign BIOS_TRAP_SLOT_SIZE
  out %al, $BIOS_TRAP_PORT
  ret
  .endr

// ---- Code ----------------------------------------------------------------------------------------

  .org SLOT(0x100)
#include "handlers.h"

// What most idle programs do all the time: INT 16h waits for a key. The buffer is looked at here, so
// that a tick of the timer costs no trap.
wait_for_key:
  push %ds
  push %ax
  mov $0x40, %ax
  mov %ax, %ds
1:
  sti
  hlt
  cli
  mov 0x1A, %ax
  cmp 0x1C, %ax
  je 1b
  pop %ax
  pop %ds
  jmp SLOT(0x16)

#include "services32.h"

// ---- Fonts and video tables, filled in when the image is made ------------------------------------

  .org rom + 0xB000
font_8x16:
  .fill 4096, 1, 0
font_8x14:
  .fill 3584, 1, 0
// Characters 0 to 127 once more, so that the 8x8 font lies there in one piece too.
  .fill 1024, 1, 0
font_8x8_high:
  .fill 1024, 1, 0
video_data:
  .fill 2560, 1, 0

// ---- Historic addresses --------------------------------------------------------------------------

  .org rom + 0xE000
  .ascii "Porthole PC firmware"
  .byte 0

  .org rom + 0xE05B
  jmp post

  .org rom + 0xE2C3
nmi:
  iret

  .org rom + 0xE3FE
int13:
  jmp SLOT(0x13)

// E401h: the drive types of the AT. INT 41h and 46h point at the tables of the drives that there are,
// in the extended BIOS data area; no type of this list is ever in use.
  .org rom + 0xE401

  .org rom + 0xE6F2
int19:
  jmp boot

// E6F5h: the system configuration table of INT 15h AH=C0h.
system_table:
  .short 8          // bytes that follow
  .byte 0xFC        // model: AT
  .byte 0x01        // submodel
  .byte 0x00        // revision
  .byte 0x74        // second 8259, real-time clock, INT 15h AH=4Fh is called, extended data area
  .byte 0x40        // INT 16h AH=09h is there
  .byte 0, 0, 0

// E729h: divisors of the serial port's 1.8432 MHz / 16 for 110 to 9600 baud.
  .org rom + 0xE729
  .short 1047, 768, 384, 192, 96, 48, 24, 12

  .org rom + 0xE739
int14:
  jmp SLOT(0x14)

  .org rom + 0xE82E
int16:
  jmp SLOT(0x16)

  .org rom + 0xE987
int09:
  jmp keyboard_interrupt

  .org rom + 0xEC59
int40:
  jmp SLOT(0x40)

  .org rom + 0xEF57
int0e:
  jmp diskette_interrupt

// EFC7h: the diskette parameter table of a 1.44 MB drive.
  .org rom + 0xEFC7
diskette_table:
  .byte 0xAF        // step rate 3 ms, head unload 240 ms
  .byte 0x02        // head load 4 ms, DMA
  .byte 0x25        // ticks until the motor stops
  .byte 0x02        // 512 bytes a sector
  .byte 18          // sectors a track
  .byte 0x1B        // gap
  .byte 0xFF        // data length
  .byte 0x6C        // gap when formatting
  .byte 0xF6        // fill byte
  .byte 15          // head settle time, ms
  .byte 8           // motor start time, 1/8 s

  .org rom + 0xEFD2
int17:
  jmp SLOT(0x17)

  .org rom + 0xF045
  jmp SLOT(0x10)

  .org rom + 0xF065
int10:
  jmp SLOT(0x10)

// F0A4h: INT 1Dh, the 6845's registers for 40x25, 80x25, graphics and monochrome text, then the
// buffer lengths, columns and mode register values of modes 0 to 7.
  .org rom + 0xF0A4
video_parameters:
  .byte 0x38, 0x28, 0x2D, 0x0A, 0x1F, 0x06, 0x19, 0x1C, 0x02, 0x07, 0x06, 0x07, 0, 0, 0, 0
  .byte 0x71, 0x50, 0x5A, 0x0A, 0x1F, 0x06, 0x19, 0x1C, 0x02, 0x07, 0x06, 0x07, 0, 0, 0, 0
  .byte 0x38, 0x28, 0x2D, 0x0A, 0x7F, 0x06, 0x64, 0x70, 0x02, 0x01, 0x06, 0x07, 0, 0, 0, 0
  .byte 0x61, 0x50, 0x52, 0x0F, 0x19, 0x06, 0x19, 0x19, 0x02, 0x0D, 0x0B, 0x0C, 0, 0, 0, 0
  .short 2048, 4096, 16384, 16384
  .byte 40, 40, 80, 80, 40, 40, 80, 80
  .byte 0x2C, 0x28, 0x2D, 0x29, 0x2A, 0x2E, 0x1E, 0x29

  .org rom + 0xF841
int12:
  jmp SLOT(0x12)

  .org rom + 0xF84D
int11:
  jmp SLOT(0x11)

  .org rom + 0xF859
int15:
  jmp system_service

// FA6Eh: the lower half of the 8x8 font, filled in when the image is made.
  .org rom + 0xFA6E
font_8x8_low:
  .fill 1024, 1, 0

  .org rom + 0xFE6E
int1a:
  jmp SLOT(0x1A)

  .org rom + 0xFEA5
int08:
  jmp timer_interrupt

// FEF3h: where INT 08h to 1Fh point, in segment F000h.
  .org rom + 0xFEF3
vectors:
  .short OFF(int08), OFF(int09), OFF(irq_master), OFF(irq_master)
  .short OFF(irq_master), OFF(irq_master), OFF(int0e), OFF(irq_master)
  .short OFF(int10), OFF(int11), OFF(int12), OFF(int13)
  .short OFF(int14), OFF(int15), OFF(int16), OFF(int17)
  .short OFF(boot_failed), OFF(int19), OFF(int1a), OFF(dummy)
  .short OFF(dummy), OFF(video_parameters), OFF(diskette_table), OFF(font_8x8_high)

  .org rom + 0xFF53
dummy:
  iret

  .org rom + 0xFF54
int05:
  jmp print_screen

// FFF0h: where the processor starts.
  .org rom + 0xFFF0
reset:
  .byte 0xEA        // jmp F000:E05B
  .short 0xE05B, 0xF000

  .org rom + 0xFFF5
  .ascii "11/22/26"
  .byte 0
  .byte 0xFC        // model: AT
  .byte 0           // checksum, filled in when the image is made
  .org rom + BIOS_ROM_SIZE

// ---- struct bios_layout --------------------------------------------------------------------------

  .section .rodata.porthole_bios_layout, "a", @progbits
  .balign 2
  .globl bios_layout
bios_layout:
  .short OFF(font_8x16), OFF(font_8x14), OFF(font_8x8_low), OFF(font_8x8_high)
  .short OFF(video_data), OFF(video_parameters), OFF(diskette_table), OFF(system_table)
  .short OFF(vectors), OFF(dummy), OFF(nmi), OFF(int05), OFF(int40), OFF(boot_failed)
  .short OFF(irq_master), OFF(irq_slave), OFF(clock_interrupt), OFF(redirected_interrupt)
  .short OFF(pointer_interrupt), OFF(coprocessor_interrupt), OFF(hard_disk_interrupt)
  .short OFF(directory32)

  .section .note.GNU-stack, "", @progbits

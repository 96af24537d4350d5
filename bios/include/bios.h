// The firmware's ROM: 64 KiB that the guest sees at F000:0000 and just below 4 GiB.
#pragma once

// Bytes of the ROM.
#define BIOS_ROM_SIZE 0x10000
// The port whose write traps into the firmware's services.
#define BIOS_TRAP_PORT 0xB8
// Bytes from one trap slot to the next. Slot n begins n times that behind BIOS_TRAP_SLOTS.
#define BIOS_TRAP_SLOT_SIZE 16
// Offset of slot 0 in the ROM.
#define BIOS_TRAP_SLOTS 0x8000

// Slots that the ROM's own code calls; all below serve the interrupt of their number.
#define BIOS_SLOT_FIRST_INTERNAL 0xF0
#define BIOS_SLOT_POST 0xF0
#define BIOS_SLOT_KEYSTROKE 0xF1
#define BIOS_SLOT_MOUSE_BYTE 0xF2
#define BIOS_SLOT_BOOT 0xF3
#define BIOS_SLOT_BOOT_NEXT 0xF4
#define BIOS_SLOT_ENTER_PROTECTED 0xF5
#define BIOS_SLOT_BOOT_KEY 0xF6

// What the slots for booting answer in AX.
#define BIOS_BOOT_ENTER 0
#define BIOS_BOOT_MESSAGE 1
#define BIOS_BOOT_MENU 2

// What BIOS_SLOT_POST answers in AX.
#define BIOS_POST_BOOT 0
#define BIOS_POST_RESUME 1

// What BIOS_SLOT_KEYSTROKE answers in AX.
#define BIOS_KEY_NOTHING 0
#define BIOS_KEY_STORED 1
#define BIOS_KEY_BREAK 2
#define BIOS_KEY_PRINT_SCREEN 3
#define BIOS_KEY_SYSTEM_PRESSED 4
#define BIOS_KEY_SYSTEM_RELEASED 5
#define BIOS_KEY_HOLD 6
#define BIOS_KEY_RESET 7

// F12 as INT 16h AH=10h gives it.
#define BIOS_KEY_F12 0x8600

#ifndef __ASSEMBLER__
#include <stdint.h>

// Offsets in the ROM, all in segment F000h.
struct bios_layout {
  uint16_t font_8x16;         // 256 characters of 16 bytes
  uint16_t font_8x14;         // 256 characters of 14 bytes
  uint16_t font_8x8_low;      // characters 0 to 127 of 8 bytes, at FA6Eh
  uint16_t font_8x8_high;     // characters 128 to 255 of 8 bytes, behind another copy of 0 to 127
  uint16_t video_data;        // 2 KiB for tables of the video services
  uint16_t video_parameters;  // INT 1Dh's table, at F0A4h
  uint16_t diskette_table;    // INT 1Eh's table, at EFC7h
  uint16_t system_table;      // what INT 15h AH=C0h points at, at E6F5h
  uint16_t vectors;           // offsets for INT 08h to 1Fh, at FEF3h
  uint16_t dummy;             // an IRET, at FF53h
  uint16_t nmi;               // INT 02h
  uint16_t print_screen;      // INT 05h
  uint16_t diskette_entry;    // INT 40h
  uint16_t boot_failed;       // INT 18h
  uint16_t irq_master;        // an IRQ of the first 8259 that nobody serves
  uint16_t irq_slave;         // an IRQ of the second 8259 that nobody serves
  uint16_t irq8;              // INT 70h: RTC
  uint16_t irq9;              // INT 71h: goes to INT 0Ah
  uint16_t irq12;             // INT 74h: pointing device
  uint16_t irq13;             // INT 75h: coprocessor
  uint16_t irq14;             // INT 76h: hard disk
  uint16_t directory32;       // the 32-bit service directory
};
extern const struct bios_layout bios_layout;

// Fonts (fonts.S): 256 characters of 16 and of 14 bytes, 128 and 128 characters of 8 bytes.
extern const uint8_t font_8x16[], font_8x14[], font_8x8_low[], font_8x8_high[];
static inline const uint8_t *bios_font_8x16(void) { return font_8x16; }
static inline const uint8_t *bios_font_8x14(void) { return font_8x14; }
static inline const uint8_t *bios_font_8x8_low(void) { return font_8x8_low; }
static inline const uint8_t *bios_font_8x8_high(void) { return font_8x8_high; }

extern const uint8_t bios_rom[];
// The ROM's BIOS_ROM_SIZE bytes as assembled: fonts, video data and checksum are zero here.
static inline const uint8_t *bios_rom_bytes(void) { return bios_rom; }
#endif

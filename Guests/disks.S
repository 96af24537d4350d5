// Drives the disk controllers by their ports and compares with what INT 13h says: see checks.inc.
// Expects itself in drive A:, a hard disk of 16 MiB and a CD, both with contents that tell their
// sectors apart. The disk's last 64 sectors are written to.
#include "guest.inc"
#include "checks.inc"
#include "ports.inc"

#define BUFFER 0x2000               // segment for what the controllers give
#define OTHER 0x3000                // segment for what INT 13h gives
#define PRIMARY 0x1F0
#define SECONDARY 0x170
#define HARD_DISK 0x80
#define CD 0xE0
#define LAST_SECTORS (32768 - 64)

GUEST_BEGIN disks
    CHECKS_BEGIN
    LOAD_REST disks
    jmp checks
    BOOT_SIGNATURE

checks:
    SERIAL_ON
    call reset_checks
    call identify_checks
    call read_checks
    call write_checks
    call interrupt_checks
    call disc_checks
    call floppy_checks
    jmp finish

    .balign 4
base: .word PRIMARY
edges: .word 0
packet: .byte 16, 0
    .fill 14, 1, 0

// AL: the status of the channel at `base` once it is not busy; DX its port.
wait_idle:
    movw AT(base), %dx
    addw $7, %dx
1:  inb %dx, %al
    testb $0x80, %al
    jnz 1b
    ret
// AL: the status once data is wanted or something failed.
wait_data:
    call wait_idle
    testb $0x09, %al
    jz wait_data
    ret
// The command BL for the master at `base`: CL sectors from EAX on.
issue:
    pushl %eax
    movl %eax, %esi
    movw AT(base), %dx
    addw $6, %dx
    movb $0xE0, %al
    outb %al, %dx
    call wait_idle
    subw $5, %dx
    movb %cl, %al
    outb %al, %dx
    movl %esi, %eax
    incw %dx
    outb %al, %dx
    shrl $8, %eax
    incw %dx
    outb %al, %dx
    shrl $8, %eax
    incw %dx
    outb %al, %dx
    addw $2, %dx
    movb %bl, %al
    outb %al, %dx
    popl %eax
    ret
// CX sectors of a read to BUFFER:0 by words, or by doublewords.
take_words:
    movw $BUFFER, %ax
    movw %ax, %es
    xorw %di, %di
1:  call wait_data
    pushw %cx
    movw AT(base), %dx
    movw $256, %cx
    rep insw
    popw %cx
    loop 1b
    ret
take_longs:
    movw $BUFFER, %ax
    movw %ax, %es
    xorw %di, %di
1:  call wait_data
    pushw %cx
    movw AT(base), %dx
    movw $128, %cx
    rep insl
    popw %cx
    loop 1b
    ret
// CX sectors of a write from BUFFER:0.
give_words:
    xorw %si, %si
1:  call wait_data
    pushw %cx
    movw AT(base), %dx
    movw $256, %cx
    pushw %ds
    movw $BUFFER, %ax
    movw %ax, %ds
    rep outsw
    popw %ds
    popw %cx
    loop 1b
    jmp wait_idle
// INT 13h function AH of drive DL: CX blocks from EDI on, at BX:0.
bios_move:
    movb $0, %al
    movw %cx, AT(packet) + 2
    movw $0, AT(packet) + 4
    movw %bx, AT(packet) + 6
    movl %edi, AT(packet) + 8
    movl $0, AT(packet) + 12
    movw $AT(packet), %si
    int $0x13
    ret
// ZF: whether CX bytes at BUFFER:0 and OTHER:0 are the same.
same_bytes:
    pushw %ds
    movw $BUFFER, %ax
    movw %ax, %ds
    movw $OTHER, %ax
    movw %ax, %es
    xorw %si, %si
    xorw %di, %di
    repe cmpsb
    popw %ds
    ret
// Fills CX bytes at segment BX with a pattern from AL on.
fill_bytes:
    movw %bx, %es
    xorw %di, %di
1:  stosb
    addb $7, %al
    loop 1b
    ret

reset_checks:
    movw $(PRIMARY + 0x206), %dx
    movb $0x06, %al
    outb %al, %dx
    inb %dx, %al
    andb $0x80, %al
    EXPECT_B "busy while software reset is set", %al, 0x80
    movb $0x02, %al
    outb %al, %dx
    call wait_idle
    EXPECT_B "ready after reset", %al, 0x50
    movw $(PRIMARY + 4), %dx
    inw %dx, %ax
    EXPECT "the signature of a disk", %ax, 0
    movw $(PRIMARY + 6), %dx
    movb $0xB0, %al
    outb %al, %dx
    incw %dx
    inb %dx, %al
    EXPECT_B "no slave", %al, 0
    decw %dx
    movb $0xA0, %al
    outb %al, %dx
    ret

identify_checks:
    xorl %eax, %eax
    movb $1, %cl
    movb $0xEC, %bl
    call issue
    movw $1, %cx
    call take_words
    EXPECT_L "sectors by 28 bits", %es:120, 32768
    EXPECT_L "sectors by 48 bits", %es:200, 32768
    movw %es:98, %ax
    andw $0x0300, %ax
    EXPECT "LBA and DMA", %ax, 0x0300
    EXPECT "cylinders", %es:2, 32
    call wait_idle
    EXPECT_B "ready after IDENTIFY", %al, 0x50
    ret

read_checks:
    movl $100, %eax
    movb $40, %cl
    movb $0x20, %bl
    call issue
    movw $40, %cx
    call take_words
    movw $0x4200, %ax
    movb $HARD_DISK, %dl
    movw $OTHER, %bx
    movw $40, %cx
    movl $100, %edi
    call bios_move
    CARRY_CLEAR "INT 13h reads"
    movw $(40 * 512), %cx
    call same_bytes
    ZERO_SET "by words as by INT 13h"
    movl $16, %ecx
    xorl %eax, %eax
    movb $0xC6, %bl
    call issue
    call wait_idle
    EXPECT_B "multiple mode is set", %al, 0x50
    movl $100, %eax
    movb $16, %cl
    movb $0xC4, %bl
    call issue
    call wait_data
    movw $BUFFER, %ax
    movw %ax, %es
    xorw %di, %di
    movw $PRIMARY, %dx
    movw $(16 * 128), %cx
    rep insl
    call wait_idle
    EXPECT_B "sixteen sectors are one block", %al, 0x50
    movw $(16 * 512), %cx
    call same_bytes
    ZERO_SET "by doublewords as by INT 13h"
    movl $1000000, %eax
    movb $1, %cl
    movb $0x20, %bl
    call issue
    call wait_data
    EXPECT_B "beyond the end is an error", %al, 0x51
    movw $(PRIMARY + 1), %dx
    inb %dx, %al
    EXPECT_B "of an address that is not there", %al, 0x10
    ret

write_checks:
    movb $3, %al
    movw $BUFFER, %bx
    movw $(20 * 512), %cx
    call fill_bytes
    movl $LAST_SECTORS, %eax
    movb $20, %cl
    movb $0x30, %bl
    call issue
    movw $20, %cx
    call give_words
    EXPECT_B "written", %al, 0x50
    movw $0x4200, %ax
    movb $HARD_DISK, %dl
    movw $OTHER, %bx
    movw $20, %cx
    movl $LAST_SECTORS, %edi
    call bios_move
    movw $(20 * 512), %cx
    call same_bytes
    ZERO_SET "INT 13h reads what the controller wrote"
    movb $77, %al
    movw $OTHER, %bx
    movw $(20 * 512), %cx
    call fill_bytes
    movw $0x4300, %ax
    movb $HARD_DISK, %dl
    movw $OTHER, %bx
    movw $20, %cx
    movl $(LAST_SECTORS + 30), %edi
    call bios_move
    movl $(LAST_SECTORS + 30), %eax
    movb $20, %cl
    movb $0x20, %bl
    call issue
    movw $20, %cx
    call take_longs
    movw $(20 * 512), %cx
    call same_bytes
    ZERO_SET "the controller reads what INT 13h wrote"
    xorl %eax, %eax
    movb $0xE7, %bl
    call issue
    call wait_idle
    EXPECT_B "flushed", %al, 0x50
    ret

// Counts, and takes the interrupt back by the status register.
on_disk:
    pushw %ax
    pushw %dx
    movw $(PRIMARY + 7), %dx
    inb %dx, %al
    incw %cs:AT(edges)
    movb $0x20, %al
    outb %al, $0xA0
    outb %al, $0x20
    popw %dx
    popw %ax
    iret

interrupt_checks:
    HOOK 0x76, on_disk, old_disk
    inb $0xA1, %al
    andb $0xBF, %al
    outb %al, $0xA1
    inb $0x21, %al
    andb $0xFB, %al
    outb %al, $0x21
    OUT8 0x3F6, 0
    movw $0, AT(edges)
    movl $500, %eax
    movb $3, %cl
    movb $0x20, %bl
    call issue
    movw $BUFFER, %ax
    movw %ax, %es
    xorw %di, %di
    movw $1, %bx
1:  sti
    hlt
    cmpw AT(edges), %bx
    jne 1b
    movw $PRIMARY, %dx
    movw $256, %cx
    rep insw
    incw %bx
    cmpw $4, %bx
    jne 1b
    EXPECT "an interrupt a sector", AT(edges), 3
    OUT8 0x3F6, 2
    inb $0xA1, %al
    orb $0x40, %al
    outb %al, $0xA1
    UNHOOK 0x76, old_disk
    ret
    .balign 4
old_disk: .long 0

// Sends the twelve bytes at SI as a packet; AL: the status behind it.
packet_command:
    movw $(SECONDARY + 1), %dx
    movb $0, %al
    outb %al, %dx
    movw $(SECONDARY + 4), %dx
    outb %al, %dx
    incw %dx
    movb $0x08, %al
    outb %al, %dx
    addw $2, %dx
    movb $0xA0, %al
    outb %al, %dx
    call wait_data
    movw $SECONDARY, %dx
    movw $6, %cx
    rep outsw
    jmp wait_idle

disc_checks:
    movw $SECONDARY, AT(base)
    OUT8 0x376, 0x06
    OUT8 0x376, 0x02
    movw $(SECONDARY + 6), %dx
    movb $0xA0, %al
    outb %al, %dx
    call wait_idle
    EXPECT_B "a packet device is not ready yet", %al, 0
    movw $(SECONDARY + 4), %dx
    inw %dx, %ax
    EXPECT "the signature of a packet device", %ax, 0xEB14
    movw $AT(test_unit), %si
    call packet_command
    EXPECT_B "unit attention", %al, 0x41
    movw $AT(test_unit), %si
    call packet_command
    EXPECT_B "then ready", %al, 0x40
    movw $AT(read_blocks), %si
    call packet_command
    movw $BUFFER, %ax
    movw %ax, %es
    xorw %di, %di
1:  call wait_idle
    testb $0x08, %al
    jz 2f
    movw $(SECONDARY + 4), %dx
    inw %dx, %ax
    movw %ax, %cx
    shrw $1, %cx
    movw $SECONDARY, %dx
    rep insw
    jmp 1b
2:  EXPECT_B "read", %al, 0x40
    EXPECT "five blocks", %di, 10240
    movw $0x4200, %ax
    movb $CD, %dl
    movw $OTHER, %bx
    movw $5, %cx
    movl $20, %edi
    call bios_move
    CARRY_CLEAR "INT 13h reads the CD"
    movw $(5 * 2048), %cx
    call same_bytes
    ZERO_SET "the CD by packets as by INT 13h"
    movw $PRIMARY, AT(base)
    ret
test_unit: .fill 12, 1, 0
read_blocks: .byte 0x28, 0, 0, 0, 0, 20, 0, 0, 5, 0, 0, 0

on_floppy:
    pushw %ax
    incw %cs:AT(edges)
    movb $0x20, %al
    outb %al, $0x20
    popw %ax
    iret

// Gives the floppy controller AL.
floppy_give:
    pushw %dx
    movb %al, %ah
    movw $0x3F4, %dx
1:  inb %dx, %al
    andb $0xC0, %al
    cmpb $0x80, %al
    jne 1b
    incw %dx
    movb %ah, %al
    outb %al, %dx
    popw %dx
    ret
// AL: a byte of the floppy controller's result.
floppy_take:
    pushw %dx
    movw $0x3F4, %dx
1:  inb %dx, %al
    andb $0xC0, %al
    cmpb $0xC0, %al
    jne 1b
    incw %dx
    inb %dx, %al
    popw %dx
    ret
// Gives the CX bytes at SI.
floppy_command:
    lodsb
    call floppy_give
    loop floppy_command
    ret
// Waits for the next interrupt and forgets it.
floppy_wait:
    cli
1:  cmpw $0, AT(edges)
    jne 2f
    sti
    hlt
    cli
    jmp 1b
2:  movw $0, AT(edges)
    sti
    ret
// Channel 2 of the DMA controller: mode AL, CX bytes at BUFFER:0.
floppy_dma:
    pushw %ax
    OUT8 0x0A, 0x06
    OUT8 0x0C, 0x00
    popw %ax
    outb %al, $0x0B
    OUT8 0x04, 0x00
    OUT8 0x04, 0x00
    OUT8 0x81, 0x02
    decw %cx
    movb %cl, %al
    outb %al, $0x05
    movb %ch, %al
    outb %al, $0x05
    OUT8 0x0A, 0x02
    ret
// Takes seven result bytes; AX the first two, the first one low.
floppy_result:
    pushw %cx
    call floppy_take
    movb %al, %bl
    call floppy_take
    movb %al, %bh
    movw $5, %cx
1:  call floppy_take
    loop 1b
    movw %bx, %ax
    popw %cx
    ret

floppy_checks:
    HOOK 0x0E, on_floppy, old_floppy
    inb $0x21, %al
    andb $0xBF, %al
    outb %al, $0x21
    movw $0, AT(edges)
    OUT8 0x3F2, 0x00
    OUT8 0x3F2, 0x1C
    call floppy_wait
    movw $4, %cx
1:  movb $0x08, %al
    call floppy_give
    call floppy_take
    movb %al, %bl
    call floppy_take
    loop 1b
    EXPECT_B "the last drive polled after reset", %bl, 0xC3
    OUT8 0x3F7, 0
    movw $AT(specify), %si
    movw $3, %cx
    call floppy_command
    movw $AT(recalibrate), %si
    movw $2, %cx
    call floppy_command
    call floppy_wait
    movb $0x08, %al
    call floppy_give
    call floppy_take
    EXPECT_B "the heads are at track 0", %al, 0x20
    call floppy_take
    movb $0x46, %al
    movw $1024, %cx
    call floppy_dma
    movw $AT(read_first), %si
    movw $9, %cx
    call floppy_command
    call floppy_wait
    call floppy_result
    EXPECT "the floppy was read", %ax, 0
    movw $BUFFER, %ax
    movw %ax, %es
    xorw %di, %di
    movw $0x7C00, %si
    movw $512, %cx
    repe cmpsb
    ZERO_SET "the floppy's first sector is this program's"
    // The last sector of the diskette is written.
    movw $AT(seek_last), %si
    movw $3, %cx
    call floppy_command
    call floppy_wait
    movb $0x08, %al
    call floppy_give
    call floppy_take
    call floppy_take
    EXPECT_B "the heads are at track 79", %al, 79
    movb $9, %al
    movw $BUFFER, %bx
    movw $512, %cx
    call fill_bytes
    movb $0x4A, %al
    movw $512, %cx
    call floppy_dma
    movw $AT(write_last), %si
    movw $9, %cx
    call floppy_command
    call floppy_wait
    call floppy_result
    EXPECT "the floppy was written", %ax, 4
    movw $OTHER, %ax
    movw %ax, %es
    xorw %bx, %bx
    movw $0x0201, %ax
    movw $(79 << 8 | 18), %cx
    movw $0x0100, %dx
    int $0x13
    CARRY_CLEAR "INT 13h reads the floppy"
    movw $512, %cx
    call same_bytes
    ZERO_SET "INT 13h reads what the floppy controller wrote"
    UNHOOK 0x0E, old_floppy
    ret
    .balign 4
old_floppy: .long 0
specify: .byte 0x03, 0xDF, 0x02
recalibrate: .byte 0x07, 0x00
read_first: .byte 0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF
seek_last: .byte 0x0F, 0x04, 79
write_last: .byte 0xC5, 0x04, 79, 1, 18, 2, 18, 0x1B, 0xFF

    CHECK_ROUTINES
GUEST_END disks

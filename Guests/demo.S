// The demo desktop's way from the boot sector to 64-bit ring 3, and its interrupt handlers.
//
// The boot sector loads the rest, asks the VESA BIOS for the monitor's mode and enters long mode.
// Ring 0 keeps four interrupt handlers, which only count and put bytes into rings; the desktop is
// ring 3 (demo/), which runs natively even on hosts whose KVM emulates ring 0. Ring 3 sleeps by HLT,
// whose #GP handler halts.
#include "guest.inc"
#include "demo/layout.h"

// The memory below the boot sector; demo/demo.h knows MAIL, MODE_INFO and BOOT_HEADER.
#define PAGE_TABLES 0x1000
#define MAIL 0x5000
#define KERNEL_STACK 0x5C00
#define IDT 0x6000
#define TSS 0x6400
#define IO_BITMAP 104
#define PORTS_IN_BITMAP 0x5660
#define VBE_INFO 0x7000
#define MODE_INFO 0x7200
#define EDID 0x7300
#define USER_STACK 0x300000

// Where the interrupt handlers leave word: see struct mail.
#define TICKS (MAIL + 0)
#define SECONDS (MAIL + 4)
#define WAKES (MAIL + 8)
#define SEEN (MAIL + 9)
#define KEY_HEAD (MAIL + 10)
#define MOUSE_HEAD (MAIL + 11)
#define KEY_RING (MAIL + 16)
#define MOUSE_RING (MAIL + 272)
#include "long.inc"

GUEST_BEGIN demo
    jmp start
    .org guest_base + DEMO_HEADER
// What guest_copy() fills in: see struct boot_header.
image_sectors: .long 0
entry: .long 0
scene: .long 0
kilobytes: .long 0
wanted_width: .long 0
wanted_height: .long 0
start:
    FLAT_START
    // The rest of the image behind this sector: a track at a time, or up to a 64 KiB boundary, which
    // a diskette's DMA can't cross.
    movl $1, %ebp
next_piece:
    movl AT(image_sectors), %esi
    subw %bp, %si
    jbe stage2
    movw %bp, %ax
    xorw %dx, %dx
    movw $18, %bx
    divw %bx
    movb %dl, %cl
    incb %cl
    subw %dx, %bx                   // what is left of this track
    movb %al, %ch
    shrb $1, %ch
    movb %al, %dh
    andb $1, %dh
    movb $0, %dl
    cmpw %si, %bx
    jbe 1f
    movw %si, %bx
1:  movw %bp, %ax
    addw $0x3E, %ax                 // the sector's place in memory, in sectors
    movw %ax, %di
    negw %ax
    andw $0x7F, %ax
    jz 2f
    cmpw %ax, %bx
    jbe 2f
    movw %ax, %bx
2:  shlw $5, %di
    movw %di, %es
    addw %bx, %bp
    movb %bl, %al
    movb $0x02, %ah
    xorw %bx, %bx
    pushw %bp
    int $0x13
    popw %bp
    jnc next_piece
stop16:
    hlt
    jmp stop16
    BOOT_SIGNATURE

stage2:
    xorw %ax, %ax
    movw %ax, %es
    // Memory above 1 MiB.
    movb $0x88, %ah
    int $0x15
    movzwl %ax, %eax
    movl %eax, AT(kilobytes)
    // The size that was asked for; or the one that the monitor likes best, where there is memory for
    // its picture.
    movw AT(wanted_width), %bx
    testw %bx, %bx
    jz 1f
    movw %bx, AT(width)
    movw AT(wanted_height), %bx
    movw %bx, AT(height)
    jmp find_mode
1:
    cmpl $(31 << 10), %eax
    jb find_mode
    movw $0x4F15, %ax
    movw $0x0001, %bx
    xorw %cx, %cx
    xorw %dx, %dx
    movw $EDID, %di
    int $0x10
    cmpw $0x004F, %ax
    jne find_mode
    movzbw EDID + 58, %ax
    shrw $4, %ax
    movb %al, %ah
    movb EDID + 56, %al
    movw %ax, AT(width)
    movzbw EDID + 61, %ax
    shrw $4, %ax
    movb %al, %ah
    movb EDID + 59, %al
    movw %ax, AT(height)
find_mode:
    // Among the BIOS's modes, the one of that size with 32 bits and a linear frame buffer.
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
    je no_such_mode
    movw $MODE_INFO, %di
    movw $0x4F01, %ax
    pushw %cx
    int $0x10
    popw %cx
    cmpw $0x004F, %ax
    jne next_mode
    testb $0x80, MODE_INFO
    jz next_mode
    movw AT(width), %ax
    cmpw %ax, MODE_INFO + 18
    jne next_mode
    movw AT(height), %ax
    cmpw %ax, MODE_INFO + 20
    jne next_mode
    cmpb $32, MODE_INFO + 25
    jne next_mode
    movw %cx, %bx
    orw $0x4000, %bx
    movw $0x4F02, %ax
    int $0x10
    cli
    jmp leave_real_mode
// The monitor likes what the adapter lacks: the usual size then, once.
no_such_mode:
    cmpw $1024, AT(width)
    je stop16
    movw $1024, AT(width)
    movw $768, AT(height)
    jmp find_mode
width: .word 1024
height: .word 768

leave_real_mode:
    // Page tables: the first 64 MiB and 16 MiB of frame buffer, all for ring 3.
    movw $PAGE_TABLES, %di
    xorl %eax, %eax
    movl $4096, %ecx
    rep stosl
    movl $(PAGE_TABLES + 0x1007), PAGE_TABLES
    movl $(PAGE_TABLES + 0x2007), PAGE_TABLES + 0x1000
    movw $(PAGE_TABLES + 0x2000), %bx
    movl $0x87, %eax
    movw $32, %cx
1:  movl %eax, (%bx)
    addl $0x200000, %eax
    addw $8, %bx
    loop 1b
    movl MODE_INFO + 40, %eax
    movl %eax, %ebx
    shrl $30, %ebx
    shlw $3, %bx
    movl $(PAGE_TABLES + 0x3007), PAGE_TABLES + 0x1000(%bx)
    movl %eax, %ebx
    shrl $21, %ebx
    andw $511, %bx
    shlw $3, %bx
    orl $0x87, %eax
    movw $8, %cx
1:  movl %eax, PAGE_TABLES + 0x3000(%bx)
    addl $0x200000, %eax
    addw $8, %bx
    loop 1b

    ENTER_LONG_MODE

    .code64
long_mode:
    // The task state: the ring 0 stack, and an I/O bitmap that gives ring 3 the ports it drives.
    CLOSED_TASK_STATE
    movl $AT(open_ports), %esi
1:  movzwl (%rsi), %eax
    testl %eax, %eax
    jz 2f
    movb $0x00, TSS + IO_BITMAP(%rax)
    addq $2, %rsi
    jmp 1b
2:  movl $0x30, %eax
    ltr %ax
    movl $MAIL, %edi
    xorl %eax, %eax
    movl $0x100, %ecx
    rep stosl
    // The interrupt table: faults stop, and five entries are served.
    movl $IDT, %edi
    xorl %ecx, %ecx
1:  movl $AT(stop64), %eax
    call gate
    incl %ecx
    cmpl $0x30, %ecx
    jb 1b
    movl $AT(handlers), %esi
1:  movl (%rsi), %ecx
    testl %ecx, %ecx
    jz 2f
    movl 4(%rsi), %eax
    call gate
    addq $8, %rsi
    jmp 1b
2:  lidt AT(idt_pointer)
    // The 8259 pair: vectors 20h and 28h; ring 3 opens what it wants.
    movl $AT(pic_program), %esi
    movl $10, %ecx
1:  lodsw
    movzbl %al, %edx
    movb %ah, %al
    outb %al, %dx
    loop 1b
    // Off to ring 3.
    movl AT(entry), %eax
    addl $AT(guest_demo_end), %eax
    pushq $0x23
    pushq $USER_STACK - 8
    pushq $0x202
    pushq $0x2B
    pushq %rax
    iretq

    GATE_ROUTINE

timer_interrupt:
    incl TICKS
    jmp first_end

keyboard_interrupt:
    pushq %rax
    pushq %rbx
    inb $0x60, %al
    movzbl KEY_HEAD, %ebx
    movb %al, KEY_RING(%rbx)
    incb KEY_HEAD
    popq %rbx
    popq %rax
    // The first controller's interrupt ends.
first_end:
    incb WAKES
    pushq %rax
    movb $0x20, %al
    outb %al, $0x20
    popq %rax
    iretq

clock_interrupt:
    pushq %rax
    incl SECONDS
    movb $0x0C, %al                 // register C says why, and is free again once read
    outb %al, $0x70
    inb $0x71, %al
    jmp second_end

mouse_interrupt:
    pushq %rax
    pushq %rbx
    inb $0x60, %al
    movzbl MOUSE_HEAD, %ebx
    movb %al, MOUSE_RING(%rbx)
    incb MOUSE_HEAD
    popq %rbx
    // Both controllers' interrupts end.
second_end:
    incb WAKES
    movb $0x20, %al
    outb %al, $0xA0
    outb %al, $0x20
    popq %rax
    iretq

// HLT in ring 3 comes here. It sleeps only while ring 3 has seen all that happened: interrupts are
// off until the STI before HLT, so nothing can slip in between.
general_protection:
    addq $8, %rsp
    pushq %rax
    movq 8(%rsp), %rax
    cmpb $0xF4, (%rax)
    jne stop64
    incq 8(%rsp)
    movb WAKES, %al
    cmpb SEEN, %al
    jne 1f
    sti
    hlt
1:  popq %rax
    iretq

stop64:
    cli
    hlt
    jmp stop64

    .balign 8
    USER_MODE_TABLES
    .balign 4
// Vector and handler.
handlers:
    .long 13, AT(general_protection)
    .long 0x20, AT(timer_interrupt)
    .long 0x21, AT(keyboard_interrupt)
    .long 0x28, AT(clock_interrupt)
    .long 0x2C, AT(mouse_interrupt)
    .long 0
// Eighths of ports: the 8259 pair, the timer, keyboard and mouse, the clock, COM1, VMware's.
open_ports:
    .word 0x20 / 8, 0x40 / 8, 0x60 / 8, 0x70 / 8, 0xA0 / 8, 0x3F8 / 8, 0x5658 / 8, 0
// Port and value: ICW1 to ICW4 and the masks of both controllers.
pic_program:
    .byte 0x20, 0x11, 0x21, 0x20, 0x21, 0x04, 0x21, 0x01
    .byte 0xA0, 0x11, 0xA1, 0x28, 0xA1, 0x02, 0xA1, 0x01
    .byte 0x21, 0xFB, 0xA1, 0xFF
GUEST_END demo

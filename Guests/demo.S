// The demo picture: 1024x768 in 64-bit mode, drawn in ring 3 with a text pad and a pointer.
//
// The boot sector loads the rest, asks the VESA BIOS for its mode and enters long mode. Ring 0 keeps
// three interrupt handlers, which only put bytes into rings; all drawing is ring 3, which runs
// natively even on hosts whose KVM emulates ring 0. Ring 3 sleeps by HLT, whose #GP handler halts.
#include "guest.inc"

#define FONT 0x5000
#define IDT 0x6000
#define TSS 0xC000
#define IO_BITMAP 104
#define PORTS_IN_BITMAP 0x400
#define VBE_INFO 0xD000
#define MODE_INFO 0xD200
#define KERNEL_STACK 0xF800
#define PAGE_TABLES 0x10000
#define USER_STACK 0x30000
#define UNDER_POINTER 0x30000
#define KEY_RING 0x31000
#define MOUSE_RING 0x31100

#define WIDTH 1024
#define HEIGHT 768
#define PAD_X 144
#define PAD_Y 128
#define PAD_COLUMNS 92
#define PAD_ROWS 32

#define COM1 0x3F8

GUEST_BEGIN demo
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7C00, %sp
    // The 17 sectors that follow on the first track.
    movw $0x0211, %ax
    movw $0x0002, %cx
    movb $0, %dh
    movw $0x7E00, %bx
    int $0x13
    jc stop16
    jmp stage2
stop16:
    hlt
    jmp stop16
    BOOT_SIGNATURE

stage2:
    // The BIOS's 8x16 font, copied to where 64-bit code finds it.
    movw $0x1130, %ax
    movb $0x06, %bh
    pushw %ds
    int $0x10
    pushw %es
    popw %ds
    movw %bp, %si
    xorw %ax, %ax
    movw %ax, %es
    movw $FONT, %di
    movw $1024, %cx
    rep movsl
    popw %ds
    // Among the BIOS's modes, the one of 1024x768 with 32 bits and a linear frame buffer.
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
    pushw %cx
    int $0x10
    popw %cx
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
    cli

    // Page tables: the first 2 MiB and 16 MiB of frame buffer, all for ring 3.
    movw $(PAGE_TABLES >> 4), %ax
    movw %ax, %es
    xorw %di, %di
    xorl %eax, %eax
    movl $4096, %ecx
    rep stosl
    movl $(PAGE_TABLES + 0x1007), %es:0
    movl $(PAGE_TABLES + 0x2007), %es:0x1000
    movl $0x87, %es:0x2000
    movl MODE_INFO + 40, %eax
    movl %eax, %ebx
    shrl $30, %ebx
    shlw $3, %bx
    movl $(PAGE_TABLES + 0x3007), %es:0x1000(%bx)
    movl %eax, %ebx
    shrl $21, %ebx
    andw $511, %bx
    shlw $3, %bx
    orl $0x87, %eax
    movw $8, %cx
1:  movl %eax, %es:0x3000(%bx)
    addl $0x200000, %eax
    addw $8, %bx
    loop 1b

    lgdt AT(gdt_pointer)
    movl %cr0, %eax
    orb $1, %al
    movl %eax, %cr0
    ljmpl $0x08, $AT(protected)

    .code32
protected:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $KERNEL_STACK, %esp
    movl $0x620, %eax               // PAE, OSFXSR, OSXMMEXCPT
    movl %eax, %cr4
    movl $PAGE_TABLES, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx          // EFER.LME
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    ljmpl $0x18, $AT(long_mode)

    .code64
long_mode:
    // The task state: the ring 0 stack, and an I/O bitmap that gives ring 3 the serial port.
    movl $TSS, %edi
    xorl %eax, %eax
    movl $26, %ecx
    rep stosl
    movl $KERNEL_STACK, TSS + 4
    movw $IO_BITMAP, TSS + 102
    movl $TSS + IO_BITMAP, %edi
    movl $0xFFFFFFFF, %eax
    movl $(PORTS_IN_BITMAP / 32 + 1), %ecx
    rep stosl
    movb $0x00, TSS + IO_BITMAP + COM1 / 8
    movl $0x30, %eax
    ltr %ax
    // The interrupt table: faults stop, and four entries are served.
    movl $IDT, %edi
    xorl %ecx, %ecx
1:  movl $AT(stop64), %eax
    call gate
    incl %ecx
    cmpl $0x30, %ecx
    jb 1b
    movl $13, %ecx
    movl $AT(general_protection), %eax
    call gate
    movl $0x21, %ecx
    movl $AT(keyboard_interrupt), %eax
    call gate
    movl $0x2C, %ecx
    movl $AT(mouse_interrupt), %eax
    call gate
    lidt AT(idt_pointer)
    // The 8259 pair: vectors 20h and 28h, IRQ 1, 2 and 12 open.
    movl $AT(pic_program), %esi
    movl $10, %ecx
1:  lodsw
    movzbl %al, %edx
    movb %ah, %al
    outb %al, %dx
    loop 1b
    call start_mouse
    // Off to ring 3.
    pushq $0x23
    pushq $USER_STACK
    pushq $0x202
    pushq $0x2B
    pushq $AT(main)
    iretq

// Sets gate ECX to the handler at EAX, from ring 0.
gate:
    movl %ecx, %ebx
    shll $4, %ebx
    movw %ax, IDT(%rbx)
    movw $0x18, IDT + 2(%rbx)
    movw $0x8E00, IDT + 4(%rbx)
    shrl $16, %eax
    movl %eax, IDT + 6(%rbx)
    movl $0, IDT + 10(%rbx)
    ret

// Turns the PS/2 mouse on: its clock, its interrupt, its stream of packets.
start_mouse:
    movb $0xA8, %al
    call controller_command
    movb $0x20, %al
    call controller_command
    call wait_output
    inb $0x60, %al
    orb $0x03, %al                  // both interrupts
    andb $0xDF, %al                 // the mouse's clock
    movb %al, %bl
    movb $0x60, %al
    call controller_command
    movb %bl, %al
    outb %al, $0x60
    movb $0xD4, %al
    call controller_command
    movb $0xF4, %al
    outb %al, $0x60
    call wait_output
    inb $0x60, %al                  // the acknowledgement
    ret
controller_command:
    movb %al, %ah
1:  inb $0x64, %al
    testb $2, %al
    jnz 1b
    movb %ah, %al
    outb %al, $0x64
1:  inb $0x64, %al
    testb $2, %al
    jnz 1b
    ret
wait_output:
    movl $100000, %ecx
1:  inb $0x64, %al
    testb $1, %al
    jnz 2f
    decl %ecx
    jnz 1b
2:  ret

keyboard_interrupt:
    pushq %rax
    pushq %rbx
    inb $0x60, %al
    movzbl AT(key_head), %ebx
    movb %al, KEY_RING(%rbx)
    incb AT(key_head)
    movb $0x20, %al
    outb %al, $0x20
    popq %rbx
    popq %rax
    iretq

mouse_interrupt:
    pushq %rax
    pushq %rbx
    inb $0x60, %al
    movzbl AT(mouse_head), %ebx
    movb %al, MOUSE_RING(%rbx)
    incb AT(mouse_head)
    movb $0x20, %al
    outb %al, $0xA0
    outb %al, $0x20
    popq %rbx
    popq %rax
    iretq

// HLT in ring 3 comes here. It sleeps only while both rings are empty: interrupts are off until the
// STI before HLT, so no byte can slip in between.
general_protection:
    addq $8, %rsp
    pushq %rax
    movq 8(%rsp), %rax
    cmpb $0xF4, (%rax)
    jne stop64
    incq 8(%rsp)
    movb AT(key_head), %al
    cmpb AT(key_tail), %al
    jne 1f
    movb AT(mouse_head), %al
    cmpb AT(mouse_tail), %al
    jne 1f
    sti
    hlt
1:  popq %rax
    iretq

stop64:
    cli
    hlt
    jmp stop64

// ---- Ring 3 from here on ----

main:
    movl MODE_INFO + 40, %eax
    movq %rax, AT(frame_buffer)
    movzwl MODE_INFO + 16, %eax
    movl %eax, AT(pitch)
    call draw_wallpaper
    call draw_pad
    call show_pointer
    movl $(COM1 + 3), %edx          // line control: 8 bits, no parity
    movb $0x03, %al
    outb %al, %dx
    movl $AT(ready_text), %esi
    movl $COM1, %edx
1:  lodsb
    testb %al, %al
    jz event_loop
    outb %al, %dx
    jmp 1b

event_loop:
    movzbl AT(key_tail), %ebx
    cmpb AT(key_head), %bl
    je 1f
    call hide_pointer
    movzbl AT(key_tail), %ebx
    movzbl KEY_RING(%rbx), %eax
    incb AT(key_tail)
    call handle_key
    call show_pointer
    jmp event_loop
1:  movzbl AT(mouse_tail), %ebx
    cmpb AT(mouse_head), %bl
    je 2f
    movzbl MOUSE_RING(%rbx), %eax
    incb AT(mouse_tail)
    call handle_mouse
    jmp event_loop
2:  hlt
    jmp event_loop

// Dusk over the sea: one colour a row, darker towards the top, and a bright line at the horizon.
draw_wallpaper:
    xorl %r12d, %r12d
1:  movl %r12d, %eax
    shrl $3, %eax
    addl $0x14, %eax
    movl %r12d, %ebx
    shrl $2, %ebx
    movl %ebx, %ecx
    shrl $2, %ecx
    addl $0x10, %ecx
    shll $16, %ecx
    addl $0x1C, %ebx
    shrl $1, %ebx
    shll $8, %ebx
    orl %ecx, %ebx
    addl $0x30, %eax
    orl %ebx, %eax
    cmpl $600, %r12d
    jb 2f
    shrl $1, %eax
    andl $0x7F7F7F, %eax
    addl $0x000A1C, %eax
2:  xorl %edi, %edi
    movl %r12d, %esi
    movl $WIDTH, %edx
    movl $1, %ecx
    call fill
    incl %r12d
    cmpl $HEIGHT, %r12d
    jb 1b
    ret

// The pad: a shadow, a frame, a title bar with three knobs, paper.
draw_pad:
    movl $AT(pad_rectangles), %r13d
1:  movl (%r13), %edi
    cmpl $-1, %edi
    je 2f
    movl 4(%r13), %esi
    movl 8(%r13), %edx
    movl 12(%r13), %ecx
    movl 16(%r13), %eax
    call fill
    addq $20, %r13
    jmp 1b
2:  movl $AT(title), %r13d
    movl $(PAD_X + 312), %r14d
    movl $(PAD_Y - 26), %r15d
    movl $0xE8EEF4, %r8d
    movl $0x2A4A6A, %r9d
    call text
    movl $AT(help), %r13d
    movl $(PAD_X - 8), %r14d
    movl $(PAD_Y + PAD_ROWS * 16 + 24), %r15d
    movl $0xFFFFFF, %r8d
    movl $0x00FFFFFF, %r9d
    call text_on_picture
    jmp draw_caret

// Fills EDX x ECX pixels at EDI, ESI with EAX. Keeps nothing but R8 to R15.
fill:
    movl AT(pitch), %ebx
    imull %ebx, %esi
    leaq (%rsi, %rdi, 4), %rdi
    addq AT(frame_buffer), %rdi
    movl %ecx, %ebp
1:  movq %rdi, %rsi
    movl %edx, %ecx
    rep stosl
    leaq (%rsi, %rbx), %rdi
    decl %ebp
    jnz 1b
    ret

// Draws the text at R13 from R14, R15 on, in R8 on R9.
text:
    movb $0, AT(transparent)
    jmp 1f
text_on_picture:
    movb $1, AT(transparent)
1:  movzbl (%r13), %eax
    testl %eax, %eax
    jz 2f
    call glyph
    incq %r13
    addl $8, %r14d
    jmp 1b
2:  movb $0, AT(transparent)
    ret

// Draws character EAX at R14, R15 in R8 on R9.
glyph:
    shll $4, %eax
    leaq FONT(%rax), %rsi
    movl AT(pitch), %ebx
    movl %r15d, %edi
    imull %ebx, %edi
    leaq (%rdi, %r14, 4), %rdi
    addq AT(frame_buffer), %rdi
    movl $16, %ecx
1:  movb (%rsi), %al
    movl $8, %edx
2:  shlb $1, %al
    jnc 3f
    movl %r8d, (%rdi)
    jmp 4f
3:  cmpb $0, AT(transparent)
    jne 4f
    movl %r9d, (%rdi)
4:  addq $4, %rdi
    decl %edx
    jnz 2b
    leaq -32(%rdi, %rbx), %rdi
    incq %rsi
    decl %ecx
    jnz 1b
    ret

// R14, R15: the pixel of the pad's current cell.
locate_cell:
    movl AT(column), %r14d
    leal PAD_X(, %r14, 8), %r14d
    movl AT(row), %r15d
    shll $4, %r15d
    addl $PAD_Y, %r15d
    ret

// Draws AL into the current cell.
draw_cell:
    movl %eax, %r12d
    call locate_cell
    movzbl %r12b, %eax
    movl $0x20242C, %r8d
    movl $0xF6F2E8, %r9d
    jmp glyph

draw_caret:
    call locate_cell
    movl %r14d, %edi
    leal 14(%r15), %esi
    movl $8, %edx
    movl $2, %ecx
    movl $0xC05020, %eax
    jmp fill

erase_caret:
    movb $' ', %al
    jmp draw_cell

new_line:
    movl $0, AT(column)
    incl AT(row)
    cmpl $PAD_ROWS, AT(row)
    jb 1f
clear_pad:
    movl $0, AT(column)
    movl $0, AT(row)
    movl $PAD_X, %edi
    movl $PAD_Y, %esi
    movl $(PAD_COLUMNS * 8), %edx
    movl $(PAD_ROWS * 16), %ecx
    movl $0xF6F2E8, %eax
    jmp fill
1:  ret

// A byte of scan code set 1 in EAX.
handle_key:
    cmpb $0xE0, %al
    je 9f
    cmpb $0x2A, %al
    je 7f
    cmpb $0x36, %al
    je 7f
    cmpb $0xAA, %al
    je 8f
    cmpb $0xB6, %al
    je 8f
    cmpb $58, %al
    jae 9f
    movzbl AT(shifted), %ebx
    imull $58, %ebx, %ebx
    addl %eax, %ebx
    movzbl AT(keys)(%rbx), %eax
    testl %eax, %eax
    jz 9f
    cmpb $27, %al
    je 4f
    cmpb $8, %al
    je 3f
    cmpb $13, %al
    je 2f
    call draw_cell
    incl AT(column)
    cmpl $PAD_COLUMNS, AT(column)
    jb draw_caret
    call new_line
    jmp draw_caret
2:  call erase_caret
    call new_line
    jmp draw_caret
3:  cmpl $0, AT(column)
    je 9f
    call erase_caret
    decl AT(column)
    call erase_caret
    jmp draw_caret
4:  call clear_pad
    jmp draw_caret
7:  movb $1, AT(shifted)
    ret
8:  movb $0, AT(shifted)
9:  ret

// A byte of a mouse packet in EAX. The third one completes it.
handle_mouse:
    movzbl AT(packet_bytes), %ebx
    testl %ebx, %ebx
    jnz 1f
    testb $0x08, %al                // every packet's first byte has this bit
    jz 9f
1:  movb %al, AT(packet)(%rbx)
    incl %ebx
    cmpl $3, %ebx
    je 2f
    movb %bl, AT(packet_bytes)
    ret
2:  movb $0, AT(packet_bytes)
    call hide_pointer
    movzbl AT(packet) + 1, %eax
    testb $0x10, AT(packet)
    jz 3f
    subl $256, %eax
3:  addl AT(pointer_x), %eax
    movl $(WIDTH - 12), %ecx
    call clamp
    movl %eax, AT(pointer_x)
    movzbl AT(packet) + 2, %eax
    testb $0x20, AT(packet)
    jz 4f
    subl $256, %eax
4:  negl %eax
    addl AT(pointer_y), %eax
    movl $(HEIGHT - 18), %ecx
    call clamp
    movl %eax, AT(pointer_y)
    jmp show_pointer
9:  ret

// Brings EAX into 0...ECX.
clamp:
    testl %eax, %eax
    jns 1f
    xorl %eax, %eax
1:  cmpl %ecx, %eax
    jle 2f
    movl %ecx, %eax
2:  ret

// RDI: the pointer's first pixel; RBX: the pitch.
locate_pointer:
    movl AT(pitch), %ebx
    movl AT(pointer_y), %edi
    imull %ebx, %edi
    movl AT(pointer_x), %eax
    leaq (%rdi, %rax, 4), %rdi
    addq AT(frame_buffer), %rdi
    ret

hide_pointer:
    call locate_pointer
    movl $UNDER_POINTER, %esi
    movl $18, %edx
1:  movl $12, %ecx
    rep movsl
    leaq -48(%rdi, %rbx), %rdi
    decl %edx
    jnz 1b
    ret

show_pointer:
    call locate_pointer
    movl $UNDER_POINTER, %esi
    movl $AT(arrow), %ebp
    movl $18, %edx
1:  xorl %ecx, %ecx
2:  movl (%rdi, %rcx, 4), %eax
    movl %eax, (%rsi)
    addq $4, %rsi
    movzbl (%rbp), %eax
    incq %rbp
    cmpb $'.', %al
    je 4f
    movl $0x101010, %r8d
    cmpb $'X', %al
    je 3f
    movl $0xFFFFFF, %r8d
3:  movl %r8d, (%rdi, %rcx, 4)
4:  incl %ecx
    cmpl $12, %ecx
    jb 2b
    addq %rbx, %rdi
    decl %edx
    jnz 1b
    ret

    .balign 8
frame_buffer: .quad 0
pitch: .long 0
column: .long 0
row: .long 0
pointer_x: .long 700
pointer_y: .long 400
key_head: .byte 0
key_tail: .byte 0
mouse_head: .byte 0
mouse_tail: .byte 0
shifted: .byte 0
transparent: .byte 0
packet_bytes: .byte 0
packet: .byte 0, 0, 0

    .balign 8
gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF        // 08: 32-bit code, ring 0
    .quad 0x00CF93000000FFFF        // 10: data, ring 0
    .quad 0x00AF9B000000FFFF        // 18: 64-bit code, ring 0
    .quad 0x00CFF3000000FFFF        // 20: data, ring 3
    .quad 0x00AFFB000000FFFF        // 28: 64-bit code, ring 3
    .word IO_BITMAP + PORTS_IN_BITMAP / 8, TSS, 0x8900, 0   // 30: task state
    .quad 0
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long AT(gdt)
idt_pointer:
    .word 0x2FF
    .quad IDT
// Port and value: ICW1 to ICW4 and the masks of both controllers.
pic_program:
    .byte 0x20, 0x11, 0x21, 0x20, 0x21, 0x04, 0x21, 0x01
    .byte 0xA0, 0x11, 0xA1, 0x28, 0xA1, 0x02, 0xA1, 0x01
    .byte 0x21, 0xF9, 0xA1, 0xEF

    .balign 4
// x, y, width, height, colour
pad_rectangles:
    .long PAD_X - 8, PAD_Y - 28, PAD_COLUMNS * 8 + 28, PAD_ROWS * 16 + 52, 0x0C1622
    .long PAD_X - 16, PAD_Y - 36, PAD_COLUMNS * 8 + 28, PAD_ROWS * 16 + 50, 0x1C3048
    .long PAD_X - 14, PAD_Y - 34, PAD_COLUMNS * 8 + 24, 28, 0x2A4A6A
    .long PAD_X - 14, PAD_Y - 6, PAD_COLUMNS * 8 + 24, PAD_ROWS * 16 + 18, 0xF6F2E8
    .long PAD_X - 2, PAD_Y - 25, 11, 11, 0xE06C50
    .long PAD_X + 16, PAD_Y - 25, 11, 11, 0xE8B84C
    .long PAD_X + 34, PAD_Y - 25, 11, 11, 0x70B870
    .long -1
title: .asciz "Porthole text pad"
help: .asciz "Type anything. Enter starts a line, Backspace erases, Esc clears. The mouse moves the pointer."
ready_text: .asciz "demo ready\r\n"

// Scan codes 0 to 57 without and with Shift.
keys:
    .ascii "\0\0331234567890-=\b\tqwertyuiop[]\r\0asdfghjkl;'`\0\\zxcvbnm,./\0*\0 "
    .ascii "\0\033!@#$%^&*()_+\b\tQWERTYUIOP{}\r\0ASDFGHJKL:\"~\0|ZXCVBNM<>?\0*\0 "

// The arrow: X outline, O filling, . picture.
arrow:
    .ascii "X..........."
    .ascii "XX.........."
    .ascii "XOX........."
    .ascii "XOOX........"
    .ascii "XOOOX......."
    .ascii "XOOOOX......"
    .ascii "XOOOOOX....."
    .ascii "XOOOOOOX...."
    .ascii "XOOOOOOOX..."
    .ascii "XOOOOOOOOX.."
    .ascii "XOOOOOXXXXX."
    .ascii "XOOXOOX....."
    .ascii "XOX.XOOX...."
    .ascii "XX..XOOX...."
    .ascii "X....XOOX..."
    .ascii ".....XOOX..."
    .ascii "......XX...."
    .ascii "............"
GUEST_END demo

// What moves on a screen of 1024x768, for measuring: drawn by ring 3 in 64-bit mode, a hundred times
// a second. Keys choose the scene: 0 stands still, 1 fills the screen with noise that nothing can
// compress, 2 is a desktop: text that scrolls, and a window that is dragged. Space draws the
// desktop's next picture and stands still again. Any other key gives the square at 0,0 another colour, and so does a mouse packet to the one at 32,0. `ready` is said on
// COM1 at the start, and a dot at every fiftieth picture.
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
#define KEY_RING 0x31000
#define MOUSE_RING 0x31100
#define LINE 0x40000                // one line of text, in pixels
#define WINDOW 0x50000              // the window that is dragged, in pixels

#define WIDTH 1024
#define HEIGHT 768
#define BAR 16                      // rows at the top that no scene draws to
#define TERM_X 24
#define TERM_Y 64
#define TERM_COLUMNS 80
#define TERM_WIDTH (TERM_COLUMNS * 8)
#define TERM_HEIGHT 640
#define STEP 4                      // rows that the text scrolls by
#define WINDOW_WIDTH 200
#define WINDOW_HEIGHT 160
#define DRAG_LEFT 680
#define DRAG_TOP 40
#define DRAG_RIGHT (WIDTH - WINDOW_WIDTH - 8)
#define DRAG_BOTTOM (HEIGHT - WINDOW_HEIGHT - 8)

#define COM1 0x3F8
#define TIMER_DIVISOR 11932         // a hundredth of a second
#include "long.inc"

GUEST_BEGIN motion
    FLAT_START
    // What follows on the first track, from whatever it was started.
    movw $(0x0200 + (guest_motion_end - guest_base) / 512 - 1), %ax
    movw $0x0002, %cx
    movb $0, %dh
    movw $0x7E00, %bx
    int $0x13
    jc stop16
    jmp motion_stage2
stop16:
    hlt
    jmp stop16
    BOOT_SIGNATURE

motion_stage2:
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
    // The mode of 1024x768 with 32 bits and a linear frame buffer.
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
    ENTER_LONG_MODE

    .code64
long_mode:
    // The task state: the ring 0 stack, and an I/O bitmap that gives ring 3 the serial port, the
    // timer and the interrupt mask.
    CLOSED_TASK_STATE
    movb $0x00, TSS + IO_BITMAP + COM1 / 8
    movb $0xFD, TSS + IO_BITMAP + 0x21 / 8
    movb $0xF6, TSS + IO_BITMAP + 0x40 / 8
    movl $0x30, %eax
    ltr %ax
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
    movl $0x20, %ecx
    movl $AT(timer_interrupt), %eax
    call gate
    movl $0x21, %ecx
    movl $AT(keyboard_interrupt), %eax
    call gate
    movl $0x2C, %ecx
    movl $AT(mouse_interrupt), %eax
    call gate
    lidt AT(idt_pointer)
    movl $AT(chip_program), %esi
    movl $((chip_program_end - chip_program) / 2), %ecx
1:  lodsw
    movzbl %al, %edx
    movb %ah, %al
    outb %al, %dx
    loop 1b
    call start_mouse
    pushq $0x23
    pushq $USER_STACK
    pushq $0x202
    pushq $0x2B
    pushq $AT(main)
    iretq

    GATE_ROUTINE

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

timer_interrupt:
    pushq %rax
    incb AT(tick)
    movb $0x20, %al
    outb %al, $0x20
    popq %rax
    iretq

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

// HLT in ring 3 comes here. It sleeps only while nothing is to be done: interrupts are off until the
// STI before HLT, so nothing can slip in between.
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
    movb AT(tick), %al
    cmpb AT(tick_seen), %al
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
    call make_window
    movl $(COM1 + 3), %edx          // line control: 8 bits, no parity
    movb $0x03, %al
    outb %al, %dx
    movl $AT(ready_text), %esi
1:  lodsb
    testb %al, %al
    jz event_loop
    call say
    jmp 1b

say:
    movl $COM1, %edx
    outb %al, %dx
    ret

event_loop:
    movzbl AT(key_tail), %ebx
    cmpb AT(key_head), %bl
    je 1f
    movzbl KEY_RING(%rbx), %eax
    incb AT(key_tail)
    call handle_key
    jmp event_loop
1:  movzbl AT(mouse_tail), %ebx
    cmpb AT(mouse_head), %bl
    je 2f
    incb AT(mouse_tail)
    call handle_mouse
    jmp event_loop
2:  movb AT(tick), %al
    cmpb AT(tick_seen), %al
    je 4f
    movb %al, AT(tick_seen)
    cmpb $0, AT(scene)
    je 4f
    cmpb $1, AT(scene)
    jne 3f
    call draw_noise
    jmp 5f
3:  call draw_desktop
5:  incl AT(pictures)
    cmpl $50, AT(pictures)
    jb event_loop
    movl $0, AT(pictures)
    movb $'.', %al
    call say
    jmp event_loop
4:  hlt
    jmp event_loop

// A byte of scan code set 1 in EAX.
handle_key:
    cmpb $0x80, %al
    jae 9f
    cmpb $0x0B, %al                 // 0
    je 1f
    cmpb $0x02, %al                 // 1
    je 2f
    cmpb $0x03, %al                 // 2
    je 3f
    cmpb $0x39, %al                 // space
    je draw_desktop
    xorl %edi, %edi
    jmp change_square
1:  movb $0, AT(scene)
    movb $0xF9, %al                 // IRQ 1 and 2
    outb %al, $0x21
    movb $0x30, %al                 // a mode in which the timer waits for a count
    outb %al, $0x43
    ret
2:  movb $1, AT(scene)
    jmp 4f
3:  movb $2, AT(scene)
    call draw_wallpaper
4:  movb $0x34, %al
    outb %al, $0x43
    movb $(TIMER_DIVISOR & 0xFF), %al
    outb %al, $0x40
    movb $(TIMER_DIVISOR >> 8), %al
    outb %al, $0x40
    movb $0xF8, %al                 // the timer's interrupt, too
    outb %al, $0x21
9:  ret

// The third byte of a mouse packet completes it.
handle_mouse:
    incb AT(packet_bytes)
    cmpb $3, AT(packet_bytes)
    jb 9b
    movb $0, AT(packet_bytes)
    movl $32, %edi

// Gives the square at EDI, 0 a colour that it did not have before.
change_square:
    addl $0x050B17, AT(color)
    movl AT(color), %eax
    andl $0xFFFFFF, %eax
    xorl %esi, %esi
    movl $16, %edx
    movl $16, %ecx

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

// Four generators of 32 bits beside each other, xorshift of 13, 17 and 5.
draw_noise:
    movdqu AT(seeds), %xmm0
    movdqu AT(color_mask), %xmm2
    movl AT(pitch), %ebx
    movq AT(frame_buffer), %rdi
    imull $BAR, %ebx, %eax
    addq %rax, %rdi
    movl $(HEIGHT - BAR), %edx
1:  movl $(WIDTH / 4), %ecx
    movq %rdi, %rsi
2:  movdqa %xmm0, %xmm1
    pslld $13, %xmm1
    pxor %xmm1, %xmm0
    movdqa %xmm0, %xmm1
    psrld $17, %xmm1
    pxor %xmm1, %xmm0
    movdqa %xmm0, %xmm1
    pslld $5, %xmm1
    pxor %xmm1, %xmm0
    movdqa %xmm0, %xmm1
    pand %xmm2, %xmm1
    movdqu %xmm1, (%rsi)
    addq $16, %rsi
    decl %ecx
    jnz 2b
    addq %rbx, %rdi
    decl %edx
    jnz 1b
    movdqu %xmm0, AT(seeds)
    ret

// The picture behind everything, one colour a row.
draw_wallpaper:
    movl $BAR, %r12d
    movl $(HEIGHT - BAR), %ecx
    xorl %edi, %edi
    movl $WIDTH, %edx
// EDX pixels at EDI of ECX rows from R12 on.
wallpaper:
    movl %ecx, %r13d
    movl %edi, %r14d
    movl %edx, %r15d
1:  testl %r13d, %r13d
    jle 9b
    movl %r12d, %eax
    shrl $2, %eax
    imull $0x010101, %eax, %eax
    addl $0x102038, %eax
    movl %r14d, %edi
    movl %r12d, %esi
    movl %r15d, %edx
    movl $1, %ecx
    call fill
    incl %r12d
    decl %r13d
    jmp 1b

// Draws random letters into a buffer: EDI is where, EDX how many, EBX its pitch, R8 on R9.
letters:
    movl AT(letter_seed), %eax
    imull $1103515245, %eax, %eax
    addl $12345, %eax
    movl %eax, AT(letter_seed)
    shrl $16, %eax
    movl $' ', %ecx
    testb $7, %ah
    jz 1f
    andl $31, %eax
    leal 'A'(%rax), %ecx
1:  shll $4, %ecx
    leaq FONT(%rcx), %rsi
    pushq %rdi
    movl $16, %ebp
2:  lodsb
    movl $8, %ecx
3:  movl %r9d, %r10d
    shlb $1, %al
    cmovcl %r8d, %r10d
    movl %r10d, (%rdi)
    addq $4, %rdi
    decl %ecx
    jnz 3b
    leaq -32(%rdi, %rbx), %rdi
    decl %ebp
    jnz 2b
    popq %rdi
    addq $32, %rdi
    decl %edx
    jnz letters
    ret

make_window:
    movl $WINDOW, %edi
    movl $0xF0EEE6, %eax
    movl $(WINDOW_WIDTH * WINDOW_HEIGHT), %ecx
    rep stosl
    movl $WINDOW, %edi
    movl $0x3A6EA5, %eax
    movl $(WINDOW_WIDTH * 20), %ecx
    rep stosl
    movl $0x202020, %r8d
    movl $0xF0EEE6, %r9d
    movl $(WINDOW_WIDTH * 4), %ebx
    movl $(WINDOW + WINDOW_WIDTH * 4 * 28 + 32), %r11d
1:  movl %r11d, %edi
    movl $22, %edx
    call letters
    addl $(WINDOW_WIDTH * 4 * 18), %r11d
    cmpl $(WINDOW + WINDOW_WIDTH * 4 * (WINDOW_HEIGHT - 18)), %r11d
    jb 1b
    ret

draw_desktop:
    call scroll_text
    movl AT(window_x), %r8d
    movl AT(window_y), %r9d
    movl AT(step_x), %eax
    addl %r8d, %eax
    cmpl $DRAG_LEFT, %eax
    jl 1f
    cmpl $DRAG_RIGHT, %eax
    jle 2f
1:  negl AT(step_x)
    movl %r8d, %eax
2:  movl %eax, AT(window_x)
    movl AT(step_y), %eax
    addl %r9d, %eax
    cmpl $DRAG_TOP, %eax
    jl 1f
    cmpl $DRAG_BOTTOM, %eax
    jle 2f
1:  negl AT(step_y)
    movl %r9d, %eax
2:  movl %eax, AT(window_y)
    // The window at its new place, then what it does not cover any more.
    movl AT(pitch), %ebx
    imull %ebx, %eax
    movl AT(window_x), %edi
    leaq (%rax, %rdi, 4), %rdi
    addq AT(frame_buffer), %rdi
    movl $WINDOW, %esi
    movl $WINDOW_HEIGHT, %edx
1:  movq %rdi, %rax
    movl $WINDOW_WIDTH, %ecx
    rep movsl
    leaq (%rax, %rbx), %rdi
    decl %edx
    jnz 1b
    // A strip beside it.
    movl AT(window_x), %edx
    subl %r8d, %edx
    movl %r8d, %edi
    jns 1f
    negl %edx
    leal WINDOW_WIDTH(%r8), %edi
    subl %edx, %edi
1:  movl %r9d, %r12d
    movl $WINDOW_HEIGHT, %ecx
    testl %edx, %edx
    jz 2f
    call wallpaper
    // A strip above or below.
2:  movl AT(window_y), %ecx
    subl %r9d, %ecx
    movl %r9d, %r12d
    jns 1f
    negl %ecx
    leal WINDOW_HEIGHT(%r9), %r12d
    subl %ecx, %r12d
1:  movl %r8d, %edi
    movl $WINDOW_WIDTH, %edx
    jmp wallpaper

// Moves the text up, and draws the next rows of a line below it.
scroll_text:
    movl AT(line_row), %eax
    testl %eax, %eax
    jnz 1f
    movl $0xD0D0C0, %r8d
    movl $0x101418, %r9d
    movl $(TERM_WIDTH * 4), %ebx
    movl $LINE, %edi
    movl $TERM_COLUMNS, %edx
    call letters
1:  movl AT(pitch), %ebx
    imull $TERM_Y, %ebx, %edi
    addq AT(frame_buffer), %rdi
    addq $(TERM_X * 4), %rdi
    imull $STEP, %ebx, %eax
    leaq (%rdi, %rax), %rsi
    movl $(TERM_HEIGHT - STEP), %edx
1:  movl $TERM_WIDTH, %ecx
    rep movsl
    leaq -TERM_WIDTH * 4(%rdi, %rbx), %rdi
    leaq -TERM_WIDTH * 4(%rsi, %rbx), %rsi
    decl %edx
    jnz 1b
    movl AT(line_row), %esi
    imull $(TERM_WIDTH * 4), %esi, %esi
    addl $LINE, %esi
    movl $STEP, %edx
1:  movl $TERM_WIDTH, %ecx
    rep movsl
    leaq -TERM_WIDTH * 4(%rdi, %rbx), %rdi
    decl %edx
    jnz 1b
    addl $STEP, AT(line_row)
    andl $15, AT(line_row)
    ret

    .balign 16
seeds: .long 0x12345678, 0x9ABCDEF1, 0x2468ACE1, 0x13579BDF
color_mask: .long 0xFFFFFF, 0xFFFFFF, 0xFFFFFF, 0xFFFFFF
frame_buffer: .quad 0
pitch: .long 0
color: .long 0x204060
pictures: .long 0
line_row: .long 0
letter_seed: .long 1
window_x: .long DRAG_LEFT
window_y: .long DRAG_TOP
step_x: .long 5
step_y: .long 3
key_head: .byte 0
key_tail: .byte 0
mouse_head: .byte 0
mouse_tail: .byte 0
tick: .byte 0
tick_seen: .byte 0
scene: .byte 0
packet_bytes: .byte 0

    .balign 8
    USER_MODE_TABLES
// Port and value: ICW1 to ICW4 and the masks of both interrupt controllers; the timer stands.
chip_program:
    .byte 0x20, 0x11, 0x21, 0x20, 0x21, 0x04, 0x21, 0x01
    .byte 0xA0, 0x11, 0xA1, 0x28, 0xA1, 0x02, 0xA1, 0x01
    .byte 0x21, 0xF9, 0xA1, 0xEF
    .byte 0x43, 0x30
chip_program_end:
ready_text: .asciz "ready\r\n"
GUEST_END motion

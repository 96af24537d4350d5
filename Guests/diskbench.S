// Reads 8 MiB of the first hard disk by PIO, a block of 16 sectors a command block, and by the bus
// master of the PCI function 00:01.1 where that is there; then reads and writes as much by that in
// pieces of 4 KiB, in order and scattered. It says on COM1 how many cycles of the time-stamp counter
// each took, in hexadecimal: `pio: N`, `dma: N`, `read: N`, `scattered: N`, `write: N`, `strewn: N`.
#include "guest.inc"
#include "checks.inc"

#define PRIMARY 0x1F0
#define SECTORS 16384
#define EACH 128                    // sectors of a command: 64 KiB
#define SMALL 8                     // sectors of a small request
#define STRIDE 2056                 // from one to the next where they are scattered
#define READ_DMA 0xC8
#define WRITE_DMA 0xCA
#define TO_MEMORY 0x09              // the bus master's command: go, and in which direction
#define FROM_MEMORY 0x01
#define BUFFER 0x2000
#define TABLE 0x1000                // the descriptor table
#define BUS_MASTER_BAR 0x80000920   // configuration address of 00:01.1, register 20h
#define PCI_COMMAND 0x80000904

    .macro SMALL_REQUESTS verb_byte, direction_byte, sectors, name
    movb $\verb_byte, AT(verb)
    movb $\direction_byte, AT(direction)
    movl $\sectors, AT(step)
    movw $AT(\name), AT(text)
    call small_requests
    .endm

GUEST_BEGIN diskbench
    CHECKS_BEGIN
    LOAD_REST diskbench
    jmp begin
    BOOT_SIGNATURE

begin:
    SERIAL_ON
    movw $0x3F6, %dx
    movb $0x02, %al
    outb %al, %dx
    movw $16, %cx
    movb $0xC6, %bl
    xorl %eax, %eax
    call issue
    call wait_idle
    rdtsc
    movl %eax, AT(began)
    xorl %ebp, %ebp
1:  movl %ebp, %eax
    movb $EACH, %cl
    movb $0xC4, %bl
    call issue
    movw $BUFFER, %ax
    movw %ax, %es
    xorw %di, %di
    movw $(EACH / 16), %cx
2:  call wait_data
    pushw %cx
    movw $PRIMARY, %dx
    movw $(16 * 128), %cx
    rep insl
    popw %cx
    loop 2b
    addl $EACH, %ebp
    cmpl $SECTORS, %ebp
    jb 1b
    movw $AT(pio_text), %si
    call tell
    call find_bus_master
    testw %bx, %bx
    jz finish
    movw %bx, AT(port)
    movl $0x20000, TABLE
    movl $0x80000000, TABLE + 4
    movw AT(port), %dx
    addw $4, %dx
    movl $TABLE, %eax
    outl %eax, %dx
    rdtsc
    movl %eax, AT(began)
    xorl %ebp, %ebp
3:  movw AT(port), %dx
    addw $2, %dx
    movb $0x06, %al
    outb %al, %dx
    movl %ebp, %eax
    movb $EACH, %cl
    movb $0xC8, %bl
    call issue
    movw AT(port), %dx
    movb $0x09, %al
    outb %al, %dx
4:  call wait_idle
    testb $0x08, %al
    jnz 4b
    movw AT(port), %dx
    xorb %al, %al
    outb %al, %dx
    addl $EACH, %ebp
    cmpl $SECTORS, %ebp
    jb 3b
    movw $AT(dma_text), %si
    call tell
    movl $0x80001000, TABLE + 4
    SMALL_REQUESTS READ_DMA, TO_MEMORY, SMALL, read_text
    SMALL_REQUESTS READ_DMA, TO_MEMORY, STRIDE, scattered_text
    SMALL_REQUESTS WRITE_DMA, FROM_MEMORY, SMALL, write_text
    SMALL_REQUESTS WRITE_DMA, FROM_MEMORY, STRIDE, strewn_text
    jmp finish

// Moves 8 MiB by commands of 4 KiB, each so many sectors behind the one before, and tells.
small_requests:
    rdtsc
    movl %eax, AT(began)
    xorl %ebp, %ebp
    movw $(SECTORS / SMALL), AT(left)
5:  movw AT(port), %dx
    addw $2, %dx
    movb $0x06, %al
    outb %al, %dx
    movl %ebp, %eax
    movb $SMALL, %cl
    movb AT(verb), %bl
    call issue
    movw AT(port), %dx
    movb AT(direction), %al
    outb %al, %dx
6:  call wait_idle
    testb $0x08, %al
    jnz 6b
    movw AT(port), %dx
    xorb %al, %al
    outb %al, %dx
    addl AT(step), %ebp
    andl $(SECTORS - 1), %ebp
    decw AT(left)
    jnz 5b
    movw AT(text), %si
    jmp tell

// Says the text at SI and the cycles since `began`.
tell:
    rdtsc
    subl AT(began), %eax
    call print
    call print_long
    SAY ""
    ret
// BX: the bus master's first port, 0 where there is none. It is let onto the bus.
find_bus_master:
    xorw %bx, %bx
    movw $0xCF8, %dx
    movl $BUS_MASTER_BAR, %eax
    outl %eax, %dx
    addw $4, %dx
    inl %dx, %eax
    testb $1, %al
    jz 1f
    cmpl $-1, %eax
    je 1f
    movw %ax, %bx
    andw $0xFFF0, %bx
    subw $4, %dx
    movl $PCI_COMMAND, %eax
    outl %eax, %dx
    addw $4, %dx
    movw $0x0005, %ax
    outw %ax, %dx
1:  ret
// AL: the status once the drive is not busy; DX its port.
wait_idle:
    movw $(PRIMARY + 7), %dx
1:  inb %dx, %al
    testb $0x80, %al
    jnz 1b
    ret
wait_data:
    call wait_idle
    testb $0x09, %al
    jz wait_data
    ret
// The command BL: CL sectors from EAX on.
issue:
    movl %eax, %esi
    movw $(PRIMARY + 6), %dx
    movb $0xE0, %al
    outb %al, %dx
    call wait_idle
    movw $(PRIMARY + 2), %dx
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
    ret
    .balign 4
began: .long 0
port: .word 0
step: .long 0
left: .word 0
text: .word 0
verb: .byte 0
direction: .byte 0
read_text: .asciz "read: "
scattered_text: .asciz "scattered: "
write_text: .asciz "write: "
strewn_text: .asciz "strewn: "
pio_text: .asciz "pio: "
dma_text: .asciz "dma: "
    CHECK_ROUTINES
GUEST_END diskbench

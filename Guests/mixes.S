// Loops of a known number of instructions, in real mode, 32-bit paged protected mode and 64-bit
// mode, timed by the time stamp counter, which is measured against the 8254. Prints a line
// `MODE MIX N.N` on COM1 for each, N.N millions of instructions a second, then `done`, and leaves by
// the debug exit with 0.
#include "guest.inc"

#define COM1 0x3F8
#define DEBUG_EXIT 0xF4

#define STACK 0x7000
#define RESULTS 0x9000
#define DATA_AREA 0x10000
#define TABLES_32 0x20000
#define TABLES_64 0x30000

#define INTEGER_TURNS 4000000
#define BRANCH_ROUNDS 70
#define CALL_TURNS 3000000
#define MEMORY_TURNS 4000000

// 50 ms of the 8254's 1,193,182 Hz.
#define GATE_TICKS 59659

#define START 0
#define END 8

// Stores the time of the start or the end of a mix. Changes EAX and, but for a moment, not EDX.
.macro STAMP slot, which
    movl %edx, RESULTS + 1024
    rdtsc
    movl %eax, RESULTS + (\slot) * 16 + \which
    movl %edx, RESULTS + (\slot) * 16 + \which + 4
    movl RESULTS + 1024, %edx
.endm

GUEST_BEGIN mixes
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    // A page without code: processors in software look closely at stores to code.
    movw $STACK, %sp
    LOAD_REST mixes
    jmp measure_clock
    BOOT_SIGNATURE

    // Channel 2 in mode 0: its output rises GATE_TICKS after the count is loaded.
measure_clock:
    inb $0x61, %al
    andb $0xFC, %al
    orb $0x01, %al
    outb %al, $0x61
    movb $0xB0, %al
    outb %al, $0x43
    movb $(GATE_TICKS & 0xFF), %al
    outb %al, $0x42
    movb $(GATE_TICKS >> 8), %al
    outb %al, $0x42
    rdtsc
    movl %eax, %esi
    movl %edx, %edi
1:  inb $0x61, %al
    testb $0x20, %al
    jz 1b
    rdtsc
    subl %esi, %eax
    sbbl %edi, %edx
    movl %eax, clock - guest_base + 0x7C00

    // Real mode.
#define A %ax
#define B %bx
#define D %dx
#define S %si
#define T %di
#define F %bp
#define P %sp
#define WIDTH 2
#define DATA 0
#define SLOT 0
.macro SET_DATA
    movw $(DATA_AREA >> 4), %ax
    movw %ax, %ds
.endm
.macro CLEAR_DATA
    xorw %ax, %ax
    movw %ax, %ds
.endm
#include "mixes/loops.inc"
#undef A
#undef B
#undef D
#undef S
#undef T
#undef F
#undef P
#undef WIDTH
#undef DATA
#undef SLOT
.purgem SET_DATA
.purgem CLEAR_DATA
.macro SET_DATA
.endm
.macro CLEAR_DATA
.endm

    // 32-bit protected mode: 4 MiB in pages of 4 KiB.
    movw $(TABLES_32 >> 4), %ax
    movw %ax, %es
    xorl %edi, %edi
    movl $(TABLES_32 + 0x1000 + 3), %eax
    stosl
    xorl %eax, %eax
    movl $1023, %ecx
    rep stosl
    movl $3, %eax
    movl $1024, %ecx
1:  stosl
    addl $4096, %eax
    loop 1b
    lgdtl gdt_pointer - guest_base + 0x7C00
    movl $TABLES_32, %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $0x80000001, %eax
    movl %eax, %cr0
    ljmpl $0x08, $AT(protected)

    .code32
protected:
    movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl $STACK, %esp
#define A %eax
#define B %ebx
#define D %edx
#define S %esi
#define T %edi
#define F %ebp
#define P %esp
#define WIDTH 4
#define DATA DATA_AREA
#define SLOT 4
#include "mixes/loops.inc"
#undef A
#undef B
#undef D
#undef S
#undef T
#undef F
#undef P
#undef WIDTH
#undef SLOT

    // 64-bit mode: 2 MiB in a large page.
    movl $TABLES_64, %edi
    xorl %eax, %eax
    movl $(3 * 1024), %ecx
    rep stosl
    movl $(TABLES_64 + 0x1003), TABLES_64
    movl $(TABLES_64 + 0x2003), TABLES_64 + 0x1000
    movl $0x83, TABLES_64 + 0x2000
    movl %cr0, %eax
    andl $0x7FFFFFFF, %eax
    movl %eax, %cr0
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $TABLES_64, %eax
    movl %eax, %cr3
    movl $0xC0000080, %ecx
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    ljmpl $0x18, $AT(long_mode)

    .code64
long_mode:
#define A %rax
#define B %rbx
#define D %rdx
#define S %rsi
#define T %rdi
#define F %rbp
#define P %rsp
#define WIDTH 8
#define SLOT 8
#include "mixes/loops.inc"
#undef A
#undef B
#undef D
#undef S
#undef T
#undef F
#undef P

    // The report. Tenths of millions a second: count * 10 * clock / 50,000 / time.
    movl $(COM1 + 3), %edx
    movb $0x03, %al
    outb %al, %dx
    xorl %ebx, %ebx
    movl $AT(names), %esi
1:  call say
    movl %ebx, %ecx
    shll $4, %ecx
    movq RESULTS + END(%rcx), %rdi
    subq RESULTS + START(%rcx), %rdi
    movl %ebx, %ecx
    andl $3, %ecx
    movl AT(counts)(, %rcx, 4), %eax
    leaq (%rax, %rax, 4), %rax
    addq %rax, %rax
    movl AT(clock), %ecx
    mulq %rcx
    movl $50000, %ecx
    divq %rcx
    xorl %edx, %edx
    testq %rdi, %rdi
    jz 2f
    divq %rdi
2:  call say_tenths
    incl %ebx
    cmpl $12, %ebx
    jb 1b
    call say
    xorl %eax, %eax
    outb %al, $DEBUG_EXIT
3:  hlt
    jmp 3b

// Prints the text at RSI and moves RSI behind it.
say:
    lodsb
    testb %al, %al
    jz 1f
    call put
    jmp say
1:  ret
// Prints AL. Keeps all but RAX and RDX.
put:
    movb %al, %ah
    movl $(COM1 + 5), %edx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    movl $COM1, %edx
    movb %ah, %al
    outb %al, %dx
    ret
// Prints RAX tenths and ends the line.
say_tenths:
    movl $AT(number_end), %edi
    movl $10, %ecx
    xorl %edx, %edx
    divq %rcx
    addb $'0', %dl
    decl %edi
    movb %dl, (%rdi)
    decl %edi
    movb $'.', (%rdi)
1:  xorl %edx, %edx
    divq %rcx
    addb $'0', %dl
    decl %edi
    movb %dl, (%rdi)
    testq %rax, %rax
    jnz 1b
    pushq %rsi
    movl %edi, %esi
    call say
    popq %rsi
    ret

    .balign 8
gdt:
    .quad 0
    .quad 0x00CF9B000000FFFF
    .quad 0x00CF93000000FFFF
    .quad 0x00AF9B000000FFFF
gdt_pointer:
    .word gdt_pointer - gdt - 1
    .long AT(gdt)
    .balign 4
clock: .long 0
counts: .long 17 * INTEGER_TURNS, 819188 * BRANCH_ROUNDS, 17 * CALL_TURNS, 14 * MEMORY_TURNS
names:
    .asciz "real integer "
    .asciz "real branch "
    .asciz "real call "
    .asciz "real memory "
    .asciz "protected integer "
    .asciz "protected branch "
    .asciz "protected call "
    .asciz "protected memory "
    .asciz "long integer "
    .asciz "long branch "
    .asciz "long call "
    .asciz "long memory "
    .asciz "done\r\n"
number: .skip 24
number_end: .asciz "\r\n"
GUEST_END mixes

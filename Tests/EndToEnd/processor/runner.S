// Runs cases, each a few instructions with all registers given, in real, virtual-8086 and protected
// mode, ring 0 and 3, and sends on COM1 what came of each: the exception that ended it, registers,
// digests of memory and of the system's tables. The image is the first 16 sectors of a disk; cases
// follow. test_processor.py makes the cases and compares two processors.
//
// 32-bit code with paging in ring 0 sets up a case and returns into it. A case ends with an
// exception, most of them with the INT 3 that fills the memory around the code.

// Physical addresses.
#define TABLES 0x18000                  // GDT, LDT, task state segments, as cases see them
#define IDT 0x19000
#define STACK 0x1B000
#define ARENA 0x20000                   // what cases read, write and execute
#define CASES 0x40000
#define PRISTINE 0x110000               // the arena before a case
#define DIRECTORY 0x130000
#define LOW_TABLE 0x131000              // what cases see
#define ALIAS_TABLE 0x132000            // the same memory 4 MiB higher, all of it present
#define ALIAS 0x400000
#define ARENA_BYTES 0x11000
#define CODE_BYTES 0x4000               // filled with INT 3

#define CASE_BYTES 128
#define CASE_REAL 0
#define CASE_REGISTERS 4                // EAX ECX EDX EBX ESP EBP ESI EDI
#define CASE_EIP 36
#define CASE_EFLAGS 40
#define CASE_CS 44
#define CASE_SS 46
#define CASE_DS 48
#define CASE_ES 50
#define CASE_FS 52
#define CASE_GS 54
#define CASE_CODE_AT 56
#define CASE_CODE 60
#define CASE_DATA_AT 80
#define CASE_DATA 84

#define COM1 0x3F8

    .text
    .globl _start
_start:
    .code16
    cli
    cld
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movw $0x7C00, %sp
    sti
    ljmpw $0, $1f
1:  movb %dl, drive
    // The rest of this program, then the cases, 16 KiB at a time.
    movw $15, packet + 2
    movw $0x7E0, packet + 6
    movl $1, packet + 8
    call read
    movw $32, packet + 2
    movw $(CASES >> 4), packet + 6
    movl $16, packet + 8
2:  call read
    addw $0x400, packet + 6
    addl $32, packet + 8
    decw chunks
    jnz 2b
    jmp enter

read:
    movb $0x42, %ah
    movb drive, %dl
    movw $packet, %si
    int $0x13
    jc stop
    ret
stop:
    hlt
    jmp stop

drive: .byte 0
    .balign 4
packet: .byte 16, 0
    .word 0, 0, 0
    .quad 0
    .org 0x1F0
count: .long 0                          // cases; written with the image
chunks: .word 0
    .org 0x1FE
    .word 0xAA55

enter:
    cli
    inb $0x92, %al
    orb $2, %al
    andb $0xFE, %al
    outb %al, $0x92
    movb $0xFF, %al
    outb %al, $0x21
    outb %al, $0xA1
    movw $(COM1 + 3), %dx
    movb $0x83, %al
    outb %al, %dx
    movw $COM1, %dx
    movb $1, %al
    outb %al, %dx
    incw %dx
    movb $0, %al
    outb %al, %dx
    movw $(COM1 + 3), %dx
    movb $3, %al
    outb %al, %dx
    // Real mode's vectors.
    xorw %di, %di
    movw $real_stubs, %ax
    movw $48, %cx
1:  stosw
    movw $0, 0(%di)
    addw $2, %di
    addw $5, %ax
    loop 1b
    lgdtl own_gdt
    movl $0x31, %eax
    movl %eax, %cr0
    ljmpl $0x08, $protected

own_gdt: .word tables_end - tables - 1
    .long tables
case_gdt: .word gdt_end - tables - 1
    .long TABLES
case_idt: .word 0x25 * 8 - 1
    .long IDT
real_idt: .word 0x3FF
    .long 0

// ---- 32-bit ----
    .code32
protected:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $STACK, %esp
    cld
    // Page tables: 4 MiB on themselves, and once more above.
    movl $DIRECTORY, %edi
    xorl %eax, %eax
    movl $0xC00, %ecx
    rep stosl
    movl $(LOW_TABLE + 7), DIRECTORY
    movl $(ALIAS_TABLE + 3), DIRECTORY + 4
    movl $LOW_TABLE, %edi
    movl $3, %eax
1:  movl %eax, (%edi)
    movl %eax, 0x1000(%edi)
    addl $4, %edi
    addl $0x1000, %eax
    cmpl $0x400003, %eax
    jne 1b
    movl $DIRECTORY, %eax
    movl %eax, %cr3
    // The interrupt table.
    movl $protected_stubs, %eax
    movl $IDT, %edi
    movl $0x22, %ecx
2:  movw %ax, (%edi)
    movw $0x08, 2(%edi)
    movw $0x8E00, 4(%edi)
    movw $0, 6(%edi)
    addl $10, %eax
    addl $8, %edi
    loop 2b
    movw $0xEE00, IDT + 3 * 8 + 4
    movw $0xEE00, IDT + 4 * 8 + 4
    movw $0xEF00, IDT + 0x20 * 8 + 4
    movl $0x00D80000, IDT + 0x22 * 8
    movl $0x0000E500, IDT + 0x22 * 8 + 4   // a task gate
    movl $0x00080000, IDT + 0x23 * 8
    movl $0x00006E00, IDT + 0x23 * 8 + 4   // not present
    movl $0x00080000, IDT + 0x24 * 8
    movl $0x0000E900, IDT + 0x24 * 8 + 4   // no gate at all
    // What the arena is before each case.
    movl $PRISTINE, %edi
    movl $0xCCCCCCCC, %eax
    movl $(CODE_BYTES / 4), %ecx
    rep stosl
    movl $((ARENA_BYTES - CODE_BYTES) / 4), %ecx
3:  imull $1664525, %eax
    addl $1013904223, %eax
    stosl
    loop 3b
    movl $CASES, next_case
    movb $1, is_dirty
    movl $0x80010031, %eax
    movl %eax, %cr0
    ljmpl $0x08, $next

next:
    movl $0x80010031, %eax
    movl %eax, %cr0
    movl number, %eax
    cmpl count, %eax
    jae finished
    movl $DIRECTORY, %eax
    movl %eax, %cr3
    cmpb $0, is_dirty
    je 1f
    movl $PRISTINE, %esi
    movl $(ARENA + ALIAS), %edi
    movl $(ARENA_BYTES / 4), %ecx
    rep movsl
1:  lgdtl own_gdt
    movl $tables, %esi
    movl $TABLES, %edi
    movl $((tables_end - tables) / 4), %ecx
    rep movsl
    // User pages, but for three: for reading only, the system's, absent.
    movl $(LOW_TABLE + ARENA / 1024), %edi
    movl $(ARENA + 7), %eax
    movl $17, %ecx
2:  movl %eax, (%edi)
    addl $4, %edi
    addl $0x1000, %eax
    loop 2b
    movl $(ARENA + 0xC005), LOW_TABLE + (ARENA + 0xC000) / 1024
    movl $(ARENA + 0xD003), LOW_TABLE + (ARENA + 0xD000) / 1024
    movl $0, LOW_TABLE + (ARENA + 0xE000) / 1024
    movl $DIRECTORY, %eax
    movl %eax, %cr3
    lgdtl case_gdt
    lidtl case_idt
    movw $0x30, %ax
    lldt %ax
    movw $0x28, %ax
    ltr %ax
    xorl %eax, %eax
    movl %eax, %cr2
    movl $0xFFFF0FF0, %eax
    movl %eax, %dr6
    movl $0x400, %eax
    movl %eax, %dr7
    movl next_case, %ebx
    movl CASE_CODE_AT(%ebx), %edi
    addl $ALIAS, %edi
    leal CASE_CODE(%ebx), %esi
    movl $5, %ecx
    rep movsl
    movl CASE_DATA_AT(%ebx), %edi
    addl $ALIAS, %edi
    leal CASE_DATA(%ebx), %esi
    movl $11, %ecx
    rep movsl
    cmpl $0, CASE_REAL(%ebx)
    jne to_real

    movl $STACK, %esp
    movl CASE_EFLAGS(%ebx), %eax
    testl $0x20000, %eax
    jz 3f
    .irp field, CASE_GS, CASE_FS, CASE_DS, CASE_ES
    movzwl \field(%ebx), %ecx
    pushl %ecx
    .endr
    jmp 4f
3:  testb $3, CASE_CS(%ebx)
    jz to_ring0
4:  movzwl CASE_SS(%ebx), %ecx
    pushl %ecx
    pushl CASE_REGISTERS + 16(%ebx)
    pushl %eax
    movzwl CASE_CS(%ebx), %ecx
    pushl %ecx
    pushl CASE_EIP(%ebx)
    testl $0x20000, %eax
    jz 5f
    call load_registers
    iretl
5:  call push_segments
    call load_registers
    popl %gs
    popl %fs
    popl %es
    popl %ds
    iretl

to_ring0:
    // The frame of the return lies on the case's own stack.
    movl CASE_REGISTERS + 16(%ebx), %edx
    subl $12, %edx
    movl %edx, stack_place
    movw CASE_SS(%ebx), %cx
    movw %cx, stack_place + 4
    movl CASE_EIP(%ebx), %ecx
    movl %ecx, ARENA + ALIAS(%edx)
    movzwl CASE_CS(%ebx), %ecx
    movl %ecx, ARENA + ALIAS + 4(%edx)
    movl %eax, ARENA + ALIAS + 8(%edx)
    call push_segments
    call load_registers
    popl %gs
    popl %fs
    popl %es
    popl %ds
    lssl %cs:stack_place, %esp
    iretl

push_segments:
    popl %edx
    .irp field, CASE_DS, CASE_ES, CASE_FS, CASE_GS
    movzwl \field(%ebx), %ecx
    pushl %ecx
    .endr
    jmpl *%edx

load_registers:
    movl CASE_REGISTERS(%ebx), %eax
    movl CASE_REGISTERS + 4(%ebx), %ecx
    movl CASE_REGISTERS + 8(%ebx), %edx
    movl CASE_REGISTERS + 20(%ebx), %ebp
    movl CASE_REGISTERS + 24(%ebx), %esi
    movl CASE_REGISTERS + 28(%ebx), %edi
    movl CASE_REGISTERS + 12(%ebx), %ebx
    ret

    .balign 16
protected_stubs:
    .set vector, 0
    .rept 0x22
    .if vector == 8 || (vector >= 10 && vector <= 14) || vector == 17
    .byte 0x90, 0x90
    .else
    .byte 0x6A, 0                       // push 0 for the error code
    .endif
    .byte 0x6A, vector                  // push
    .byte 0xE9                          // jmp, 32-bit
    .long caught - . - 4
    .byte 0x90
    .set vector, vector + 1
    .endr

    // Above the frame: the error code and the vector. All by pops, as the stack may be 16-bit.
caught:
    pushl %ds
    pushl %eax
    movw $0x10, %ax
    movw %ax, %ds
    popl out_registers
    popl out_ds
    movl %ecx, out_registers + 4
    movl %edx, out_registers + 8
    movl %ebx, out_registers + 12
    movl %ebp, out_registers + 20
    movl %esi, out_registers + 24
    movl %edi, out_registers + 28
    movw %es, out_es
    movw %fs, out_fs
    movw %gs, out_gs
    movw %ss, out_ss
    popl out_vector
    popl out_error
    popl out_eip
    popl out_cs
    popl out_eflags
    testl $0x20000, out_eflags
    jnz 1f
    testb $3, out_cs
    jnz 2f
    movl %esp, out_registers + 16
    // What lies below the stack pointer is not the case's.
    .rept 7
    pushl $0
    .endr
    jmp caught_all
1:  popl out_registers + 16
    popl out_ss
    popl out_es
    popl out_ds
    popl out_fs
    popl out_gs
    jmp caught_all
2:  popl out_registers + 16
    popl out_ss
caught_all:
    movw $0x10, %ax
    movw %ax, %ss
    movl $STACK, %esp
    movl %cr0, %eax
    movl %eax, out_cr0
    movl %cr2, %eax
    movl %eax, out_cr2
    movl %dr6, %eax
    movl %eax, out_dr6
    str %ax
    movw %ax, out_tr
    sldt %ax
    movw %ax, out_ldt
    movw $0x10, %ax
    movw %ax, %es
    cld
    lgdtl own_gdt
    movl $0x80010031, %eax
    movl %eax, %cr0
    movl $DIRECTORY, %eax
    movl %eax, %cr3
    xorl %eax, %eax
    movl $0x400, %edx
    movl %edx, %dr7
    // Digests.
    movl $(ARENA + ALIAS), %esi
    movl $(ARENA_BYTES / 4), %ecx
    call digest
    movl %ebx, out_memory
    cmpl %ebx, clean_digest
    setne is_dirty
    cmpl $0, clean_digest
    jne 1f
    movl $PRISTINE, %esi
    movl $(ARENA_BYTES / 4), %ecx
    call digest
    movl %ebx, clean_digest
1:  movl $TABLES, %esi
    movl $((tables_end - tables) / 4), %ecx
    call digest
    movl %ebx, out_tables
    // Not of the pages of code: how far ahead it is fetched is nobody's promise.
    movl $(LOW_TABLE + (ARENA + CODE_BYTES) / 1024), %esi
    movl $13, %ecx
    call digest
    movl %ebx, out_pages
    // The record.
    movl number, %eax
    movl %eax, out
    call send
    incl number
    addl $CASE_BYTES, next_case
    jmp next

finished:
    movl $-1, out
    call send
1:  cli
    hlt
    jmp 1b

// EBX: a digest of ECX dwords at ESI.
digest:
    movl $1, %ebx
1:  lodsl
    xorl %eax, %ebx
    imull $0x01000193, %ebx
    decl %ecx
    jnz 1b
    orl $1, %ebx
    ret

// Sends the record.
send:
    movl $out, %esi
    movl $(out_end - out), %ecx
1:  movw $(COM1 + 5), %dx
2:  inb %dx, %al
    testb $0x20, %al
    jz 2b
    movw $COM1, %dx
    lodsb
    outb %al, %dx
    decl %ecx
    jnz 1b
    // The next record begins with nothing in it.
    movl $out, %edi
    xorl %eax, %eax
    movl $((out_end - out) / 4), %ecx
    rep stosl
    ret

// ---- Real mode ----
to_real:
    movl CASE_EIP(%ebx), %eax
    movw %ax, real_frame
    movw CASE_CS(%ebx), %ax
    movw %ax, real_frame + 2
    movw CASE_EFLAGS(%ebx), %ax
    movw %ax, real_frame + 4
    lidtl real_idt
    ljmpl $0x18, $1f
    .code16
1:  movw $0x20, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movl $0x30, %eax
    movl %eax, %cr0
    ljmpw $0, $1f
1:  xorw %ax, %ax
    movw %ax, %ds
    // The case's fields, nearer by.
    movl %ebx, %eax
    shrl $4, %eax
    movw %ax, %es
    andl $15, %ebx
    movw %es:CASE_SS(%bx), %ss
    movl %es:CASE_REGISTERS + 16(%bx), %esp
    movw %es:CASE_FS(%bx), %fs
    movw %es:CASE_GS(%bx), %gs
    movl %es:CASE_REGISTERS(%bx), %eax
    movl %es:CASE_REGISTERS + 4(%bx), %ecx
    movl %es:CASE_REGISTERS + 8(%bx), %edx
    movl %es:CASE_REGISTERS + 20(%bx), %ebp
    movl %es:CASE_REGISTERS + 24(%bx), %esi
    movl %es:CASE_REGISTERS + 28(%bx), %edi
    pushw real_frame + 4
    pushw real_frame + 2
    pushw real_frame
    pushw %es:CASE_DS(%bx)
    pushw %es:CASE_ES(%bx)
    movl %es:CASE_REGISTERS + 12(%bx), %ebx
    popw %es
    popw %ds
    iretw

    .balign 16
real_stubs:
    .set vector, 0
    .rept 48
    .byte 0x6A, vector                  // push
    .byte 0xE9                          // jmp, 16-bit
    .word real_caught - . - 2
    .set vector, vector + 1
    .endr

real_caught:
    pushw %ds
    pushl %eax
    xorw %ax, %ax
    movw %ax, %ds
    popl out_registers
    popw out_ds
    movl %ecx, out_registers + 4
    movl %edx, out_registers + 8
    movl %ebx, out_registers + 12
    movl %ebp, out_registers + 20
    movl %esi, out_registers + 24
    movl %edi, out_registers + 28
    movw %es, out_es
    movw %fs, out_fs
    movw %gs, out_gs
    movw %ss, out_ss
    popw out_vector
    popw out_eip
    popw out_cs
    popw out_eflags
    movl %esp, out_registers + 16
    .rept 7
    pushw $0
    .endr
    cli
    lgdtl case_gdt
    lidtl case_idt
    movl $0x80010031, %eax
    movl %eax, %cr0
    ljmpl $0x08, $1f
    .code32
1:  movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    jmp caught_all

// ---- Data ----
    .balign 8
number: .long 0
next_case: .long 0
clean_digest: .long 0
stack_place: .long 0, 0
real_frame: .long 0, 0
is_dirty: .long 0
    .balign 4
out: .long 0
out_vector: .long 0
out_error: .long 0
out_eip: .long 0
out_eflags: .long 0
out_registers: .fill 8, 4, 0
out_cs: .long 0
out_ss: .long 0
out_ds: .long 0
out_es: .long 0
out_fs: .long 0
out_gs: .long 0
out_cr0: .long 0
out_cr2: .long 0
out_dr6: .long 0
out_tr: .word 0
out_ldt: .word 0
out_memory: .long 0
out_tables: .long 0
out_pages: .long 0
out_end:

// A descriptor: base, limit in 20 bits, access byte, flags (granularity, size).
.macro DESCRIPTOR base, limit, access, flags
    .word \limit & 0xFFFF, \base & 0xFFFF
    .byte \base >> 16, \access, (\flags << 4) | (\limit >> 16), \base >> 24
.endm
.macro GATE selector, offset, access, words=0
    .word \offset, \selector
    .byte \words, \access
    .word 0
.endm
    .balign 16
tables:
    .quad 0
    DESCRIPTOR 0, 0xFFFFF, 0x9B, 0xC            // 08 our code
    DESCRIPTOR 0, 0xFFFFF, 0x93, 0xC            // 10 our data
    DESCRIPTOR 0, 0xFFFF, 0x9B, 0               // 18 our 16-bit code
    DESCRIPTOR 0, 0xFFFF, 0x93, 0               // 20 16-bit data
    DESCRIPTOR (TABLES + task - tables), 0xFF, 0x89, 0 // 28 the task
    DESCRIPTOR (TABLES + ldt - tables), 0x1F, 0x82, 0  // 30 LDT
    DESCRIPTOR ARENA, 0xFFFF, 0x9B, 4           // 38 code, 32-bit, ring 0
    DESCRIPTOR ARENA, 0xFFFF, 0x9B, 0           // 40 code, 16-bit, ring 0
    DESCRIPTOR ARENA, 0xFFFF, 0x93, 4           // 48 data, 32-bit, ring 0
    DESCRIPTOR ARENA, 0xFFFF, 0x93, 0           // 50 data, 16-bit, ring 0
    DESCRIPTOR ARENA, 0xFFFF, 0xFB, 4           // 58 code, 32-bit, ring 3
    DESCRIPTOR ARENA, 0xFFFF, 0xFB, 0           // 60 code, 16-bit, ring 3
    DESCRIPTOR ARENA, 0xFFFF, 0xF3, 4           // 68 data, 32-bit, ring 3
    DESCRIPTOR ARENA, 0xFFFF, 0xF3, 0           // 70 data, 16-bit, ring 3
    DESCRIPTOR ARENA, 0xFFFF, 0xF1, 4           // 78 data for reading
    DESCRIPTOR ARENA, 0xFFFF, 0xF9, 4           // 80 code for executing
    DESCRIPTOR ARENA, 0xFFFF, 0x9F, 4           // 88 conforming code
    DESCRIPTOR ARENA, 0x0FFF, 0xF7, 0           // 90 expands down
    DESCRIPTOR ARENA, 0xFFFF, 0x73, 4           // 98 data that is not present
    DESCRIPTOR ARENA, 0xFFFF, 0x7B, 4           // A0 code that is not present
    DESCRIPTOR ARENA, 0xFFFF, 0x13, 4           // A8 ring 0 data that is not present
    GATE 0x38, 0x0200, 0xEC                     // B0 call gate
    GATE 0x38, 0x0204, 0xEC, 3                  // B8 with three doublewords
    GATE 0x40, 0x0208, 0xE4, 2                  // C0 16-bit, with two words
    GATE 0x38, 0x020C, 0x8C                     // C8 for ring 0
    GATE 0x38, 0x0210, 0x6C                     // D0 not present
    DESCRIPTOR (TABLES + task32 - tables), 0x67, 0xE9, 0  // D8 another task
    DESCRIPTOR (TABLES + task16 - tables), 0x2B, 0xE1, 0  // E0 a 16-bit task
    GATE 0xD8, 0, 0xE5                          // E8 task gate
    DESCRIPTOR (TABLES + task32 - tables), 0x67, 0xEB, 0  // F0 a busy task
    GATE 0x5B, 0x0214, 0xEC                     // F8 call gate to ring 3
    GATE 0x88, 0x0218, 0xEC                     // 100 call gate to conforming code
    DESCRIPTOR ARENA, 0xFFFF, 0xBB, 4           // 108 code, ring 1
    DESCRIPTOR ARENA, 0xFFFF, 0xB3, 4           // 110 data, ring 1
    DESCRIPTOR (TABLES + ldt - tables), 0x1F, 0x02, 0     // 118 LDT that is not present
    DESCRIPTOR (TABLES + task32 - tables), 0x66, 0xE9, 0  // 120 a task that is too small
    .quad 0                                     // 128 nothing
    DESCRIPTOR ARENA, 0x0100, 0xFB, 4           // 130 short code
    DESCRIPTOR ARENA, 0xFFFFF, 0xF3, 0xC        // 138 data, in pages
    GATE 0x108, 0x021C, 0xEC, 1                 // 140 call gate to ring 1
    GATE 0x68, 0x0220, 0xEC                     // 148 call gate to data
    GATE 0xA0, 0x0224, 0xEC                     // 150 call gate to absent code
    DESCRIPTOR ARENA, 0xFFFF, 0xFF, 4           // 158 conforming code of ring 3
gdt_end:
    .balign 16
ldt:
    DESCRIPTOR ARENA, 0xFFFF, 0xFB, 4           // 04 code, ring 3
    DESCRIPTOR ARENA, 0xFFFF, 0xF3, 4           // 0C data, ring 3
    DESCRIPTOR ARENA, 0xFFFF, 0x93, 4           // 14 data, ring 0
    DESCRIPTOR ARENA, 0xFFFF, 0x9B, 4           // 1C code, ring 0
    .balign 16
task:
    .long 0, STACK, 0x10, 0x8800, 0x111, 0, 0
    .fill 18, 4, 0
    .word 0, 104
    .fill 16, 1, 0xFF                           // ports 0 to 7F
    .byte 0xFE                                  // 80 is free
    .fill 128, 1, 0xFF
    .balign 16
task32:
    .long 0, STACK, 0x10, 0x8800, 0x111, 0, 0, DIRECTORY
    .long 0x0300, 0x0002                        // EIP, EFLAGS
    .long 0x11111111, 0x22222222, 0x33333333, 0x44444444, 0x9000, 0x55555555, 0x66666666, 0x77777777
    .long 0x48, 0x38, 0x48, 0x48, 0x50, 0, 0x30
    .word 0, 104
    .balign 16
task16:
    .word 0, 0xB000, 0x10, 0x8800, 0x111, 0, 0
    .word 0x0310, 0x0002
    .word 0x1111, 0x2222, 0x3333, 0x4444, 0x9100, 0x5555, 0x6666, 0x7777
    .word 0x50, 0x40, 0x50, 0x50, 0x30
    .balign 16
tables_end:
    .org 0x2000 - 1
    .byte 0

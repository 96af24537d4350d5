// Starts every processor that the MP table names, lets all of them count at once with LOCK and under
// a spin lock made of XCHG, sends interrupts between them, and takes some of the local APIC's timer.
// Says on COM1 what came of it and leaves by the debug exit with the number of processors.
#include "guest.inc"
#include "apic.inc"

#define ROUNDS 10000
#define TRAMPOLINE 0x9000
#define STACKS 0xA200
#define TICKS 0x46C
#define IPI_VECTOR 0x50
#define TIMER_VECTOR 0x51

// What the processors share.
#define ALIVE 0x6000
#define DONE 0x6004
#define LOCKED_SUM 0x6008
#define GUARDED_SUM 0x600C
#define SPIN_LOCK 0x6010
#define IPIS 0x6014
#define TIMERS 0x6018
#define OTHERS 0x601C

GUEST_BEGIN smp
    FLAT_START
    sti
    LOAD_REST smp
    jmp begin
    BOOT_SIGNATURE

begin:
    movw $ALIVE, %di
    movw $16, %cx
    xorw %ax, %ax
    rep stosw
    call count_processors
    movw %cx, AT(processors)
    decw %cx
    movw %cx, OTHERS
    call reach_everything
    movw $AT(on_ipi), IPI_VECTOR * 4
    movw $0, IPI_VECTOR * 4 + 2
    movw $AT(on_timer), TIMER_VECTOR * 4
    movw $0, TIMER_VECTOR * 4 + 2
    call start_others
    movw $ALIVE, %bx
    movw OTHERS, %cx
    movw $AT(alive_text), %si
    call expect
    call work
    movw $DONE, %bx
    movw OTHERS, %cx
    movw $AT(done_text), %si
    call expect
    call check_sums
    // An interrupt to everyone but the sender, then one to the sender.
    APIC_WRITE SPURIOUS $0x1FF
    APIC_WRITE COMMAND $(0xC4000 | IPI_VECTOR)
    movw $IPIS, %bx
    movw OTHERS, %cx
    movw $AT(ipi_text), %si
    call expect
    APIC_WRITE COMMAND $(0x44000 | IPI_VECTOR)
    movw $IPIS, %bx
    movw AT(processors), %cx
    movw $AT(self_text), %si
    call expect
    // Twenty interrupts of the timer, in periodic mode.
    APIC_WRITE DIVIDE $0xB
    APIC_WRITE TIMER $(0x20000 | TIMER_VECTOR)
    APIC_WRITE INITIAL_COUNT $1000000
1:  hlt
    cmpw $20, TIMERS
    jb 1b
    APIC_WRITE INITIAL_COUNT $0
    movw $AT(timer_text), %si
    call say_text
    movb AT(processors), %al
    outb %al, $0xF4
2:  hlt
    jmp 2b

// CX: how many processors the MP table has (Intel MultiProcessor Specification 1.4, chapter 4).
count_processors:
    movw $0xF000, %ax
    movw %ax, %es
    xorw %di, %di
1:  cmpl $0x5F504D5F, %es:(%di)         // "_MP_"
    je 2f
    addw $16, %di
    jnz 1b
    movw $AT(no_table_text), %si
    call say_text
    jmp stop
2:  movw %es:4(%di), %di                // the table lies in the same segment
    movw %es:34(%di), %dx
    addw $44, %di
    xorw %cx, %cx
3:  cmpb $0, %es:(%di)
    jne 4f
    incw %cx
    addw $12, %di
4:  addw $8, %di
    decw %dx
    jnz 3b
    xorw %ax, %ax
    movw %ax, %es
    ret

// INIT and two start-up messages to all others (MultiProcessor Specification, B.4).
start_others:
    movw $AT(trampoline), %si
    movw $TRAMPOLINE, %di
    movw $(trampoline_end - trampoline), %cx
    rep movsb
    cmpw $0, OTHERS
    je 1f
    APIC_WRITE COMMAND $0xC4500
    movw $10000, %dx
    call pause
    APIC_WRITE COMMAND $(0xC4600 | TRAMPOLINE >> 12)
    movw $200, %dx
    call pause
    APIC_WRITE COMMAND $(0xC4600 | TRAMPOLINE >> 12)
1:  ret
// Lets DX microseconds pass.
pause:
    xorw %cx, %cx
    movb $0x86, %ah
    int $0x15
    ret

// What every processor does.
work:
    movw $ROUNDS, %cx
1:  lock incl LOCKED_SUM
2:  movb $1, %al
    xchgb %al, SPIN_LOCK
    testb %al, %al
    jz 3f
    rep nop
    jmp 2b
3:  incl GUARDED_SUM
    movb $0, SPIN_LOCK
    loop 1b
    ret

check_sums:
    movzwl AT(processors), %eax
    imull $ROUNDS, %eax
    movw $AT(sums_text), %si
    cmpl %eax, LOCKED_SUM
    jne bad
    cmpl %eax, GUARDED_SUM
    jne bad
    jmp say_text

// Waits until the word at BX is CX, for some ten seconds, and says SI; else says so, and stops.
expect:
    movw TICKS, %di
1:  cmpw %cx, (%bx)
    je say_text
    rep nop
    movw TICKS, %ax
    subw %di, %ax
    cmpw $182, %ax
    jb 1b
bad:
    call say_text
    movw $AT(bad_text), %si
    call say_text
stop:
    xorb %al, %al
    outb %al, $0xF4
1:  hlt
    jmp 1b

on_ipi:
    lock incw IPIS
    jmp end_of_interrupt
on_timer:
    incw TIMERS
end_of_interrupt:
    pushl %esi
    APIC_WRITE END_OF_INTERRUPT $0
    popl %esi
    iretw

// The others begin here, copied to a page of its own.
trampoline:
    cli
    ljmp $0, $AT(other)
trampoline_end:
other:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    incw %ax
    lock xaddw %ax, ALIVE
    shlw $8, %ax
    addw $STACKS, %ax
    movw %ax, %sp
    call work
    call reach_everything
    APIC_WRITE SPURIOUS $0x1FF
    lock incw DONE
    sti
1:  hlt
    jmp 1b

    REACH_EVERYTHING
    SAY_TEXT
processors: .word 0
no_table_text: .asciz "no MP table\r\n"
alive_text: .asciz "alive\r\n"
done_text: .asciz "done\r\n"
sums_text: .asciz "sums\r\n"
ipi_text: .asciz "interrupts\r\n"
self_text: .asciz "self\r\n"
timer_text: .asciz "timer\r\n"
bad_text: .asciz "BAD\r\n"
GUEST_END smp

// Measures how long interrupts take: one to another processor that spins, one to a processor that
// sleeps, and one of the local APIC's timer, each from its cause to the handler's first instruction, by
// the time-stamp counter that all processors share. Prints the median and the ninth decile of each in
// nanoseconds on COM1, then leaves by the debug exit. Needs two processors.
#include "guest.inc"
#include "apic.inc"

#define TRAMPOLINE 0x9000
#define OTHER_STACK 0xA000
#define IPI_VECTOR 0x50
#define TIMER_VECTOR 0x51
#define SAMPLES 200
// Nanoseconds of a timer's sample, and what the counter is measured over: the timer counts those.
#define PERIOD 1000000
#define MEASURED 20000000

#define ALIVE 0x6000
#define CAME 0x6004
#define SENT 0x6008
#define ARRIVED 0x600C
#define SLEEPS 0x6010
#define PER_MILLISECOND 0x6014
#define TIMES 0x5000


GUEST_BEGIN latency
    FLAT_START
    sti
    LOAD_REST latency
    jmp begin
    BOOT_SIGNATURE

begin:
    movw $ALIVE, %di
    movw $16, %cx
    xorw %ax, %ax
    rep stosw
    call reach_everything
    movw $AT(on_ipi), IPI_VECTOR * 4
    movw $0, IPI_VECTOR * 4 + 2
    movw $AT(on_timer), TIMER_VECTOR * 4
    movw $0, TIMER_VECTOR * 4 + 2
    APIC_WRITE SPURIOUS $0x1FF
    APIC_WRITE DIVIDE $0xB                  // every nanosecond counts
    call measure_counter
    call start_other

    movw $AT(spin_text), %si
    call measure_messages
    movb $1, SLEEPS
    movw $AT(sleep_text), %si
    call measure_messages
    call measure_timer
    movw $AT(done_text), %si
    call say_text
    xorb %al, %al
    outb %al, $0xF4
1:  hlt
    jmp 1b

// How far the time-stamp counter goes in a millisecond.
measure_counter:
    APIC_WRITE TIMER $(0x10000 | TIMER_VECTOR)
    APIC_WRITE INITIAL_COUNT $0xFFFFFFFF
    rdtsc
    movl %eax, SENT
1:  APIC_READ CURRENT_COUNT
    notl %eax
    cmpl $MEASURED, %eax
    jb 1b
    movl %eax, %ecx                         // nanoseconds
    rdtsc
    subl SENT, %eax
    movl $1000000, %edx
    mull %edx
    divl %ecx
    movl %eax, PER_MILLISECOND
    APIC_WRITE INITIAL_COUNT $0
    ret

start_other:
    movw $AT(trampoline), %si
    movw $TRAMPOLINE, %di
    movw $(trampoline_end - trampoline), %cx
    rep movsb
    APIC_WRITE COMMAND $0xC4500
    movl PER_MILLISECOND, %ebx
    imull $10, %ebx
    call let_pass
    APIC_WRITE COMMAND $(0xC4600 | TRAMPOLINE >> 12)
1:  cmpw $0, ALIVE
    jne 2f
    rep nop
    jmp 1b
2:  ret

// Lets EBX cycles pass.
let_pass:
    rdtsc
    movl %eax, %ecx
1:  rdtsc
    subl %ecx, %eax
    cmpl %ebx, %eax
    jb 1b
    ret

// Sends messages to the other processor, and says SI with what came of it.
measure_messages:
    pushw %si
    xorw %di, %di
1:  movl PER_MILLISECOND, %ebx
    shrl $2, %ebx
    call let_pass
    movb $0, CAME
    rdtsc
    movl %eax, SENT
    APIC_WRITE COMMAND $(0xC4000 | IPI_VECTOR)
2:  cmpb $0, CAME
    jne 3f
    rep nop
    jmp 2b
3:  movl ARRIVED, %eax
    subl SENT, %eax
    movl %eax, TIMES(%di)
    addw $4, %di
    cmpw $(SAMPLES * 4), %di
    jb 1b
    popw %si
    jmp report

// Has the timer end sleeps of a millisecond.
measure_timer:
    APIC_WRITE TIMER $TIMER_VECTOR
    xorw %di, %di
1:  movb $0, CAME
    rdtsc
    movl %eax, SENT
    APIC_WRITE INITIAL_COUNT $PERIOD
2:  cli
    cmpb $0, CAME
    jne 3f
    sti
    hlt
    jmp 2b
3:  sti
    movl ARRIVED, %eax
    subl SENT, %eax
    subl PER_MILLISECOND, %eax
    jns 4f
    xorl %eax, %eax
4:  movl %eax, TIMES(%di)
    addw $4, %di
    cmpw $(SAMPLES * 4), %di
    jb 1b
    movw $AT(timer_text), %si

// Says SI, the median and the ninth decile.
report:
    call say_text
    call sort
    movl TIMES + SAMPLES / 2 * 4, %eax
    call say_time
    movw $AT(space_text), %si
    call say_text
    movl TIMES + SAMPLES * 9 / 10 * 4, %eax
    call say_time
    movw $AT(line_text), %si
    jmp say_text

// Puts the samples into order.
sort:
    movw $4, %di
1:  movl TIMES(%di), %eax
    movw %di, %bx
2:  cmpl TIMES - 4(%bx), %eax
    jae 3f
    movl TIMES - 4(%bx), %edx
    movl %edx, TIMES(%bx)
    subw $4, %bx
    jnz 2b
3:  movl %eax, TIMES(%bx)
    addw $4, %di
    cmpw $(SAMPLES * 4), %di
    jb 1b
    ret

// Says EAX cycles as nanoseconds.
say_time:
    movl $1000000, %edx
    mull %edx
    divl PER_MILLISECOND
    movw $AT(digits_end), %di
    movl $10, %ecx
1:  xorl %edx, %edx
    divl %ecx
    addb $'0', %dl
    decw %di
    movb %dl, (%di)
    testl %eax, %eax
    jnz 1b
    movw %di, %si
    jmp say_text

on_ipi:
on_timer:
    pushl %eax
    pushl %edx
    pushl %esi
    rdtsc
    movl %eax, %cs:ARRIVED
    movb $1, %cs:CAME
    APIC_WRITE END_OF_INTERRUPT $0
    popl %esi
    popl %edx
    popl %eax
    iretw

trampoline:
    cli
    ljmp $0, $AT(other)
trampoline_end:
other:
    xorw %ax, %ax
    movw %ax, %ds
    movw %ax, %ss
    movw $OTHER_STACK, %sp
    call reach_everything
    APIC_WRITE SPURIOUS $0x1FF
    movw $1, ALIVE
    sti
1:  cmpb $0, SLEEPS
    jne 2f
    rep nop
    jmp 1b
2:  hlt
    jmp 2b

    REACH_EVERYTHING
    SAY_TEXT
spin_text: .asciz "message-awake "
sleep_text: .asciz "message-asleep "
timer_text: .asciz "timer "
space_text: .asciz " "
line_text: .asciz "\r\n"
done_text: .asciz "done\r\n"
digits: .fill 10, 1, 0
digits_end: .byte 0
GUEST_END latency

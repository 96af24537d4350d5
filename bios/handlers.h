// The ROM's code proper, assembled as part of rom.S.

// ---- POST ----------------------------------------------------------------------------------------

// The host sets up memory, vectors and devices, and says in AX how to go on.
post:
  cli
  cld
  jmp SLOT(BIOS_SLOT_POST)

post_done:
  cmp $BIOS_POST_RESUME, %ax
  je post_resume
  xor %ax, %ax
  mov %ax, %ss
  mov $0x7C00, %sp
  mov %ax, %ds
  mov %ax, %es
  mov $0x0003, %ax
  int $0x10
  sti
  int $0x19

// A program left protected mode by a reset: CMOS shutdown codes 5 and 0Ah go on at the far address in
// 0040:0067.
post_resume:
  mov $0x40, %ax
  mov %ax, %ds
  ljmp *0x67

// ---- INT 19h and 18h: boot -----------------------------------------------------------------------

// INT 19h starts with the boot order's first device.
boot:
  cli
  xor %ax, %ax
  mov %ax, %ss
  mov $0x7C00, %sp
  mov %ax, %ds
  mov %ax, %es
  cld
  sti
  call SLOT(BIOS_SLOT_BOOT)
  jmp boot_answer

// INT 18h: what was booted gave up; goes on with the boot order's next device.
boot_failed:
  cli
  xor %ax, %ax
  mov %ax, %ss
  mov $0x7C00, %sp
  mov %ax, %ds
  mov %ax, %es
  cld
  sti
  call SLOT(BIOS_SLOT_BOOT_NEXT)

// AX says: enter BX:CX with the drive in DL; show the text at 0000:SI; or a menu wants a key.
boot_answer:
  cmp $BIOS_BOOT_MENU, %ax
  je boot_menu
  test %ax, %ax
  jnz boot_message
  push %bx
  push %cx
  mov $0xAA55, %ax
  xor %bx, %bx
  xor %cx, %cx
  xor %si, %si
  xor %di, %di
  xor %bp, %bp
  lret

boot_message:
  push %si
  mov $0x0003, %ax
  int $0x10
  pop %si
1:
  lodsb
  test %al, %al
  jz 2f
  mov $0x0E, %ah
  mov $0x0007, %bx
  int $0x10
  jmp 1b
2:
  mov $0x10, %ah
  int $0x16
  cmp $BIOS_KEY_F12, %ax
  jne 3f
  mov %ax, %cx                  // F12 goes back: INT 19h shows the menu for it
  mov $0x05, %ah
  int $0x16
3:
  mov $0x0003, %ax
  int $0x10
  int $0x19

// The host has painted the menu into the text screen; it gets the next key.
boot_menu:
  mov $0x0100, %ax
  mov $0x2000, %cx              // no cursor
  int $0x10
  mov $0x10, %ah
  int $0x16
  call SLOT(BIOS_SLOT_BOOT_KEY)
  jmp boot_answer

// ---- IRQ 0, INT 08h: the timer's tick ------------------------------------------------------------

timer_interrupt:
  push %ds
  push %dx
  push %ax
  mov $0x40, %ax
  mov %ax, %ds
  incl 0x6C
  cmpl $0x1800B0, 0x6C          // ticks of a day
  jb 1f
  movl $0, 0x6C
  movb $1, 0x70
1:
  cmpb $0, 0x40                 // ticks until the diskette motors stop
  je 2f
  decb 0x40
  jnz 2f
  andb $0xF0, 0x3F
  mov $0x3F2, %dx
  mov $0x0C, %al
  out %al, %dx
2:
  int $0x1C
  cli
  mov $0x20, %al
  out %al, $0x20
  pop %ax
  pop %dx
  pop %ds
  iret

// ---- IRQ 1, INT 09h: the keyboard ----------------------------------------------------------------

keyboard_interrupt:
  push %ax
  in $0x60, %al
  mov $0x4F, %ah
  stc
  int $0x15
  jnc 9f                        // swallowed by whoever hooked INT 15h
  call SLOT(BIOS_SLOT_KEYSTROKE)  // translates AL and ends the interrupt at the 8259
  test %ax, %ax
  jnz 1f
  pop %ax
  iret
9:
  mov $0x20, %al
  out %al, $0x20
  pop %ax
  iret
1:
  sti
  cmp $BIOS_KEY_STORED, %al
  je 2f
  cmp $BIOS_KEY_BREAK, %al
  je 3f
  cmp $BIOS_KEY_PRINT_SCREEN, %al
  je 4f
  cmp $BIOS_KEY_SYSTEM_PRESSED, %al
  je 5f
  cmp $BIOS_KEY_SYSTEM_RELEASED, %al
  je 6f
  cmp $BIOS_KEY_HOLD, %al
  je 7f
  cmp $BIOS_KEY_RESET, %al
  je 8f
  pop %ax
  iret
2:
  mov $0x9102, %ax              // a key has come
  int $0x15
  pop %ax
  iret
3:
  int $0x1B
  pop %ax
  iret
4:
  int $0x05
  pop %ax
  iret
5:
  mov $0x8500, %ax
  int $0x15
  pop %ax
  iret
6:
  mov $0x8501, %ax
  int $0x15
  pop %ax
  iret
7:                              // Pause: until a key clears the flag
  push %ds
  mov $0x40, %ax
  mov %ax, %ds
1:
  hlt
  testb $0x08, 0x18
  jnz 1b
  pop %ds
  pop %ax
  iret
8:                              // Ctrl-Alt-Del: the keyboard controller pulls the reset line
  mov $0xFE, %al
  out %al, $0x64
1:
  hlt
  jmp 1b

// ---- IRQ 8, INT 70h: the real-time clock ---------------------------------------------------------

clock_interrupt:
  push %ds
  push %bx
  push %ax
  mov $0x0C, %al
  out %al, $0x70
  in $0x71, %al
  test $0x40, %al
  jz 3f
  push %ax
  mov $0x40, %ax
  mov %ax, %ds
  testb $0x01, 0xA0             // does INT 15h AH=83h or 86h wait?
  jz 2f
  subl $976, 0x9C               // microseconds of one period
  ja 2f
  mov $0x0B, %al                // over: no more periodic interrupts
  out %al, $0x70
  in $0x71, %al
  and $0xBF, %al
  mov %al, %ah
  mov $0x0B, %al
  out %al, $0x70
  mov %ah, %al
  out %al, $0x71
  movb $0, 0xA0
  lds 0x98, %bx
  orb $0x80, (%bx)
2:
  pop %ax
3:
  test $0x20, %al
  jz 4f
  sti
  int $0x4A
  cli
4:
  mov $0x20, %al
  out %al, $0xA0
  out %al, $0x20
  pop %ax
  pop %bx
  pop %ds
  iret

// ---- IRQ 9, INT 71h: what once was IRQ 2 ---------------------------------------------------------

redirected_interrupt:
  push %ax
  mov $0x20, %al
  out %al, $0xA0
  pop %ax
  int $0x0A
  iret

// ---- IRQ 12, INT 74h: the pointing device --------------------------------------------------------

// The host takes the byte and ends the interrupt at the 8259s, unless it completed a packet for the
// handler that INT 15h AX=C207h set: then AX is not zero and BX, CX, DX, SI are the handler's words.
pointer_interrupt:
  pusha
  push %ds
  push %es
  cld
  call SLOT(BIOS_SLOT_MOUSE_BYTE)
  test %ax, %ax
  jz 1f
  mov $0x40, %ax
  mov %ax, %ds
  mov 0x0E, %es                 // extended data area
  push %bx
  push %cx
  push %dx
  push %si
  sti
  lcall *%es:0x22
  cli
  add $8, %sp
  mov $0x20, %al
  out %al, $0xA0
  out %al, $0x20
1:
  pop %es
  pop %ds
  popa
  iret

// ---- IRQ 13, INT 75h: the coprocessor ------------------------------------------------------------

coprocessor_interrupt:
  push %ax
  xor %al, %al
  out %al, $0xF0
  mov $0x20, %al
  out %al, $0xA0
  out %al, $0x20
  pop %ax
  int $0x02
  iret

// ---- IRQ 6, INT 0Eh: the diskette controller -----------------------------------------------------

diskette_interrupt:
  push %ds
  push %ax
  mov $0x40, %ax
  mov %ax, %ds
  orb $0x80, 0x3E
  mov $0x20, %al
  out %al, $0x20
  mov $0x9101, %ax
  int $0x15
  pop %ax
  pop %ds
  iret

// ---- IRQ 14, INT 76h: the hard disk controller ---------------------------------------------------

hard_disk_interrupt:
  push %ds
  push %ax
  mov $0x40, %ax
  mov %ax, %ds
  movb $0xFF, 0x8E
  mov $0x20, %al
  out %al, $0xA0
  out %al, $0x20
  mov $0x9100, %ax
  int $0x15
  pop %ax
  pop %ds
  iret

// ---- Interrupts that nobody serves ---------------------------------------------------------------

// As on the AT, the level is masked and its bit left in 40:6B. A spurious interrupt has no bit in the
// in-service register and gets no end of interrupt.
irq_master:
  push %ds
  push %dx
  push %ax
  mov $0x40, %ax
  mov %ax, %ds
  mov $0x0B, %al
  out %al, $0x20
  in $0x20, %al
  test %al, %al
  jz 1f
  mov %al, 0x6B
  mov %al, %dl
  in $0x21, %al
  and $0xFB, %dl                // never the cascade
  or %dl, %al
  out %al, $0x21
  mov $0x20, %al
  out %al, $0x20
1:
  pop %ax
  pop %dx
  pop %ds
  iret

irq_slave:
  push %ds
  push %dx
  push %ax
  mov $0x40, %ax
  mov %ax, %ds
  mov $0x0B, %al
  out %al, $0xA0
  in $0xA0, %al
  test %al, %al
  jz 1f
  mov %al, 0x6B
  mov %al, %dl
  in $0xA1, %al
  or %dl, %al
  out %al, $0xA1
  mov $0x20, %al
  out %al, $0xA0
1:
  mov $0x20, %al
  out %al, $0x20
  pop %ax
  pop %dx
  pop %ds
  iret

// ---- INT 15h -------------------------------------------------------------------------------------

// What the interrupt handlers above call is answered here, the rest in the host.
system_service:
  cmp $0x4F, %ah                // keyboard intercept: CF says "go on"
  je 1f
  cmp $0x91, %ah                // device post
  je 2f
  cmp $0x89, %ah
  je enter_protected_mode
  cmp $0x5305, %ax              // APM: processor idle
  je 3f
  jmp SLOT(0x15)
3:
  sti
  hlt
  jmp SLOT(0x15)
1:
  push %bp
  mov %sp, %bp
  orb $0x01, 6(%bp)
  pop %bp
  iret
2:
  xor %ah, %ah
  push %bp
  mov %sp, %bp
  andb $0xFE, 6(%bp)
  pop %bp
  iret

// INT 15h AH=89h: enter protected mode with the descriptors at ES:SI (1 GDT, 2 IDT, 3 DS, 4 ES, 5 SS,
// 6 CS, 7 the firmware's own). The host opens A20, moves the 8259s' vectors to BH and BL with all
// levels masked, and writes descriptor 7.
enter_protected_mode:
  cli
  call SLOT(BIOS_SLOT_ENTER_PROTECTED)
  lgdtw %es:0x08(%si)
  lidtw %es:0x10(%si)
  mov %cr0, %eax
  or $1, %al
  mov %eax, %cr0
  .byte 0xEA                    // jmp 0038:1f
  .short OFF(1f), 0x38
1:
  mov $0x18, %ax
  mov %ax, %ds
  mov $0x20, %ax
  mov %ax, %es
  mov $0x28, %ax
  mov %ax, %ss
  pop %bp                       // the caller's IP; its CS and FLAGS mean nothing any more
  add $4, %sp
  push $0x30
  push %bp
  xor %ax, %ax
  lret

// ---- INT 05h: print the screen -------------------------------------------------------------------

// 50:00 tells how it went: 1 while it runs, 0 done, FFh after a printer error.
print_screen:
  sti
  push %ds
  pusha
  mov $0x50, %ax
  mov %ax, %ds
  cmpb $1, 0
  je 9f
  movb $1, 0
  mov $0x0F, %ah
  int $0x10                     // AH columns, BH page
  mov %ah, %cl
  mov $25, %ch
  call print_line_end
  jc 8f
  push %cx
  mov $0x03, %ah
  int $0x10
  pop %cx
  push %dx                      // the cursor, put back at the end
  xor %dx, %dx
1:
  mov $0x02, %ah
  int $0x10
  mov $0x08, %ah
  int $0x10
  test %al, %al
  jnz 2f
  mov $' ', %al
2:
  call print_character
  jc 7f
  inc %dl
  cmp %cl, %dl
  jb 1b
  xor %dl, %dl
  call print_line_end
  jc 7f
  inc %dh
  cmp %ch, %dh
  jb 1b
  clc
7:
  pop %dx
  pushf
  mov $0x02, %ah
  int $0x10
  popf
8:
  movb $0xFF, 0
  jc 9f
  movb $0, 0
9:
  popa
  pop %ds
  iret

print_line_end:
  mov $0x0D, %al
  call print_character
  jc print_return
  mov $0x0A, %al
print_character:
  push %dx
  xor %dx, %dx
  xor %ah, %ah
  int $0x17
  pop %dx
  test $0x29, %ah               // timeout, I/O error, out of paper; clears CF
  jz print_return
  stc
print_return:
  ret

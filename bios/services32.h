// 32-bit services, for systems that call the firmware in protected mode: the service directory
// (Standard BIOS 32-bit Service Directory Proposal 0.4) and the PCI BIOS (PCI BIOS Specification 2.1,
// section 4). Real code, since a trap counts at the ROM's own addresses only and systems map the ROM
// where they like. Entered by a far call; nothing here uses an absolute address.

#define PCI_ADDRESS_PORT 0xCF8
#define PCI_DATA_PORT 0xCFC

  .code32

// EAX: the service's name; BL: 0. Answers AL = 0, EBX: the service's segment, ECX: its length, EDX: the
// entry point in it.
directory32:
  test %bl, %bl
  jnz 2f
  cmp $0x49435024, %eax   // "$PCI"
  jne 1f
  mov $0xF0000, %ebx
  mov $BIOS_ROM_SIZE, %ecx
  mov $OFF(pci32), %edx
  xor %al, %al
  lret
1:
  mov $0x80, %al          // there is no such service
  lret
2:
  mov $0x81, %al          // there is no such function
  lret

// AH = B1h, AL: the function, BX: bus, device and function, EDI: the register.
pci32:
  cmp $0xB1, %ah
  jne pci32_unsupported
  cmp $0x01, %al
  je pci32_present
  cmp $0x02, %al
  je pci32_find_device
  cmp $0x03, %al
  je pci32_find_class
  cmp $0x08, %al
  jb pci32_unsupported
  cmp $0x0D, %al
  ja pci32_unsupported
  cmp $0xFF, %edi
  ja pci32_bad_register
  push %edx
  push %eax
  call pci32_select
  cmp $0x09, %al
  jb 1f
  je 2f
  cmp $0x0B, %al
  jb 3f
  je 4f
  cmp $0x0D, %al
  jb 5f
// Each stands for one function; registers that are not aligned are refused before.
  test $3, %edi
  jnz 8f
  mov %ecx, %eax
  out %eax, %dx
  jmp 7f
1:
  in %dx, %al
  mov %al, %cl
  jmp 7f
2:
  test $1, %edi
  jnz 8f
  in %dx, %ax
  mov %ax, %cx
  jmp 7f
3:
  test $3, %edi
  jnz 8f
  in %dx, %eax
  mov %eax, %ecx
  jmp 7f
4:
  mov %cl, %al
  out %al, %dx
  jmp 7f
5:
  test $1, %edi
  jnz 8f
  mov %cx, %ax
  out %ax, %dx
7:
  pop %eax
  pop %edx
pci32_success:
  xor %ah, %ah            // clears the carry flag as well
  lret
8:
  pop %eax
  pop %edx
pci32_bad_register:
  mov $0x87, %ah
  stc
  lret
pci32_unsupported:
  mov $0x81, %ah
  stc
  lret

pci32_present:
  mov $0x20494350, %edx   // "PCI "
  mov $0x01, %al          // mechanism 1
  mov $0x0210, %bx
  mov $0, %cl             // the last bus
  jmp pci32_success

// ECX: device, EDX: vendor, ESI: which of them.
pci32_find_device:
  cmp $0xFFFF, %dx
  je pci32_bad_vendor
  push %edi
  push %esi
  push %edx
  push %ecx
  push %eax
  shl $16, %ecx
  mov %dx, %cx
  xor %edi, %edi
  mov $0, %bh             // compared as it is
  jmp pci32_search
// ECX: the class, 24 bits, ESI: which of them.
pci32_find_class:
  push %edi
  push %esi
  push %edx
  push %ecx
  push %eax
  shl $8, %ecx
  mov $8, %edi
  mov $1, %bh             // the revision does not count
pci32_search:
  movzwl %si, %esi
  mov $0, %bl
1:
  push %ebx
  mov $0, %bh
  call pci32_select
  pop %ebx
  in %dx, %eax
  cmp $0xFFFFFFFF, %eax   // nobody
  je 3f
  test %bh, %bh
  jz 2f
  mov $0, %al
2:
  cmp %eax, %ecx
  jne 3f
  dec %esi
  js 4f
3:
  inc %bl
  jnz 1b
  pop %eax
  pop %ecx
  pop %edx
  pop %esi
  pop %edi
  mov $0x86, %ah          // there is no such device
  stc
  lret
4:
  mov $0, %bh
  pop %eax
  pop %ecx
  pop %edx
  pop %esi
  pop %edi
  jmp pci32_success
pci32_bad_vendor:
  mov $0x83, %ah
  stc
  lret

// Selects register EDI of the function BX. Answers DX: the port of its data.
pci32_select:
  push %eax
  movzwl %bx, %eax
  shl $8, %eax
  or $0x80000000, %eax
  mov %edi, %edx
  and $0xFC, %edx
  or %edx, %eax
  mov $PCI_ADDRESS_PORT, %edx
  out %eax, %dx
  mov %edi, %edx
  and $3, %edx
  add $PCI_DATA_PORT, %edx
  pop %eax
  ret

  .code16

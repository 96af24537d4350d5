import CKVM

extension Registers {
  init(_ regs: kvm_regs) {
    rax = regs.rax
    rbx = regs.rbx
    rcx = regs.rcx
    rdx = regs.rdx
    rsi = regs.rsi
    rdi = regs.rdi
    rsp = regs.rsp
    rbp = regs.rbp
    r8 = regs.r8
    r9 = regs.r9
    r10 = regs.r10
    r11 = regs.r11
    r12 = regs.r12
    r13 = regs.r13
    r14 = regs.r14
    r15 = regs.r15
    rip = regs.rip
    rflags = regs.rflags
  }

  /// The register that the three bits of a ModRM field name: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi.
  func value(at field: UInt8) -> UInt64 {
    switch field & 7 {
    case 0: rax
    case 1: rcx
    case 2: rdx
    case 3: rbx
    case 4: rsp
    case 5: rbp
    case 6: rsi
    default: rdi
    }
  }
}

extension kvm_regs {
  init(_ registers: Registers) {
    self.init(
      rax: registers.rax, rbx: registers.rbx, rcx: registers.rcx, rdx: registers.rdx,
      rsi: registers.rsi, rdi: registers.rdi, rsp: registers.rsp, rbp: registers.rbp,
      r8: registers.r8, r9: registers.r9, r10: registers.r10, r11: registers.r11,
      r12: registers.r12, r13: registers.r13, r14: registers.r14, r15: registers.r15,
      rip: registers.rip, rflags: registers.rflags)
  }
}

extension Segment {
  init(_ segment: kvm_segment) {
    self.init()
    selector = segment.selector
    base = segment.base
    limit = segment.limit
    type = segment.type
    isCodeOrData = segment.s != 0
    privilege = segment.dpl
    present = segment.present != 0
    isBig = segment.db != 0
    isLong = segment.l != 0
    granularity = segment.g != 0
    available = segment.avl != 0
  }
}

extension kvm_segment {
  init(_ segment: Segment) {
    self.init()
    selector = segment.selector
    base = segment.base
    limit = segment.limit
    type = segment.type
    s = segment.isCodeOrData ? 1 : 0
    dpl = segment.privilege
    present = segment.present ? 1 : 0
    db = segment.isBig ? 1 : 0
    l = segment.isLong ? 1 : 0
    g = segment.granularity ? 1 : 0
    avl = segment.available ? 1 : 0
    unusable = segment.present ? 0 : 1
  }
}

extension SystemRegisters {
  init(_ sregs: kvm_sregs) {
    self.init()
    cs = Segment(sregs.cs)
    ds = Segment(sregs.ds)
    es = Segment(sregs.es)
    fs = Segment(sregs.fs)
    gs = Segment(sregs.gs)
    ss = Segment(sregs.ss)
    tr = Segment(sregs.tr)
    ldt = Segment(sregs.ldt)
    gdt.base = sregs.gdt.base
    gdt.limit = sregs.gdt.limit
    idt.base = sregs.idt.base
    idt.limit = sregs.idt.limit
    cr0 = sregs.cr0
    cr2 = sregs.cr2
    cr3 = sregs.cr3
    cr4 = sregs.cr4
    cr8 = sregs.cr8
    efer = sregs.efer
    apicBase = sregs.apic_base
  }
}

extension kvm_sregs {
  /// Takes over everything but the pending-interrupt bitmap, which stays KVM's.
  mutating func apply(_ system: SystemRegisters) {
    cs = kvm_segment(system.cs)
    ds = kvm_segment(system.ds)
    es = kvm_segment(system.es)
    fs = kvm_segment(system.fs)
    gs = kvm_segment(system.gs)
    ss = kvm_segment(system.ss)
    tr = kvm_segment(system.tr)
    ldt = kvm_segment(system.ldt)
    gdt.base = system.gdt.base
    gdt.limit = system.gdt.limit
    idt.base = system.idt.base
    idt.limit = system.idt.limit
    cr0 = system.cr0
    cr2 = system.cr2
    cr3 = system.cr3
    cr4 = system.cr4
    cr8 = system.cr8
    efer = system.efer
    apic_base = system.apicBase
  }
}

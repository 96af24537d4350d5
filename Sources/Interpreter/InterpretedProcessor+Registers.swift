import KVMEngine

/// Registers and segments, in and out.
extension InterpretedProcessor {
  public func registers() -> Registers {
    var r = Registers()
    r.rax = cpu[0]
    r.rcx = cpu[1]
    r.rdx = cpu[2]
    r.rbx = cpu[3]
    r.rsp = cpu[4]
    r.rbp = cpu[5]
    r.rsi = cpu[6]
    r.rdi = cpu[7]
    r.r8 = cpu[8]
    r.r9 = cpu[9]
    r.r10 = cpu[10]
    r.r11 = cpu[11]
    r.r12 = cpu[12]
    r.r13 = cpu[13]
    r.r14 = cpu[14]
    r.r15 = cpu[15]
    r.rip = cpu.s.pointee.rip
    r.rflags = cpu.rflags
    return r
  }

  public func setRegisters(_ r: Registers) {
    let values = [
      r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.r8, r.r9, r.r10, r.r11, r.r12,
      r.r13, r.r14, r.r15,
    ]
    for (number, value) in values.enumerated() { cpu[number] = value }
    cpu.s.pointee.rip = r.rip
    cpu.setRFlags(r.rflags)
    isHalted = false
  }

  /// The IN is over already.
  public func finishInput(_ registers: Registers) {
    var after = self.registers()
    after.rax = registers.rax
    after.rbx = registers.rbx
    after.rcx = registers.rcx
    after.rdx = registers.rdx
    after.rsi = registers.rsi
    after.rdi = registers.rdi
    setRegisters(after)
  }

  public func systemRegisters() -> SystemRegisters {
    var r = SystemRegisters()
    r.es = read(.es)
    r.cs = read(.cs)
    r.ss = read(.ss)
    r.ds = read(.ds)
    r.fs = read(.fs)
    r.gs = read(.gs)
    r.ldt = read(.ldt)
    r.tr = read(.tr)
    let s = cpu.s.pointee
    r.gdt.base = s.gdtBase
    r.gdt.limit = UInt16(truncatingIfNeeded: s.gdtLimit)
    r.idt.base = s.idtBase
    r.idt.limit = UInt16(truncatingIfNeeded: s.idtLimit)
    r.cr0 = s.cr0
    r.cr2 = s.cr2
    r.cr3 = s.cr3
    r.cr4 = s.cr4
    r.cr8 = s.cr8
    r.efer = s.efer
    r.apicBase = s.apicBase
    return r
  }

  public func setSystemRegisters(_ r: SystemRegisters) {
    write(.es, r.es)
    write(.cs, r.cs)
    write(.ss, r.ss)
    write(.ds, r.ds)
    write(.fs, r.fs)
    write(.gs, r.gs)
    write(.ldt, r.ldt)
    write(.tr, r.tr)
    let s = cpu.s
    s.pointee.gdtBase = r.gdt.base
    s.pointee.gdtLimit = UInt64(r.gdt.limit)
    s.pointee.idtBase = r.idt.base
    s.pointee.idtLimit = UInt64(r.idt.limit)
    s.pointee.cr0 = r.cr0 | 0x10
    s.pointee.cr2 = r.cr2
    s.pointee.cr3 = r.cr3
    s.pointee.cr4 = r.cr4
    s.pointee.cr8 = r.cr8
    s.pointee.efer = r.efer
    s.pointee.apicBase = r.apicBase
    let isProtected = r.cr0 & Bits.pe != 0
    let isV86 = s.pointee.eflags & RFlag.virtual8086 != 0
    s.pointee.cpl = isProtected ? (isV86 ? 3 : UInt8(r.ss.privilege & 3)) : 0
    if r.cr0 & Bits.pg != 0, r.cr4 & Bits.pae != 0, r.efer & Bits.lma == 0 {
      _ = cpu.loadPointers(r.cr3)
    }
    cpu.flushTLB()
    cpu.modeChanged()
  }

  private func read(_ seg: Seg) -> Segment {
    let s = cpu.segment(seg).pointee
    var result = Segment()
    result.selector = s.selector
    result.base = s.hiddenBase
    result.limit = s.limit
    result.type = s.type
    result.isCodeOrData = s.isCodeOrData
    result.privilege = s.privilege
    result.present = s.present
    result.isBig = s.isBig
    result.isLong = s.isLong
    result.granularity = s.rights & 0x8000 != 0
    result.available = s.rights & 0x1000 != 0
    return result
  }

  private func write(_ seg: Seg, _ value: Segment) {
    let place = cpu.segment(seg)
    place.pointee.selector = value.selector
    place.pointee.hiddenBase = value.base
    place.pointee.limit = value.limit
    var rights = UInt16(value.type & 15) | UInt16(value.privilege & 3) << 5
    if value.isCodeOrData { rights |= 0x10 }
    if value.present { rights |= 0x80 }
    if value.available { rights |= 0x1000 }
    if value.isLong { rights |= 0x2000 }
    if value.isBig { rights |= 0x4000 }
    if value.granularity { rights |= 0x8000 }
    place.pointee.rights = rights
  }
}

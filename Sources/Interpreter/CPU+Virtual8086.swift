import KVMEngine

/// Virtual interrupts: CR4.VME and CR4.PVI (Intel SDM vol. 3, 21.3 and 21.4).
extension CPU {
  private var isPrivilegedEnough: Bool {
    s.pointee.cpl <= UInt8(truncatingIfNeeded: s.pointee.eflags >> 12 & 3)
  }

  /// Whether VIF stands for IF: in virtual-8086 mode with VME, in ring 3 with PVI, while IOPL is
  /// below 3.
  var hasVirtualInterrupts: Bool {
    if isPrivilegedEnough { return false }
    if s.pointee.isV86 { return s.pointee.cr4 & Bits.vme != 0 }
    return s.pointee.isProtected && s.pointee.cpl == 3 && s.pointee.cr4 & Bits.pvi != 0
  }

  /// CLI, and STI, on the virtual flag.
  func setVirtualInterrupt(_ on: Bool) -> Int {
    if on && s.pointee.eflags & RFlag.virtualPending != 0 { return protectionFault() }
    if on {
      s.pointee.eflags |= RFlag.virtualInterrupt
    } else {
      s.pointee.eflags &= ~RFlag.virtualInterrupt
    }
    return Next.leave
  }

  /// FLAGS as virtual-8086 code sees them: IF is VIF, IOPL is 3.
  var virtualFlags: UInt64 {
    let image = rflags & ~RFlag.interrupt | RFlag.privilege
    return s.pointee.eflags & RFlag.virtualInterrupt != 0 ? image | RFlag.interrupt : image
  }

  /// Whether virtual-8086 code may load FLAGS from `image`: #GP for what the monitor has to see.
  func mayLoadVirtualFlags(_ image: UInt64) -> Bool {
    let opens = image & RFlag.interrupt != 0 && s.pointee.eflags & RFlag.virtualPending != 0
    if opens || image & RFlag.trap != 0 {
      _ = protectionFault()
      return false
    }
    return true
  }

  /// Loads FLAGS from an image that ``mayLoadVirtualFlags(_:)`` allowed.
  func loadVirtualFlags(_ image: UInt64) {
    setReturnedFlags(image, 1)
    _ = setVirtualInterrupt(image & RFlag.interrupt != 0)
  }

  /// INT n of virtual-8086 code with VME: by the map of the TSS to the program's own handler, or to
  /// the monitor. Nil: as without VME.
  func virtualInterrupt(_ vector: UInt8, _ o: OpRef) -> Int? {
    let tr = segment(.tr)
    guard tr.pointee.present, tr.pointee.type & 8 != 0, tr.pointee.limit >= 103 else { return nil }
    guard let ports = systemLoad(tr.pointee.hiddenBase &+ 102, 2) else { return Next.fault }
    let at = ports &- 32 &+ UInt64(vector >> 3)
    guard ports >= 32, at <= UInt64(tr.pointee.limit) else { return nil }
    guard let bits = systemLoad(tr.pointee.hiddenBase &+ at, 1) else { return Next.fault }
    if bits >> UInt64(vector & 7) & 1 != 0 { return nil }
    guard let target = loadLinear(UInt64(vector) * 4, 4, user: true) else { return Next.fault }
    let isVirtual = hasVirtualInterrupts
    var stack = NewStack(self)
    guard stack.push((isVirtual ? virtualFlags : rflags) & 0xFFFF, size: 1),
      stack.push(UInt64(segment(.cs).pointee.selector), size: 1),
      stack.push(nextRip(o) & 0xFFFF, size: 1)
    else { return Next.fault }
    setStackPointer(stack.sp)
    s.pointee.eflags &=
      ~(RFlag.trap | RFlag.resume | RFlag.nested
      | (isVirtual ? RFlag.virtualInterrupt : RFlag.interrupt))
    flagsChanged()
    loadRealSegment(Seg.cs.rawValue, UInt16(truncatingIfNeeded: target >> 16))
    s.pointee.rip = target & 0xFFFF
    return Next.jump
  }
}

/// IRET, back to every mode (Intel SDM vol. 2A, IRET).
extension CPU {
  func interruptReturn(_ o: OpRef) -> Int {
    let size = o.pointee.size
    s.pointee.blocksNMI = false
    if !s.pointee.isProtected || s.pointee.isV86 { return returnReal(size) }
    if s.pointee.eflags & RFlag.nested != 0 {
      if s.pointee.isLongMode { return protectionFault() }
      guard let link = systemLoad(segment(.tr).pointee.hiddenBase, 2) else { return Next.fault }
      s.pointee.rip = nextRip(o)
      return switchTask(UInt16(truncatingIfNeeded: link), .interruptReturn) ? Next.jump : Next.fault
    }
    let step = UInt64(1) << UInt64(size)
    let top = stackPointer
    let ss = Seg.ss.rawValue
    let mask = s.pointee.stackMask
    guard let rip = load(ss, top, size: size),
      let cs = load(ss, (top &+ step) & mask, size: size),
      let image = load(ss, (top &+ 2 &* step) & mask, size: size)
    else { return Next.fault }
    if image & RFlag.virtual8086 != 0 && s.pointee.cpl == 0 && size == 2 && !s.pointee.isLongMode {
      return returnToV86(rip, cs, image, top)
    }
    let selector = UInt16(truncatingIfNeeded: cs)
    guard let code = returnDescriptor(selector) else { return Next.fault }
    let privilege = UInt8(selector & 3)
    guard isValidTarget(code, rip) else { return Next.fault }
    if privilege == s.pointee.cpl && !s.pointee.is64 {
      setStackPointer(top &+ 3 &* step)
    } else {
      guard let sp = load(ss, (top &+ 3 &* step) & mask, size: size),
        let stack = load(ss, (top &+ 4 &* step) & mask, size: size),
        returnStack(UInt16(truncatingIfNeeded: stack), sp, privilege, code, size)
      else { return Next.fault }
    }
    setReturnedFlags(image, size)
    let isOuter = privilege > s.pointee.cpl
    enterCode(code, rip, privilege: privilege)
    if isOuter { dropSegments() }
    return Next.jump
  }

  /// The code segment of a far return, checked; nil after a fault.
  func returnDescriptor(_ selector: UInt16) -> Descriptor? {
    guard var code = codeDescriptor(selector) else { return nil }
    let privilege = UInt8(selector & 3)
    let error = UInt32(selector & 0xFFFC)
    let fits =
      code.isConforming ? code.privilege <= privilege : code.privilege == privilege
    guard code.isCode, privilege >= s.pointee.cpl, fits,
      !(s.pointee.isLongMode && code.isLong && code.isBig)
    else {
      _ = protectionFault(error)
      return nil
    }
    guard code.present else {
      _ = fault(Vector.notPresent, code: error)
      return nil
    }
    return touch(&code) ? code : nil
  }

  /// SS and ESP of a return. False after a fault.
  func returnStack(
    _ selector: UInt16, _ sp: UInt64, _ privilege: UInt8, _ code: Descriptor, _ size: UInt8
  ) -> Bool {
    let toLong = s.pointee.isLongMode && code.isLong
    if selector & 0xFFFC == 0 {
      guard toLong, privilege != 3, UInt8(selector & 3) == privilege else {
        _ = protectionFault()
        return false
      }
      installNull(Seg.ss.rawValue, selector)
      self[4] = sp
      return true
    }
    guard
      let entry = stackDescriptor(
        selector, privilege: privilege, vector: Vector.protection, ext: 0)
    else { return false }
    install(Seg.ss.rawValue, entry, selector: selector)
    if toLong || size == 3 {
      self[4] = sp
    } else if entry.isBig {
      self[4] = sp & 0xFFFF_FFFF
    } else {
      self[4] = self[4] & ~0xFFFF | sp & 0xFFFF
    }
    return true
  }

  /// The flags that IRET and POPF may change at the privilege of the moment.
  func setReturnedFlags(_ image: UInt64, _ size: UInt8) {
    var mask: UInt64 =
      RFlag.trap | RFlag.direction | RFlag.nested | RFlag.alignment | RFlag.identification
      | RFlag.resume
    if s.pointee.cpl == 0 {
      mask |= RFlag.privilege | RFlag.virtualInterrupt | RFlag.virtualPending
    }
    if s.pointee.cpl <= UInt8(truncatingIfNeeded: s.pointee.eflags >> 12 & 3) {
      mask |= RFlag.interrupt
    }
    if size == 1 { mask &= 0xFFFF }
    setArithmeticFlags(image)
    let old = s.pointee.eflags
    s.pointee.eflags = old & ~mask | image & mask
    if (old ^ s.pointee.eflags) & RFlag.alignment != 0 { modeChanged() }
    flagsChanged()
  }

  private func returnReal(_ size: UInt8) -> Int {
    let isVirtual = s.pointee.isV86 && hasVirtualInterrupts && size == 1
    if isRestrictedV86 && !isVirtual { return protectionFault() }
    let step = UInt64(1) << UInt64(size)
    let top = stackPointer
    let mask = s.pointee.stackMask
    guard let rip = load(Seg.ss.rawValue, top, size: size),
      let cs = load(Seg.ss.rawValue, (top &+ step) & mask, size: size),
      let image = load(Seg.ss.rawValue, (top &+ 2 &* step) & mask, size: size)
    else { return Next.fault }
    guard rip <= UInt64(segment(.cs).pointee.limit) else { return protectionFault() }
    if isVirtual && !mayLoadVirtualFlags(image) { return Next.fault }
    setStackPointer(top &+ 3 &* step)
    let isV86 = s.pointee.isV86
    loadRealSegment(Seg.cs.rawValue, UInt16(truncatingIfNeeded: cs))
    s.pointee.rip = rip
    if isVirtual {
      loadVirtualFlags(image)
      return Next.jump
    }
    let keeps = isV86 ? RFlag.privilege : 0
    let old = s.pointee.eflags
    setReturnedFlags(image, size)
    s.pointee.eflags = s.pointee.eflags & ~keeps | old & keeps
    if isV86 { s.pointee.eflags = s.pointee.eflags & ~RFlag.interrupt | image & RFlag.interrupt }
    flagsChanged()
    return Next.jump
  }

  private func returnToV86(_ rip: UInt64, _ cs: UInt64, _ image: UInt64, _ top: UInt64) -> Int {
    var values: (UInt64, UInt64, UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0, 0, 0)
    let mask = s.pointee.stackMask
    let ss = Seg.ss.rawValue
    guard let sp = load(ss, (top &+ 12) & mask, size: 2),
      let stack = load(ss, (top &+ 16) & mask, size: 2),
      let es = load(ss, (top &+ 20) & mask, size: 2),
      let ds = load(ss, (top &+ 24) & mask, size: 2),
      let fs = load(ss, (top &+ 28) & mask, size: 2),
      let gs = load(ss, (top &+ 32) & mask, size: 2)
    else { return Next.fault }
    values = (es, cs, stack, ds, fs, gs)
    setArithmeticFlags(image)
    s.pointee.eflags = image & 0x003F_7700
    s.pointee.cpl = 3
    modeChanged()
    withUnsafeBytes(of: &values) { bytes in
      for number in 0..<6 {
        let value = bytes.load(fromByteOffset: number * 8, as: UInt64.self)
        loadRealSegment(Seg.offset(UInt8(number)), UInt16(truncatingIfNeeded: value))
      }
    }
    // All fields of a real-mode segment, whatever was there.
    segment(.cs).pointee.rights = 0xF3
    modeChanged()
    self[4] = sp & 0xFFFF_FFFF
    s.pointee.rip = rip & 0xFFFF
    flagsChanged()
    return Next.jump
  }
}

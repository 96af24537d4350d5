/// A descriptor as it lies in a table (Intel SDM vol. 3, 3.4.5).
struct Descriptor {
  var raw: UInt64
  var selector: UInt16
  /// Linear address of the entry.
  var address: UInt64

  var rights: UInt16 { UInt16(truncatingIfNeeded: raw >> 40) & 0xF0FF }
  var base: UInt64 { raw >> 16 & 0xFF_FFFF | raw >> 32 & 0xFF00_0000 }
  var limit: UInt32 {
    let value = UInt32(truncatingIfNeeded: raw & 0xFFFF | raw >> 32 & 0xF_0000)
    return rights & 0x8000 != 0 ? value << 12 | 0xFFF : value
  }
  var type: UInt8 { UInt8(truncatingIfNeeded: rights & 15) }
  var isCodeOrData: Bool { rights & 0x10 != 0 }
  var privilege: UInt8 { UInt8(truncatingIfNeeded: rights >> 5 & 3) }
  var present: Bool { rights & 0x80 != 0 }
  var isCode: Bool { rights & 0x18 == 0x18 }
  var isConforming: Bool { rights & 0x1C == 0x1C }
  var isWritableData: Bool { rights & 0x1A == 0x12 }
  var isReadable: Bool { rights & 0x18 == 0x10 || rights & 0x1A == 0x1A }
  var isLong: Bool { rights & 0x2000 != 0 }
  var isBig: Bool { rights & 0x4000 != 0 }
  // As a call, interrupt or trap gate:
  var gateSelector: UInt16 { UInt16(truncatingIfNeeded: raw >> 16) }
  var gateOffset: UInt64 { raw & 0xFFFF | raw >> 32 & 0xFFFF_0000 }
  var gateCount: UInt64 { raw >> 32 & 31 }
}

extension CPU {
  /// The descriptor of `selector`; nil after a fault (#GP, or `vector`, with the selector).
  func descriptor(_ selector: UInt16, fault vector: UInt8 = Vector.protection, ext: UInt32 = 0)
    -> Descriptor?
  {
    let index = UInt64(selector & 0xFFF8)
    let base: UInt64
    let limit: UInt64
    if selector & 4 != 0 {
      let table = segment(.ldt)
      base = table.pointee.hiddenBase
      limit = table.pointee.present ? UInt64(table.pointee.limit) : 0
    } else {
      base = s.pointee.gdtBase
      limit = s.pointee.gdtLimit
    }
    guard index &+ 7 <= limit else {
      _ = fault(vector, code: UInt32(selector & 0xFFFC) | ext)
      return nil
    }
    guard let raw = systemLoad(base &+ index, 8) else { return nil }
    return Descriptor(raw: raw, selector: selector, address: base &+ index)
  }

  /// Sets the accessed bit of a code or data descriptor. False after a page fault.
  func touch(_ descriptor: inout Descriptor) -> Bool {
    guard descriptor.rights & 1 == 0 else { return true }
    descriptor.raw |= 1 << 40
    return systemStore(descriptor.address &+ 5, descriptor.raw >> 40 & 0xFF, 1)
  }

  /// Puts a descriptor into a segment register.
  func install(_ seg: UInt16, _ descriptor: Descriptor, selector: UInt16) {
    let place = segment(seg)
    place.pointee.selector = selector
    place.pointee.hiddenBase = descriptor.base
    place.pointee.limit = descriptor.limit
    place.pointee.rights = descriptor.rights
    if seg < Seg.flat.rawValue { updateSegment(seg) }
  }

  /// A segment register that holds a null selector.
  func installNull(_ seg: UInt16, _ selector: UInt16) {
    let place = segment(seg)
    place.pointee.selector = selector
    place.pointee.rights = 0
    place.pointee.limit = 0
    place.pointee.hiddenBase = 0
    updateSegment(seg)
  }

  /// MOV, POP and the like to DS, ES, FS, GS, SS (0 to 5 without CS). False after a fault.
  func loadSegmentRegister(_ number: UInt8, _ selector: UInt16) -> Bool {
    let seg = Seg.offset(number)
    guard s.pointee.isProtected, !s.pointee.isV86 else {
      loadRealSegment(seg, selector)
      return true
    }
    if number == 2 { return loadStackSegment(selector) }
    if selector & 0xFFFC == 0 {
      installNull(seg, selector)
      return true
    }
    guard var entry = descriptor(selector) else { return false }
    let rpl = UInt8(selector & 3)
    let code = UInt32(selector & 0xFFFC)
    let isVisible =
      entry.isConforming || entry.privilege >= rpl && entry.privilege >= s.pointee.cpl
    guard entry.isCodeOrData, entry.isReadable, isVisible else {
      _ = protectionFault(code)
      return false
    }
    guard entry.present else {
      _ = fault(Vector.notPresent, code: code)
      return false
    }
    guard touch(&entry) else { return false }
    install(seg, entry, selector: selector)
    return true
  }

  private func loadStackSegment(_ selector: UInt16) -> Bool {
    if selector & 0xFFFC == 0 {
      guard s.pointee.is64, s.pointee.cpl < 3, UInt8(selector & 3) == s.pointee.cpl else {
        _ = protectionFault()
        return false
      }
      installNull(Seg.ss.rawValue, selector)
      return true
    }
    guard
      let entry = stackDescriptor(
        selector, privilege: s.pointee.cpl, vector: Vector.protection, ext: 0)
    else { return false }
    install(Seg.ss.rawValue, entry, selector: selector)
    modeChanged()
    return true
  }

  /// The descriptor of a stack for `privilege`, checked; nil after a fault.
  func stackDescriptor(
    _ selector: UInt16, privilege: UInt8, vector: UInt8, ext: UInt32
  ) -> Descriptor? {
    let code = UInt32(selector & 0xFFFC) | ext
    if selector & 0xFFFC == 0 {
      _ = fault(vector, code: ext)
      return nil
    }
    guard var entry = descriptor(selector, fault: vector, ext: ext) else { return nil }
    guard UInt8(selector & 3) == privilege, entry.isWritableData, entry.privilege == privilege
    else {
      _ = fault(vector, code: code)
      return nil
    }
    guard entry.present else {
      _ = fault(Vector.stack, code: code)
      return nil
    }
    return touch(&entry) ? entry : nil
  }

  /// The descriptor of code for a transfer to `privilege`, checked; nil after a fault.
  func codeDescriptor(_ selector: UInt16, ext: UInt32 = 0) -> Descriptor? {
    if selector & 0xFFFC == 0 {
      _ = protectionFault(ext)
      return nil
    }
    guard let entry = descriptor(selector, ext: ext) else { return nil }
    return entry
  }

  /// Whether code may lie at `rip` in the segment; else #GP(0).
  func isValidTarget(_ entry: Descriptor, _ rip: UInt64) -> Bool {
    let isLong = s.pointee.isLongMode && entry.isLong
    if isLong ? Self.isCanonical(rip) : rip <= UInt64(entry.limit) { return true }
    _ = protectionFault()
    return false
  }

  /// CS, RIP and the privilege, all checks done.
  func enterCode(_ entry: Descriptor, _ rip: UInt64, privilege: UInt8) {
    s.pointee.cpl = privilege
    install(Seg.cs.rawValue, entry, selector: entry.selector & 0xFFFC | UInt16(privilege))
    modeChanged()
    s.pointee.rip = rip
  }

  /// After a return to a lower privilege: segments that it may not see become null.
  func dropSegments() {
    for number in [UInt8(0), 3, 4, 5] {
      let seg = segment(Seg.offset(number))
      if seg.pointee.isConforming { continue }
      if seg.pointee.privilege < s.pointee.cpl && seg.pointee.present {
        installNull(Seg.offset(number), 0)
      }
    }
  }

  // MARK: The task state segment

  /// The stack of `privilege` from the TSS: SS and ESP; nil after a fault.
  func stackFromTSS(_ privilege: UInt8, ext: UInt32 = 0) -> (ss: UInt16, sp: UInt64)? {
    let tr = segment(.tr)
    let is32 = tr.pointee.type & 8 != 0
    let step: UInt64 = is32 ? 8 : 4
    let at = (is32 ? 4 : 2) &+ UInt64(privilege) &* step
    let base = tr.pointee.hiddenBase
    guard tr.pointee.present, at &+ step &- 1 <= UInt64(tr.pointee.limit) else {
      _ = fault(Vector.taskState, code: UInt32(tr.pointee.selector & 0xFFFC) | ext)
      return nil
    }
    guard let sp = systemLoad(base &+ at, is32 ? 4 : 2),
      let ss = systemLoad(base &+ at &+ (is32 ? 4 : 2), 2)
    else { return nil }
    return (UInt16(truncatingIfNeeded: ss), sp)
  }

  /// A 64-bit stack pointer at `offset` of the TSS; nil after a fault.
  func stackFromTSS64(at offset: UInt64, ext: UInt32 = 0) -> UInt64? {
    let tr = segment(.tr)
    guard tr.pointee.present, offset &+ 7 <= UInt64(tr.pointee.limit) else {
      _ = fault(Vector.taskState, code: UInt32(tr.pointee.selector & 0xFFFC) | ext)
      return nil
    }
    guard let sp = systemLoad(tr.pointee.hiddenBase &+ offset, 8) else { return nil }
    guard Self.isCanonical(sp) else {
      _ = fault(Vector.stack, code: ext)
      return nil
    }
    return sp
  }

  /// Whether the code may use the port; else #GP(0).
  func mayUsePort(_ port: UInt16, _ bytes: Int) -> Bool {
    guard s.pointee.isProtected else { return true }
    let level = UInt8(truncatingIfNeeded: s.pointee.eflags >> 12 & 3)
    if !s.pointee.isV86 && s.pointee.cpl <= level { return true }
    let tr = segment(.tr)
    if tr.pointee.present && tr.pointee.type & 8 != 0 && tr.pointee.limit >= 103 {
      let base = tr.pointee.hiddenBase
      guard let map = systemLoad(base &+ 102, 2) else { return false }
      let at = map &+ UInt64(port >> 3)
      if at &+ 1 <= UInt64(tr.pointee.limit) {
        guard let bits = systemLoad(base &+ at, 2) else { return false }
        let mask = (UInt64(1) << UInt64(bytes)) &- 1
        if bits >> UInt64(port & 7) & mask == 0 { return true }
      }
    }
    _ = protectionFault()
    return false
  }
}

/// A stack that something is pushed on before it becomes the stack.
struct NewStack {
  let cpu: CPU
  var base: UInt64
  var sp: UInt64
  var mask: UInt64
  var limit: UInt64
  var isUser: Bool
  var expandsDown = false
  /// The error code of a stack fault.
  var code: UInt32 = 0

  /// The current stack.
  init(_ cpu: CPU) {
    self.cpu = cpu
    let ss = cpu.segment(.ss)
    base = ss.pointee.base
    mask = cpu.s.pointee.stackMask
    sp = cpu.stackPointer
    limit = UInt64(ss.pointee.limit)
    isUser = cpu.s.pointee.cpl == 3
    expandsDown = cpu.s.pointee.isProtected && ss.pointee.expandsDown
    if cpu.s.pointee.is64 { limit = .max }
  }

  /// The stack of a descriptor.
  init(_ cpu: CPU, _ entry: Descriptor, sp: UInt64, code: UInt32) {
    self.cpu = cpu
    base = entry.base
    mask = entry.isBig ? 0xFFFF_FFFF : 0xFFFF
    self.sp = sp & mask
    limit = UInt64(entry.limit)
    isUser = entry.privilege == 3
    expandsDown = entry.rights & 0x1C == 0x14
    self.code = code
  }

  /// A 64-bit stack.
  init(_ cpu: CPU, sp: UInt64, isUser: Bool) {
    self.cpu = cpu
    base = 0
    mask = .max
    self.sp = sp
    limit = .max
    self.isUser = isUser
  }

  mutating func push(_ value: UInt64, size: UInt8) -> Bool {
    let bytes = UInt64(1) << UInt64(size)
    let next = (sp &- bytes) & mask
    let last = next &+ bytes &- 1
    let fits = expandsDown ? next > limit && last <= mask : last <= limit || limit == .max
    guard fits else {
      _ = cpu.fault(Vector.stack, code: code)
      return false
    }
    let wrap: UInt64 = mask == .max ? .max : 0xFFFF_FFFF
    let linear = (base &+ next) & wrap
    guard mask != .max || CPU.isCanonical(linear) else {
      _ = cpu.fault(Vector.stack, code: code)
      return false
    }
    guard cpu.storeLinear(linear, value, Int(bytes), user: isUser) != Next.fault else {
      return false
    }
    sp = next
    return true
  }
}

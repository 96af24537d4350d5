import KVMEngine

/// Page walks (Intel SDM vol. 3, chapter 4).
extension CPU {
  /// Bits of a page fault's error code.
  private enum Cause {
    static let present: UInt32 = 1
    static let write: UInt32 = 2
    static let user: UInt32 = 4
    static let reserved: UInt32 = 8
    static let fetch: UInt32 = 16
  }
  private enum Entry {
    static let present: UInt64 = 1
    static let writable: UInt64 = 2
    static let user: UInt64 = 4
    static let accessed: UInt64 = 0x20
    static let dirty: UInt64 = 0x40
    static let large: UInt64 = 0x80
    static let global: UInt64 = 0x100
    static let frame: UInt64 = 0x000F_FFFF_FFFF_F000
    static let noExecute: UInt64 = 1 << 63
  }
  /// Reserved address bits: above the physical ones.
  private static let reservedFrame =
    Entry.frame & ~((1 << InterpretedProcessor.physicalAddressBits) - 1)

  @inline(never)
  private func pageFault(
    _ linear: UInt64, _ cause: UInt32, writing: Bool, user: Bool, fetching: Bool
  ) -> UInt64? {
    var code = cause
    if writing { code |= Cause.write }
    if user { code |= Cause.user }
    let reportsFetch =
      s.pointee.efer & Bits.nxe != 0 && s.pointee.cr4 & Bits.pae != 0
      || s.pointee.cr4 & Bits.smep != 0
    if fetching && reportsFetch { code |= Cause.fetch }
    s.pointee.cr2 = linear
    _ = fault(Vector.page, code: code)
    return nil
  }

  /// The physical address behind `linear`; nil after a page fault is recorded. Sets the accessed
  /// and dirty bits.
  func translate(
    _ linear: UInt64, writing: Bool, user: Bool, fetching: Bool = false, system: Bool = false
  ) -> UInt64? {
    s.pointee.endedLarge = false
    s.pointee.endedGlobal = false
    guard s.pointee.cr0 & Bits.pg != 0 else { return linear & 0xFFFF_FFFF }
    if s.pointee.cr4 & Bits.pae != 0 {
      return walkWide(linear, writing: writing, user: user, fetching: fetching, system: system)
    }
    return walkNarrow(linear, writing: writing, user: user, fetching: fetching, system: system)
  }

  /// Whether the rights gathered on the way allow the access.
  private func allows(
    _ rights: UInt64, _ noExecute: Bool, writing: Bool, user: Bool, fetching: Bool, system: Bool
  ) -> Bool {
    if user {
      if rights & Entry.user == 0 || writing && rights & Entry.writable == 0 { return false }
    } else {
      let isWriteProtected = s.pointee.cr0 & Bits.wp != 0
      if writing && isWriteProtected && rights & Entry.writable == 0 { return false }
      if rights & Entry.user != 0 {
        if fetching && s.pointee.cr4 & Bits.smep != 0 { return false }
        let override = s.pointee.eflags & RFlag.alignment != 0 && !system
        if !fetching && s.pointee.cr4 & Bits.smap != 0 && !override { return false }
      }
    }
    return !(fetching && noExecute)
  }

  private func walkWide(
    _ linear: UInt64, writing: Bool, user: Bool, fetching: Bool, system: Bool
  ) -> UInt64? {
    var table: UInt64
    var level: UInt64
    if s.pointee.isLongMode {
      table = s.pointee.cr3 & Entry.frame
      level = 3
    } else {
      let pointers = s.pointee.pdpte
      let pointer =
        switch linear >> 30 & 3 {
        case 0: pointers.0
        case 1: pointers.1
        case 2: pointers.2
        default: pointers.3
        }
      guard pointer & Entry.present != 0 else {
        return pageFault(linear, 0, writing: writing, user: user, fetching: fetching)
      }
      table = pointer & Entry.frame
      level = 1
    }
    let hasNX = s.pointee.efer & Bits.nxe != 0
    var rights = Entry.writable | Entry.user
    var noExecute = false
    while true {
      let at = table &+ (linear >> (12 + 9 * level) & 0x1FF) * 8
      let entry = loadPhysical(at, 8)
      guard entry & Entry.present != 0 else {
        return pageFault(linear, 0, writing: writing, user: user, fetching: fetching)
      }
      let isLarge = entry & Entry.large != 0
      var reserved = Self.reservedFrame
      if !hasNX { reserved |= Entry.noExecute }
      if level == 3 { reserved |= Entry.large }
      if isLarge && level == 1 { reserved |= 0x1F_E000 }
      if isLarge && level == 2 { reserved |= 0x3FFF_E000 }
      if !s.pointee.isLongMode { reserved |= 0x7FF0_0000_0000_0000 }
      guard entry & reserved == 0 else {
        return pageFault(
          linear, Cause.present | Cause.reserved, writing: writing, user: user, fetching: fetching)
      }
      rights &= entry
      noExecute = noExecute || entry & Entry.noExecute != 0
      if level == 0 || isLarge && level < 3 {
        guard
          allows(
            rights, noExecute, writing: writing, user: user, fetching: fetching, system: system)
        else {
          return pageFault(linear, Cause.present, writing: writing, user: user, fetching: fetching)
        }
        mark(at, entry, Entry.accessed | (writing ? Entry.dirty : 0), 8)
        s.pointee.endedUser = rights & Entry.user != 0
        let mask = (UInt64(1) << (12 + 9 * level)) - 1
        if level > 0 {
          s.pointee.largePages = true
          s.pointee.endedLarge = true
          if level == 2 { s.pointee.hugePages = true }
        }
        s.pointee.endedGlobal = entry & Entry.global != 0
        return entry & Entry.frame & ~mask | linear & mask
      }
      mark(at, entry, Entry.accessed, 8)
      table = entry & Entry.frame
      level -= 1
    }
  }

  private func walkNarrow(
    _ linear: UInt64, writing: Bool, user: Bool, fetching: Bool, system: Bool
  ) -> UInt64? {
    let directoryAt = (s.pointee.cr3 & 0xFFFF_F000) | (linear >> 22 & 0x3FF) << 2
    let directory = loadPhysical(directoryAt, 4)
    guard directory & Entry.present != 0 else {
      return pageFault(linear, 0, writing: writing, user: user, fetching: fetching)
    }
    if directory & Entry.large != 0 && s.pointee.cr4 & Bits.pse != 0 {
      // Bits 13 to 20 are address bits 32 to 39; bit 21 is reserved.
      guard directory & 0x20_0000 == 0 else {
        return pageFault(
          linear, Cause.present | Cause.reserved, writing: writing, user: user, fetching: fetching)
      }
      guard
        allows(
          directory, false, writing: writing, user: user, fetching: fetching, system: system)
      else {
        return pageFault(linear, Cause.present, writing: writing, user: user, fetching: fetching)
      }
      mark(directoryAt, directory, Entry.accessed | (writing ? Entry.dirty : 0), 4)
      s.pointee.endedGlobal = directory & Entry.global != 0
      s.pointee.largePages = true
      s.pointee.endedLarge = true
      return (directory >> 13 & 0xFF) << 32 | directory & 0xFFC0_0000 | linear & 0x3F_FFFF
    }
    let at = directory & 0xFFFF_F000 | (linear >> 12 & 0x3FF) << 2
    let entry = loadPhysical(at, 4)
    guard entry & Entry.present != 0 else {
      return pageFault(linear, 0, writing: writing, user: user, fetching: fetching)
    }
    guard
      allows(
        directory & entry, false, writing: writing, user: user, fetching: fetching, system: system)
    else {
      return pageFault(linear, Cause.present, writing: writing, user: user, fetching: fetching)
    }
    mark(directoryAt, directory, Entry.accessed, 4)
    mark(at, entry, Entry.accessed | (writing ? Entry.dirty : 0), 4)
    s.pointee.endedGlobal = entry & Entry.global != 0
    return entry & 0xFFFF_F000 | linear & 4095
  }

  private func mark(_ at: UInt64, _ entry: UInt64, _ bits: UInt64, _ size: Int) {
    guard entry & bits != bits else { return }
    let page = physicalPage(at & ~4095)
    if let base = page.pointee.base, page.pointee.flags & 1 != 0 {
      let p = base + Int(truncatingIfNeeded: at & 4095)
      var old = UInt8(truncatingIfNeeded: entry)
      while !UInt8.compareAndSwap(p, &old, old | UInt8(truncatingIfNeeded: bits)) {}
      noteStore(page, Int(truncatingIfNeeded: at & 4095), 1, at)
    } else {
      _ = storePhysical(at, entry | bits, size)
    }
  }

  /// Loads the four page-directory pointers of PAE paging. False: a reserved bit is set.
  func loadPointers(_ cr3: UInt64) -> Bool {
    let table = cr3 & 0xFFFF_FFE0
    var pointers: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    pointers.0 = loadPhysical(table, 8)
    pointers.1 = loadPhysical(table &+ 8, 8)
    pointers.2 = loadPhysical(table &+ 16, 8)
    pointers.3 = loadPhysical(table &+ 24, 8)
    for entry in [pointers.0, pointers.1, pointers.2, pointers.3] {
      if entry & 1 != 0 && entry & (0x1E6 | 0xFFFF_C000_0000_0000) != 0 { return false }
    }
    s.pointee.pdpte = pointers
    return true
  }

  // MARK: Accesses of the processor itself

  /// A load by the processor for itself (descriptors, TSS): with supervisor rights.
  func systemLoad(_ linear: UInt64, _ size: Int) -> UInt64? {
    systemAccess(linear, size, 0, writing: false)
  }

  /// A store by the processor for itself; false after a fault.
  func systemStore(_ linear: UInt64, _ value: UInt64, _ size: Int) -> Bool {
    systemAccess(linear, size, value, writing: true) != nil
  }

  private func systemAccess(
    _ linear: UInt64, _ size: Int, _ value: UInt64, writing: Bool
  ) -> UInt64? {
    var result: UInt64 = 0
    let mask: UInt64 = s.pointee.isLongMode ? .max : 0xFFFF_FFFF
    let first = linear & mask
    guard Self.isCanonical(first) else {
      _ = protectionFault()
      return nil
    }
    let inside = Int(truncatingIfNeeded: first & 4095)
    if inside + size <= 4096 {
      guard let at = translate(first, writing: writing, user: false, system: true)
      else { return nil }
      if writing {
        _ = storePhysical(at, value, size)
        return 0
      }
      return loadPhysical(at, size)
    }
    for index in 0..<size {
      let byte = (linear &+ UInt64(index)) & mask
      guard let at = translate(byte, writing: writing, user: false, system: true)
      else { return nil }
      if writing {
        _ = storePhysical(at, value >> UInt64(index * 8), 1)
      } else {
        result |= loadPhysical(at, 1) << UInt64(index * 8)
      }
    }
    return result
  }
}

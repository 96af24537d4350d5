import KVMEngine

/// Accesses that the TLB does not answer: limits and rights looked at closely, page walks, pages
/// crossed, code written to, windows, devices.
extension CPU {
  /// Whether the access is right by its segment; else the fault is recorded.
  func checkSegment(_ segment: UInt16, _ offset: UInt64, _ size: Int, writing: Bool) -> Bool {
    if s.pointee.is64 || segment >= Seg.flat.rawValue { return true }
    let seg = self.segment(segment)
    let last = offset &+ UInt64(size) &- 1
    let limit = UInt64(seg.pointee.limit)
    let vector = segment == Seg.ss.rawValue ? Vector.stack : Vector.protection
    let rights = seg.pointee
    if s.pointee.isProtected && !s.pointee.isV86 {
      // A null selector, or a type that the access does not go with.
      guard rights.present, rights.isCodeOrData, writing ? rights.isWritable : rights.isReadable
      else {
        _ = fault(rights.present ? Vector.protection : vector, code: 0)
        return false
      }
    }
    if rights.expandsDown && s.pointee.isProtected {
      let top: UInt64 = rights.isBig ? 0xFFFF_FFFF : 0xFFFF
      if offset > limit && last <= top { return true }
    } else if last <= limit || limit == 0xFFFF_FFFF {
      return true
    }
    _ = fault(vector, code: 0)
    return false
  }

  /// The linear address, or nil after a fault.
  func linear(_ segment: UInt16, _ offset: UInt64, _ size: Int, writing: Bool) -> UInt64? {
    guard checkSegment(segment, offset, size, writing: writing) else { return nil }
    let linear = (self.segment(segment).pointee.base &+ offset) & s.pointee.linearMask
    if s.pointee.is64 {
      let last = linear &+ UInt64(size) &- 1
      guard Self.isCanonical(linear), Self.isCanonical(last) else {
        let isStack = segment == Seg.ss.rawValue || segment == Seg.flatStack.rawValue
        _ = fault(isStack ? Vector.stack : Vector.protection, code: 0)
        return nil
      }
    }
    return linear
  }

  @inline(__always) static func isCanonical(_ address: UInt64) -> Bool {
    (Int64(bitPattern: address) &<< 16) &>> 16 == Int64(bitPattern: address)
  }

  /// Whether the current code accesses memory as a user.
  var isUser: Bool { s.pointee.cpl == 3 }

  @inline(never)
  func slowLoad(_ segment: UInt16, _ offset: UInt64, _ size: Int) -> UInt64? {
    guard let linear = linear(segment, offset, size, writing: false), isAligned(linear, size)
    else { return nil }
    return loadLinear(linear, size, user: isUser)
  }

  @inline(never)
  func slowStore(_ segment: UInt16, _ offset: UInt64, _ value: UInt64, _ size: Int) -> Int {
    guard let linear = linear(segment, offset, size, writing: true), isAligned(linear, size)
    else { return Next.fault }
    return storeLinear(linear, value, size, user: isUser)
  }

  /// Whether the access may be where it is with alignment checks; else #AC. Operands of more than 8
  /// bytes come in parts of 8.
  private func isAligned(_ linear: UInt64, _ size: Int) -> Bool {
    guard s.pointee.checksAlignment, linear & (UInt64(min(size, 8)) &- 1) != 0 else { return true }
    _ = fault(Vector.alignment, code: 0)
    return false
  }

  /// Whether a store would be right; else the fault is recorded.
  @inline(never)
  func slowProbeWrite(_ segment: UInt16, _ offset: UInt64, _ size: Int) -> Bool {
    guard let linear = linear(segment, offset, size, writing: true),
      size & (size - 1) != 0 || isAligned(linear, size),
      translate(linear, writing: true, user: isUser) != nil
    else { return false }
    let last = (linear &+ UInt64(size) &- 1) & s.pointee.linearMask
    if (linear ^ last) & ~4095 == 0 { return true }
    return translate(last & ~4095, writing: true, user: isUser) != nil
  }

  /// The host memory for an atomic change that was probed; nil where it crosses a page or is no
  /// plain memory. Marks code and windows as written.
  @inline(never)
  func slowPointer(_ segment: UInt16, _ offset: UInt64, _ size: Int) -> UnsafeMutableRawPointer? {
    let linear = (self.segment(segment).pointee.base &+ offset) & s.pointee.linearMask
    let inside = Int(truncatingIfNeeded: linear & 4095)
    guard inside + size <= 4096, let found = translate(linear, writing: true, user: isUser)
    else { return nil }
    let page = physicalPage(found & ~4095)
    guard let base = page.pointee.base, page.pointee.flags & 1 != 0 else { return nil }
    if page.pointee.code?.pointee.tableLevels.load(ordering: .relaxed) != 0 {
      noteTableChange(page, inside, size, found, value: nil)
    }
    if s.pointee.slow & Slow.breakpoints != 0 { noteAccess(linear, size, writing: true) }
    noteStore(page, inside, size, found)
    return base + inside
  }

  /// A load from a linear address; nil after a page fault.
  func loadLinear(_ linear: UInt64, _ size: Int, user: Bool) -> UInt64? {
    guard s.pointee.slow & Slow.breakpoints != 0 else { return loadUnwatched(linear, size, user) }
    let value = loadUnwatched(linear, size, user)
    if value != nil { noteAccess(linear, size, writing: false) }
    return value
  }

  @inline(__always)
  private func loadUnwatched(_ linear: UInt64, _ size: Int, _ user: Bool) -> UInt64? {
    let inside = Int(truncatingIfNeeded: linear & 4095)
    if inside + size <= 4096 {
      let entry = entry(linear)
      let page = linear & ~4095
      if user == isUser, entry.pointee.physical & TLBEntry.deviceRead != 0,
        entry.pointee.addend == page
      {
        return loadDevice(entry.pointee.physical & ~4095 | UInt64(inside), size)
      }
      guard let physical = translate(linear, writing: false, user: user) else { return nil }
      if user == isUser { fill(linear, physical, writing: false) }
      return loadPhysical(physical, size)
    }
    let first = 4096 - inside
    let next = (linear &+ UInt64(first)) & s.pointee.linearMask
    guard let low = translate(linear, writing: false, user: user),
      let high = translate(next, writing: false, user: user)
    else { return nil }
    var value: UInt64 = 0
    for index in 0..<size {
      let at = index < first ? low &+ UInt64(index) : high &+ UInt64(index - first)
      value |= loadPhysical(at, 1) << UInt64(index * 8)
    }
    return value
  }

  /// A store to a linear address.
  func storeLinear(_ linear: UInt64, _ value: UInt64, _ size: Int, user: Bool) -> Int {
    guard s.pointee.slow & Slow.breakpoints != 0 else {
      return storeUnwatched(linear, value, size, user)
    }
    let result = storeUnwatched(linear, value, size, user)
    if result != Next.fault { noteAccess(linear, size, writing: true) }
    return result
  }

  @inline(__always)
  private func storeUnwatched(
    _ linear: UInt64, _ value: UInt64, _ size: Int, _ user: Bool
  ) -> Int {
    let inside = Int(truncatingIfNeeded: linear & 4095)
    if inside + size <= 4096 {
      let entry = entry(linear)
      let page = linear & ~4095
      if user == isUser, entry.pointee.physical & TLBEntry.deviceWrite != 0,
        entry.pointee.addend == page
      {
        return storeDevice(entry.pointee.physical & ~4095 | UInt64(inside), value, size)
      }
      guard let physical = translate(linear, writing: true, user: user) else { return Next.fault }
      let result = storePhysical(physical, value, size)
      if user == isUser { fill(linear, physical, writing: true) }
      return result
    }
    let first = 4096 - inside
    let next = (linear &+ UInt64(first)) & s.pointee.linearMask
    guard let low = translate(linear, writing: true, user: user),
      let high = translate(next, writing: true, user: user)
    else { return Next.fault }
    var result = Next.op
    for index in 0..<size {
      let at = index < first ? low &+ UInt64(index) : high &+ UInt64(index - first)
      result |= storePhysical(at, value >> UInt64(index * 8), 1)
    }
    return result
  }

  // MARK: Physical memory

  /// What lies at a physical page, from the cache or the address space.
  func physicalPage(_ address: UInt64) -> UnsafeMutablePointer<PhysicalEntry> {
    let index = Int(truncatingIfNeeded: address &>> 12) & (Layout.physicalEntries - 1)
    let entry = (raw + Layout.physical).assumingMemoryBound(to: PhysicalEntry.self) + index
    if entry.pointee.tag == address { return entry }
    entry.pointee.tag = address
    entry.pointee.base = nil
    entry.pointee.code = nil
    entry.pointee.flags = 0
    if let page = environment.memory.hostPage(at: address) {
      entry.pointee.base = page.base
      entry.pointee.code = page.code
      entry.pointee.flags = (page.isWritable ? 1 : 0) | (page.isWindow ? 2 : 0)
    }
    return entry
  }

  /// A load within one page.
  func loadPhysical(_ address: UInt64, _ size: Int) -> UInt64 {
    let page = physicalPage(address & ~4095)
    guard let base = page.pointee.base else { return loadDevice(address, size) }
    let p = base + Int(truncatingIfNeeded: address & 4095)
    switch size {
    case 1: return UInt64(p.load(as: UInt8.self))
    case 2: return UInt64(p.loadUnaligned(as: UInt16.self))
    case 4: return UInt64(p.loadUnaligned(as: UInt32.self))
    default: return p.loadUnaligned(as: UInt64.self)
    }
  }

  /// A store within one page; ``Next/leave`` where decoded code was hit, or memory moved. One to
  /// memory that is only read goes to the bus.
  func storePhysical(_ address: UInt64, _ value: UInt64, _ size: Int) -> Int {
    let page = physicalPage(address & ~4095)
    guard let base = page.pointee.base, page.pointee.flags & 1 != 0 else {
      return storeDevice(address, value, size)
    }
    let inside = Int(truncatingIfNeeded: address & 4095)
    let p = base + inside
    if page.pointee.code?.pointee.tableLevels.load(ordering: .relaxed) != 0 {
      noteTableChange(page, inside, size, address, value: value)
    }
    switch size {
    case 1: p.storeBytes(of: UInt8(truncatingIfNeeded: value), as: UInt8.self)
    case 2: p.storeBytes(of: UInt16(truncatingIfNeeded: value), as: UInt16.self)
    case 4: p.storeBytes(of: UInt32(truncatingIfNeeded: value), as: UInt32.self)
    default: p.storeBytes(of: value, as: UInt64.self)
    }
    return noteStore(page, inside, size, address)
  }

  /// Marks what a store to plain memory changes: code, windows.
  @discardableResult
  func noteStore(
    _ page: UnsafeMutablePointer<PhysicalEntry>, _ inside: Int, _ size: Int, _ address: UInt64
  ) -> Int {
    if page.pointee.flags & 2 != 0 { environment.memory.noteWindowWrite(address & ~4095) }
    guard let code = page.pointee.code else { return Next.op }
    return code.pointee.noteWrite(from: inside, through: inside + size - 1) ? Next.leave : Next.op
  }

  private func loadDevice(_ address: UInt64, _ size: Int) -> UInt64 {
    if let local = localDevice(address) {
      let width = AccessWidth(rawValue: UInt8(size)) ?? .byte
      return local.readMemory(address & 4095, width: width) & width.mask
    }
    return environment.memory.bus.read(
      address, width: AccessWidth(rawValue: UInt8(size)) ?? .byte)
  }

  private func storeDevice(_ address: UInt64, _ value: UInt64, _ size: Int) -> Int {
    let width = AccessWidth(rawValue: UInt8(size)) ?? .byte
    if let local = localDevice(address) {
      local.writeMemory(address & 4095, width: width, value: value & width.mask)
      s.pointee.slow |= Slow.pendingInterrupt
      return Next.op
    }
    environment.memory.bus.write(address, width: width, value: value)
    return afterDevice
  }

  /// What a store to a device says: the next instruction must not see memory that the device has just
  /// taken away.
  var afterDevice: Int {
    let moved = s.pointee.attention.pointee.load(ordering: .relaxed) & PageChange.moved
    return moved != 0 ? Next.leave : Next.op
  }

  /// The physical address behind `size` bytes of one page, where the TLB knows a device on the bus
  /// there; nil as well while each access has to be looked at.
  @inline(never)
  func devicePlace(_ segment: UInt16, _ offset: UInt64, _ size: UInt64, writing: Bool) -> UInt64? {
    let seg = self.segment(segment)
    let limit = writing ? seg.pointee.writeLimit : seg.pointee.readLimit
    guard Int64(bitPattern: offset &+ (size &- 1)) <= limit, !s.pointee.checksAlignment,
      s.pointee.slow & (Slow.breakpoints | Slow.singleStep) == 0
    else { return nil }
    let linear = (seg.pointee.base &+ offset) & s.pointee.linearMask
    let entry = entry(linear)
    let known = writing ? TLBEntry.deviceWrite : TLBEntry.deviceRead
    guard entry.pointee.addend == linear & ~4095, entry.pointee.physical & known != 0,
      (linear & 4095) &+ size <= 4096
    else { return nil }
    let place = entry.pointee.physical & ~4095 | linear & 4095
    return localDevice(place) == nil ? place : nil
  }

  /// The local APIC, where its page is.
  private func localDevice(_ address: UInt64) -> LocalAPIC? {
    guard let local = environment.localAPIC, address & ~4095 == local.registerPage else {
      return nil
    }
    return local
  }
}

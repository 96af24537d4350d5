import KVMEngine

/// Loads and stores of operands: segment, TLB, memory. What misses goes to `CPU+SlowAccess`.
extension CPU {
  /// The offset that a memory operand names.
  @inline(__always) func offset(_ o: OpRef) -> UInt64 {
    let base = get(o.pointee.base, UInt64.self)
    let index = get(o.pointee.index, UInt64.self) &<< UInt64(o.pointee.scale)
    return (base &+ index &+ o.pointee.disp) & (UInt64.max &>> UInt64(o.pointee.addressShift))
  }

  @inline(__always) func entry(_ linear: UInt64) -> UnsafeMutablePointer<TLBEntry> {
    let index = Int(truncatingIfNeeded: linear &>> 12) & (Layout.tlbEntries - 1)
    return s.pointee.tlb.assumingMemoryBound(to: TLBEntry.self) + index
  }

  /// The host memory behind `size` bytes for loading, where the TLB has it.
  @inline(__always) func readable(
    _ segment: UInt16, _ offset: UInt64, _ size: UInt64
  ) -> UnsafeMutableRawPointer? {
    let seg = self.segment(segment)
    guard Int64(bitPattern: offset &+ (size &- 1)) <= seg.pointee.readLimit else { return nil }
    return readable((seg.pointee.base &+ offset) & s.pointee.linearMask, size)
  }

  /// The host memory behind `size` bytes for storing, where the TLB has it.
  @inline(__always) func writable(
    _ segment: UInt16, _ offset: UInt64, _ size: UInt64
  ) -> UnsafeMutableRawPointer? {
    let seg = self.segment(segment)
    guard Int64(bitPattern: offset &+ (size &- 1)) <= seg.pointee.writeLimit else { return nil }
    return writable((seg.pointee.base &+ offset) & s.pointee.linearMask, size)
  }

  /// The same for a linear address.
  @inline(__always) private func readable(
    _ linear: UInt64, _ size: UInt64
  ) -> UnsafeMutableRawPointer? {
    let entry = entry(linear)
    guard entry.pointee.readTag == (linear &+ (size &- 1)) & ~4095 else { return nil }
    return UnsafeMutableRawPointer(
      bitPattern: UInt(truncatingIfNeeded: linear &+ entry.pointee.addend))
  }
  @inline(__always) private func writable(
    _ linear: UInt64, _ size: UInt64
  ) -> UnsafeMutableRawPointer? {
    let entry = entry(linear)
    guard entry.pointee.writeTag == (linear &+ (size &- 1)) & ~4095 else { return nil }
    return UnsafeMutableRawPointer(
      bitPattern: UInt(truncatingIfNeeded: linear &+ entry.pointee.addend))
  }

  /// What ``offset(_:)`` is where the address has 64 bits.
  @inline(__always) private func flatOffset(_ o: OpRef) -> UInt64 {
    let index = get(o.pointee.index, UInt64.self) &<< UInt64(o.pointee.scale)
    return get(o.pointee.base, UInt64.self) &+ o.pointee.disp &+ index
  }

  /// The same for a memory operand.
  @inline(__always) func readable<W: Word>(
    _ o: OpRef, _ width: W.Type
  ) -> UnsafeMutableRawPointer? {
    let size = UInt64(MemoryLayout<W>.size)
    if o.pointee.flags & Op.flat != 0 { return readable(flatOffset(o), size) }
    return readable(o.pointee.segment, offset(o), size)
  }
  @inline(__always) func writable<W: Word>(
    _ o: OpRef, _ width: W.Type
  ) -> UnsafeMutableRawPointer? {
    let size = UInt64(MemoryLayout<W>.size)
    if o.pointee.flags & Op.flat != 0 { return writable(flatOffset(o), size) }
    return writable(o.pointee.segment, offset(o), size)
  }

  /// The same for a place on the stack. What is 64 bits wide lies there in 64-bit mode only.
  @inline(__always) func readableStack<W: Word>(
    _ top: UInt64, _ width: W.Type
  ) -> UnsafeMutableRawPointer? {
    if W.self == UInt64.self { return readable(top, 8) }
    return readable(Seg.ss.rawValue, top, UInt64(MemoryLayout<W>.size))
  }
  @inline(__always) func writableStack<W: Word>(
    _ top: UInt64, _ width: W.Type
  ) -> UnsafeMutableRawPointer? {
    if W.self == UInt64.self { return writable(top, 8) }
    return writable(Seg.ss.rawValue, top, UInt64(MemoryLayout<W>.size))
  }

  /// A load; nil after a fault.
  @inline(__always) func load<W: Word>(
    _ segment: UInt16, _ offset: UInt64, _ type: W.Type = W.self
  ) -> W? {
    if let p = readable(segment, offset, UInt64(MemoryLayout<W>.size)) {
      return p.loadUnaligned(as: W.self)
    }
    guard let value = slowLoad(segment, offset, MemoryLayout<W>.size) else { return nil }
    return W(truncatingIfNeeded: value)
  }

  /// A store; a ``Next``.
  @inline(__always) func store<W: Word>(_ segment: UInt16, _ offset: UInt64, _ value: W) -> Int {
    if let p = writable(segment, offset, UInt64(MemoryLayout<W>.size)) {
      p.storeBytes(of: value, as: W.self)
      return Next.op
    }
    return slowStore(segment, offset, UInt64(truncatingIfNeeded: value), MemoryLayout<W>.size)
  }

  @inline(__always) func load<W: Word>(_ o: OpRef, _ type: W.Type = W.self) -> W? {
    load(o.pointee.segment, offset(o), W.self)
  }
  @inline(__always) func store<W: Word>(_ o: OpRef, _ value: W) -> Int {
    store(o.pointee.segment, offset(o), value)
  }

  /// Load, change, store, after the right to store is sure. Not atomic.
  @inline(__always) func modify<W: Word>(_ o: OpRef, _ body: (W) -> W) -> Int {
    let at = offset(o)
    if let p = writable(o.pointee.segment, at, UInt64(MemoryLayout<W>.size)) {
      p.storeBytes(of: body(p.loadUnaligned(as: W.self)), as: W.self)
      return Next.op
    }
    guard slowProbeWrite(o.pointee.segment, at, MemoryLayout<W>.size),
      let old = slowLoad(o.pointee.segment, at, MemoryLayout<W>.size)
    else { return Next.fault }
    return slowStore(
      o.pointee.segment, at, UInt64(truncatingIfNeeded: body(W(truncatingIfNeeded: old))),
      MemoryLayout<W>.size)
  }

  /// Load, change, store, atomically where memory answers. `body` may run more than once, from the
  /// same flags.
  @inline(__always) func modifyAtomically<W: Word>(_ o: OpRef, _ body: (W) -> W) -> Int {
    let at = offset(o)
    var leave = Next.op
    var pointer = writable(o.pointee.segment, at, UInt64(MemoryLayout<W>.size))
    if pointer == nil {
      guard slowProbeWrite(o.pointee.segment, at, MemoryLayout<W>.size) else { return Next.fault }
      pointer = slowPointer(o.pointee.segment, at, MemoryLayout<W>.size)
      leave = Next.leave
    }
    guard let pointer else { return modify(o, body) }
    let flags = self.flags.pointee
    var old = pointer.loadUnaligned(as: W.self)
    while true {
      self.flags.pointee = flags
      if W.compareAndSwap(pointer, &old, body(old)) { return leave }
    }
  }

  // MARK: Runtime widths

  @inline(__always) func load(_ o: OpRef, size: UInt8) -> UInt64? {
    load(o.pointee.segment, offset(o), size: size)
  }
  @inline(__always) func load(_ segment: UInt16, _ at: UInt64, size: UInt8) -> UInt64? {
    switch size {
    case 0: load(segment, at, UInt8.self).map { UInt64($0) }
    case 1: load(segment, at, UInt16.self).map { UInt64($0) }
    case 2: load(segment, at, UInt32.self).map { UInt64($0) }
    default: load(segment, at, UInt64.self)
    }
  }
  @inline(__always) func store(_ segment: UInt16, _ at: UInt64, size: UInt8, _ value: UInt64) -> Int
  {
    switch size {
    case 0: store(segment, at, UInt8(truncatingIfNeeded: value))
    case 1: store(segment, at, UInt16(truncatingIfNeeded: value))
    case 2: store(segment, at, UInt32(truncatingIfNeeded: value))
    default: store(segment, at, value)
    }
  }
  /// The register or memory operand, by the decoded size; nil after a fault.
  @inline(__always) func loadRM(_ o: OpRef) -> UInt64? {
    if o.pointee.flags & Op.memory == 0 { return get(o.pointee.rm, size: o.pointee.size) }
    return load(o, size: o.pointee.size)
  }
  @inline(__always) func storeRM(_ o: OpRef, _ value: UInt64) -> Int {
    if o.pointee.flags & Op.memory == 0 {
      set(o.pointee.rm, size: o.pointee.size, value)
      return Next.op
    }
    return store(o.pointee.segment, offset(o), size: o.pointee.size, value)
  }

  // MARK: The stack

  @inline(__always) var stackPointer: UInt64 { self[4] & s.pointee.stackMask }
  /// The stack pointer as what is `width` wide sees it.
  @inline(__always) func stackPointer<W: Word>(for width: W.Type) -> UInt64 {
    W.self == UInt64.self ? self[4] : stackPointer
  }
  @inline(__always) func setStackPointer<W: Word>(_ value: UInt64, for width: W.Type) {
    if W.self == UInt64.self { self[4] = value } else { setStackPointer(value) }
  }
  @inline(__always) func setStackPointer(_ value: UInt64) {
    let mask = s.pointee.stackMask
    self[4] = (self[4] & ~mask) | (value & mask)
  }
  @inline(__always) func push<W: Word>(_ value: W) -> Int {
    let top = (self[4] &- UInt64(MemoryLayout<W>.size)) & s.pointee.stackMask
    let result = store(Seg.ss.rawValue, top, value)
    if result != Next.fault { setStackPointer(top) }
    return result
  }
  @inline(__always) func pop<W: Word>(_ type: W.Type = W.self) -> W? {
    let top = stackPointer
    guard let value = load(Seg.ss.rawValue, top, W.self) else { return nil }
    setStackPointer(top &+ UInt64(MemoryLayout<W>.size))
    return value
  }
  func push(size: UInt8, _ value: UInt64) -> Int {
    switch size {
    case 1: push(UInt16(truncatingIfNeeded: value))
    case 2: push(UInt32(truncatingIfNeeded: value))
    default: push(value)
    }
  }
  func pop(size: UInt8) -> UInt64? {
    switch size {
    case 1: pop(UInt16.self).map { UInt64($0) }
    case 2: pop(UInt32.self).map { UInt64($0) }
    default: pop(UInt64.self)
    }
  }
}

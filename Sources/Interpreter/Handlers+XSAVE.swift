import CInterpreter
import KVMEngine

/// XSAVE and its like (Intel SDM vol. 1, chapter 13), for x87, SSE and AVX state.
extension Handlers {
  static let saveExtended: Handler = { CPU(raw: $0).saveExtended($1.op, optimized: false) }
  static let saveExtendedOptimized: Handler = { CPU(raw: $0).saveExtended($1.op, optimized: true) }
  static let saveExtendedCompact: Handler = { CPU(raw: $0).saveCompact($1.op) }
  static let restoreExtended: Handler = { CPU(raw: $0).restoreExtended($1.op) }
  static let readExtendedControl: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    guard cpu.s.pointee.cr4 & Bits.osxsave != 0 else { return cpu.undefined() }
    switch cpu.get(8, UInt32.self) {
    case 0: cpu.setPair(cpu.s.pointee.xcr0)
    case 1:
      if cpu.s.pointee.fpuPlace != .here { cpu.claimFPU(changing: false) }
      cpu.setPair(cpu.s.pointee.xcr0 & cpu.stateInUse)
    default: return cpu.protectionFault()
    }
    return Next.leave
  }
  static let writeExtendedControl: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    guard cpu.s.pointee.cr4 & Bits.osxsave != 0 else { return cpu.undefined() }
    let value = UInt64(cpu.get(0, UInt32.self)) | UInt64(cpu.get(16, UInt32.self)) << 32
    guard cpu.s.pointee.cpl == 0, cpu.get(8, UInt32.self) == 0,
      value & ~HostCPUID.vectorState == 0, value & 1 != 0, value & 6 != 4
    else { return cpu.protectionFault() }
    cpu.s.pointee.xcr0 = value
    return Next.leave
  }
}

/// Components of extended state.
private enum Component {
  static let x87: UInt64 = 1
  static let sse: UInt64 = 2
  static let avx: UInt64 = 4
}

extension CPU {
  private static let header: UInt64 = 512
  private static let controlAt = 24

  /// The components that are not in their initial configuration, as XGETBV with ECX = 1 tells.
  var stateInUse: UInt64 {
    var result: UInt64 = 0
    let status = fpu.load(as: UInt64.self) & 0xFFFF_00FF_FFFF_FFFF
    if status != 0x037F || !isZero(8, 16) || !isZero(32, 128) { result |= Component.x87 }
    if !isZero(160, 256) { result |= Component.sse }
    if !isZero(StubBuilder.upperHalves, 256) { result |= Component.avx }
    return result
  }

  private func isZero(_ at: Int, _ count: Int) -> Bool {
    var index = 0
    while index < count {
      if fpu.load(fromByteOffset: at + index, as: UInt64.self) != 0 { return false }
      index += 8
    }
    return true
  }

  /// The components that the instruction is asked for; nil after a fault.
  private func requested(_ o: OpRef, changing: Bool) -> UInt64? {
    guard s.pointee.cr4 & Bits.osxsave != 0 else {
      _ = undefined()
      return nil
    }
    guard s.pointee.cr0 & Bits.ts == 0 else {
      _ = fault(Vector.deviceMissing)
      return nil
    }
    guard isAligned(o, 64) else {
      _ = protectionFault()
      return nil
    }
    if s.pointee.fpuPlace != .here { claimFPU(changing: changing) }
    let mask = UInt64(get(0, UInt32.self)) | UInt64(get(16, UInt32.self)) << 32
    return mask & s.pointee.xcr0
  }

  /// Bytes of one half of the vector registers that there are in the mode.
  var vectorBytes: Int { s.pointee.is64 ? 256 : 128 }

  /// Stores the parts of the image that belong to `components`; a ``Next``.
  private func storeComponents(_ o: OpRef, _ components: UInt64, control: Bool) -> Int {
    let segment = o.pointee.segment
    let at = offset(o)
    var result = Next.op
    func store(_ place: Int, _ count: Int) -> Bool {
      let next = storeBlock(segment, at &+ UInt64(place), from: fpu + place, count)
      if next == Next.fault { return false }
      result |= next
      return true
    }
    if components & Component.x87 != 0 {
      guard store(0, 24), store(32, 128) else { return Next.fault }
    }
    if control { guard store(Self.controlAt, 8) else { return Next.fault } }
    if components & Component.sse != 0 {
      guard store(160, vectorBytes) else { return Next.fault }
    }
    if components & Component.avx != 0 {
      guard store(StubBuilder.upperHalves, vectorBytes) else { return Next.fault }
    }
    return result
  }

  fileprivate func saveExtended(_ o: OpRef, optimized: Bool) -> Int {
    guard let mask = requested(o, changing: false) else { return Next.fault }
    let inUse = stateInUse
    let headerAt = offset(o) &+ Self.header
    guard let old = load(o.pointee.segment, headerAt, UInt64.self) else { return Next.fault }
    let result = storeComponents(
      o, optimized ? mask & inUse : mask, control: mask & (Component.sse | Component.avx) != 0)
    guard result != Next.fault,
      store(o.pointee.segment, headerAt, old & ~mask | mask & inUse) != Next.fault
    else { return Next.fault }
    if s.pointee.hasUserEngine { carryHidden(o, saving: true) }
    return Next.leave
  }

  fileprivate func saveCompact(_ o: OpRef) -> Int {
    guard let mask = requested(o, changing: false) else { return Next.fault }
    var inUse = stateInUse
    if fpu.load(fromByteOffset: Self.controlAt, as: UInt32.self) != 0x1F80 {
      inUse |= Component.sse
    }
    let headerAt = offset(o) &+ Self.header
    let saved = mask & inUse
    // Without SSE state AVX comes first all the same: no other component lies before it.
    guard storeComponents(o, saved, control: saved & Component.sse != 0) != Next.fault,
      store(o.pointee.segment, headerAt, saved) != Next.fault,
      store(o.pointee.segment, headerAt &+ 8, mask | 1 << 63) != Next.fault
    else { return Next.fault }
    if s.pointee.hasUserEngine { carryHidden(o, saving: true) }
    return Next.leave
  }

  fileprivate func restoreExtended(_ o: OpRef) -> Int {
    guard let mask = requested(o, changing: true) else { return Next.fault }
    // The header first, then what it speaks of, then the change.
    guard loadBlock(o.pointee.segment, offset(o) &+ Self.header, into: bounce + 512, 64) else {
      return Next.fault
    }
    let present = bounce.load(fromByteOffset: 512, as: UInt64.self)
    let compact = bounce.load(fromByteOffset: 520, as: UInt64.self)
    let isCompact = compact >> 63 != 0
    guard isHeaderValid(present, compact, isCompact) else { return protectionFault() }
    let loaded = mask & present
    let takesControl =
      isCompact
      ? loaded & Component.sse != 0 : mask & (Component.sse | Component.avx) != 0
    guard loadBlock(o.pointee.segment, offset(o), into: bounce, 416) else { return Next.fault }
    if loaded & Component.avx != 0 {
      let at = offset(o) &+ UInt64(StubBuilder.upperHalves)
      guard loadBlock(o.pointee.segment, at, into: bounce + 576, 256) else { return Next.fault }
    }
    if takesControl && bounce.load(fromByteOffset: Self.controlAt, as: UInt32.self) >> 16 != 0 {
      return protectionFault()
    }
    takeComponents(mask, loaded, takesControl: takesControl, initializesControl: isCompact)
    if s.pointee.hasUserEngine { carryHidden(o, saving: false) }
    return Next.leave
  }

  private func isHeaderValid(_ present: UInt64, _ compact: UInt64, _ isCompact: Bool) -> Bool {
    let known = s.pointee.xcr0
    guard present & ~known == 0 else { return false }
    if !isCompact {
      return compact == 0 && bounce.load(fromByteOffset: 528, as: UInt64.self) == 0
    }
    let format = compact & ~(1 << 63)
    guard format & ~known == 0, present & ~format == 0 else { return false }
    for index in 2..<8 where bounce.load(fromByteOffset: 512 + index * 8, as: UInt64.self) != 0 {
      return false
    }
    return true
  }

  /// Takes components from the bounce buffer, or makes them initial.
  private func takeComponents(
    _ mask: UInt64, _ loaded: UInt64, takesControl: Bool, initializesControl: Bool
  ) {
    func take(_ component: UInt64, _ at: Int, _ count: Int) {
      guard mask & component != 0 else { return }
      if loaded & component != 0 {
        (fpu + at).copyMemory(from: bounce + at, byteCount: count)
      } else {
        (fpu + at).initializeMemory(as: UInt8.self, repeating: 0, count: count)
      }
    }
    take(Component.x87, 0, 24)
    take(Component.x87, 32, 128)
    if mask & ~loaded & Component.x87 != 0 { fpu.storeBytes(of: 0x037F, as: UInt16.self) }
    if mask & Component.x87 != 0 { summarizeX87() }
    take(Component.sse, 160, vectorBytes)
    take(Component.avx, StubBuilder.upperHalves, vectorBytes)
    if takesControl {
      let value = bounce.load(fromByteOffset: Self.controlAt, as: UInt32.self)
      fpu.storeBytes(of: value, toByteOffset: Self.controlAt, as: UInt32.self)
    } else if initializesControl && mask & Component.sse != 0 {
      fpu.storeBytes(of: 0x1F80, toByteOffset: Self.controlAt, as: UInt32.self)
    }
  }
}

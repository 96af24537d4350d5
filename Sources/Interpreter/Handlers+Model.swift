import CInterpreter
import KVMEngine

/// CPUID, model-specific registers, time, system calls.
extension Handlers {
  static let identify: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    // User code is told by the host what there is, whoever runs it.
    guard !cpu.s.pointee.userShare.isUnderWay else { return cpu.fault(Vector.undefined) }
    let leaf = cpu.get(0, UInt32.self)
    var result = cpu.environment.cpuid(leaf, cpu.get(8, UInt32.self))
    if leaf == 1 {
      let isEnabled = cpu.s.pointee.cr4 & Bits.osxsave != 0
      result.ecx = result.ecx & ~(1 << 27) | (isEnabled ? 1 << 27 : 0)
    }
    if leaf == 13 && cpu.get(8, UInt32.self) < 2 && result.ebx != 0 {
      result.ebx = HostCPUID.imageBytes(cpu.s.pointee.xcr0)
    }
    cpu.set(0, result.eax)
    cpu.set(24, result.ebx)
    cpu.set(8, result.ecx)
    cpu.set(16, result.edx)
    return Next.leave
  }
  static let readTimeStamp: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    guard cpu.mayReadTime else { return cpu.protectionFault() }
    guard !cpu.countsApart else { return cpu.fault(Vector.undefined) }
    cpu.setPair(ci_rdtsc() &+ cpu.s.pointee.tscOffset)
    return Next.op
  }
  static let readTimeStampAux: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    guard cpu.mayReadTime else { return cpu.protectionFault() }
    guard !cpu.countsApart else { return cpu.fault(Vector.undefined) }
    cpu.setPair(ci_rdtsc() &+ cpu.s.pointee.tscOffset)
    cpu.set(8, UInt32(truncatingIfNeeded: cpu.s.pointee.tscAux))
    return Next.leave
  }
  static let readProcessorID: Handler = { raw, op in
    CPU(raw: raw).set(op.op.pointee.rm, size: op.op.pointee.size, CPU(raw: raw).s.pointee.tscAux)
    return Next.op
  }
  static let readCounter: Handler = { raw, _ in CPU(raw: raw).protectionFault() }
  static let readMSR: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    if cpu.s.pointee.cpl != 0 { return cpu.protectionFault() }
    guard let value = cpu.modelRegister(cpu.get(8)) else { return cpu.protectionFault() }
    cpu.setPair(value)
    return Next.leave
  }
  static let writeMSR: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    if cpu.s.pointee.cpl != 0 { return cpu.protectionFault() }
    let value = cpu[0] & 0xFFFF_FFFF | cpu[2] << 32
    return cpu.setModelRegister(cpu.get(8), value) ? Next.leave : cpu.protectionFault()
  }
  static let swapGS: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    if cpu.s.pointee.cpl != 0 { return cpu.protectionFault() }
    let gs = cpu.segment(.gs)
    let base = gs.pointee.hiddenBase
    gs.pointee.hiddenBase = cpu.s.pointee.kernelGSBase
    cpu.s.pointee.kernelGSBase = base
    cpu.updateSegment(Seg.gs.rawValue)
    return Next.leave
  }
  static let segmentBase: Handler = { CPU(raw: $0).segmentBase($1.op) }
  static let systemCall: Handler = { CPU(raw: $0).systemCall($1.op) }
  static let systemReturn: Handler = { CPU(raw: $0).systemReturn($1.op) }
  static let systemEnter: Handler = { raw, _ in CPU(raw: raw).systemEnter() }
  static let systemExit: Handler = { CPU(raw: $0).systemExit($1.op) }
}

extension CPU {
  var mayReadTime: Bool { s.pointee.cpl == 0 || s.pointee.cr4 & Bits.tsd == 0 }
  /// User code that may have read the user engine's counter would read another one here.
  var countsApart: Bool { s.pointee.userShare.isUnderWay && s.pointee.tscOffset != 0 }

  /// EDX:EAX.
  func setPair(_ value: UInt64) {
    set(0, UInt32(truncatingIfNeeded: value))
    set(16, UInt32(truncatingIfNeeded: value >> 32))
  }

  fileprivate func segmentBase(_ o: OpRef) -> Int {
    guard s.pointee.cr4 & Bits.fsgsbase != 0 else { return undefined() }
    let seg = o.pointee.aux & 1 == 0 ? Seg.fs : Seg.gs
    if o.pointee.aux < 2 {
      set(o.pointee.rm, size: o.pointee.size, segment(seg).pointee.hiddenBase)
      return Next.leave
    }
    let base = get(o.pointee.rm, size: o.pointee.size)
    guard Self.isCanonical(base) else { return protectionFault() }
    segment(seg).pointee.hiddenBase = base
    updateSegment(seg.rawValue)
    return Next.leave
  }

  // MARK: Model-specific registers

  /// RDMSR; nil for one that there is not.
  func modelRegister(_ index: UInt32) -> UInt64? {
    if let local = environment.localAPIC, LocalAPIC.ownsMSR(index) { return local.readMSR(index) }
    if let place = rangeRegister(index) { return place.pointee }
    switch index {
    case 0x10: return ci_rdtsc() &+ s.pointee.tscOffset
    case ParavirtualClock.wallClockRegister: return s.pointee.wallClockPage
    case ParavirtualClock.systemTimeRegister: return s.pointee.systemTimePage
    case 0x3B: return s.pointee.tscAdjust
    // Microcode of revision 1; 8 variable ranges, fixed ranges and write combining; none of the
    // faults that some processors have (Intel SDM vol. 4, IA32_ARCH_CAPABILITIES).
    case 0x8B: return 1 << 32
    case 0xFE: return 0x508
    case 0x10A: return 0x0C00_E169
    case 0x17, 0x2A, 0xCD, 0x3A, 0x79, 0x179, 0x17A, 0x1D9, 0x1DB, 0x1DC, 0xCE, 0x140: return 0
    case 0x1B: return s.pointee.apicBase
    case 0x174: return s.pointee.sysenterCS
    case 0x175: return s.pointee.sysenterESP
    case 0x176: return s.pointee.sysenterEIP
    case 0x1A0: return s.pointee.miscEnable
    case 0x400...0x47F: return 0
    case 0x277: return s.pointee.pat
    case 0x2FF: return s.pointee.mtrrDefault
    case 0x6E0: return s.pointee.tscDeadline
    case 0xC000_0080: return s.pointee.efer
    case 0xC000_0081: return s.pointee.star
    case 0xC000_0082: return s.pointee.lstar
    case 0xC000_0083: return s.pointee.cstar
    case 0xC000_0084: return s.pointee.sfmask
    case 0xC000_0100: return segment(.fs).pointee.hiddenBase
    case 0xC000_0101: return segment(.gs).pointee.hiddenBase
    case 0xC000_0102: return s.pointee.kernelGSBase
    case 0xC000_0103: return s.pointee.tscAux
    // HWCR: the TSC counts at the frequency of P0 (AMD APM vol. 2, appendix A).
    case 0xC001_0015: return 1 << 24
    case 0xC001_0000...0xC001_FFFF: return 0
    default: return nil
    }
  }

  /// WRMSR; false for #GP.
  func setModelRegister(_ index: UInt32, _ value: UInt64) -> Bool {
    if let local = environment.localAPIC, LocalAPIC.ownsMSR(index) {
      s.pointee.slow |= Slow.pendingInterrupt
      return local.writeMSR(index, value: value)
    }
    if let place = rangeRegister(index) {
      place.pointee = value
      return true
    }
    switch index {
    case 0x10:
      let offset = value &- ci_rdtsc()
      s.pointee.tscAdjust &+= offset &- s.pointee.tscOffset
      setTimeStampOffset(offset)
    case 0x3B:
      setTimeStampOffset(s.pointee.tscOffset &+ value &- s.pointee.tscAdjust)
      s.pointee.tscAdjust = value
    case ParavirtualClock.wallClockRegister: setWallClockPage(value)
    case ParavirtualClock.systemTimeRegister: setSystemTimePage(value)
    case 0x1B: s.pointee.apicBase = value
    case 0x174: s.pointee.sysenterCS = value
    case 0x175, 0x176: return setAddressRegister(index, value)
    case 0x1A0: s.pointee.miscEnable = value
    case 0x277:
      // Each byte is a memory type: 2, 3 and all above 7 are none.
      for shift in stride(from: UInt64(0), to: 64, by: 8) {
        let type = value >> shift & 0xFF
        if type > 7 || type == 2 || type == 3 { return false }
      }
      s.pointee.pat = value
    case 0x2FF: s.pointee.mtrrDefault = value
    case 0x6E0: s.pointee.tscDeadline = value
    case 0xC000_0080: return setEFER(value)
    case 0xC000_0081: s.pointee.star = value
    case 0xC000_0082, 0xC000_0083, 0xC000_0100, 0xC000_0101, 0xC000_0102:
      return setAddressRegister(index, value)
    case 0xC000_0084: s.pointee.sfmask = value & 0xFFFF_FFFF
    case 0xC000_0103: s.pointee.tscAux = value & 0xFFFF_FFFF
    case 0x17, 0x8B, 0x3A, 0x79, 0x17A, 0x1D9, 0x140, 0x400...0x47F, 0xC001_0000...0xC001_FFFF:
      break
    default: return false
    }
    return true
  }

  private func setTimeStampOffset(_ offset: UInt64) {
    // KVM's clock goes on as if nothing had happened.
    s.pointee.clockAnchor.count &+= offset &- s.pointee.tscOffset
    s.pointee.tscOffset = offset
    environment.timestampCounter.offset = offset
    environment.localAPIC?.timestampCounterChanged()
    writeSystemTime()
  }

  /// The MTRR of an index; nil for none.
  private func rangeRegister(_ index: UInt32) -> UnsafeMutablePointer<UInt64>? {
    let place: Int
    switch index {
    case 0x200...0x20F: place = Int(index) - 0x200
    case 0x250: place = 16
    case 0x258, 0x259: place = 17 + Int(index) - 0x258
    case 0x268...0x26F: place = 19 + Int(index) - 0x268
    default: return nil
    }
    return (raw + Layout.ranges).assumingMemoryBound(to: UInt64.self) + place
  }

  /// The MTRRs as firmware leaves them: memory is write-back, the legacy window and what is below
  /// 4 GiB for devices is not cached.
  func resetRanges() {
    let ranges = (raw + Layout.ranges).assumingMemoryBound(to: UInt64.self)
    for place in 0..<27 { ranges[place] = place < 16 ? 0 : 0x0606_0606_0606_0606 }
    ranges[0] = 0xC000_0000
    let addresses: UInt64 = (1 << InterpretedProcessor.physicalAddressBits) - 1
    ranges[1] = addresses & ~0x3FFF_FFFF | 0x800
    ranges[18] = 0
  }

  private func setAddressRegister(_ index: UInt32, _ value: UInt64) -> Bool {
    guard Self.isCanonical(value) else { return false }
    switch index {
    case 0x175: s.pointee.sysenterESP = value
    case 0x176: s.pointee.sysenterEIP = value
    case 0xC000_0082: s.pointee.lstar = value
    case 0xC000_0083: s.pointee.cstar = value
    case 0xC000_0100:
      segment(.fs).pointee.hiddenBase = value
      updateSegment(Seg.fs.rawValue)
    case 0xC000_0101:
      segment(.gs).pointee.hiddenBase = value
      updateSegment(Seg.gs.rawValue)
    default: s.pointee.kernelGSBase = value
    }
    return true
  }

  private func setEFER(_ value: UInt64) -> Bool {
    let known = Bits.sce | Bits.lme | Bits.lma | Bits.nxe
    if value & ~known != 0 { return false }
    let old = s.pointee.efer
    if s.pointee.cr0 & Bits.pg != 0 && (old ^ value) & Bits.lme != 0 { return false }
    s.pointee.efer = value & ~Bits.lma | old & Bits.lma
    if (old ^ value) & Bits.nxe != 0 { flushTLB() }
    return true
  }

  // MARK: Fast system calls

  /// Flat CS and SS as SYSCALL, SYSENTER and their returns set them.
  private func setFlatSegments(_ selector: UInt16, privilege: UInt8, long: Bool, ss: UInt16) {
    s.pointee.cpl = privilege
    let level = UInt16(privilege) << 5
    let cs = segment(.cs)
    cs.pointee.selector = selector
    cs.pointee.hiddenBase = 0
    cs.pointee.limit = 0xFFFF_FFFF
    cs.pointee.rights = 0x809B | level | (long ? 0x2000 : 0x4000)
    let stack = segment(.ss)
    stack.pointee.selector = ss
    stack.pointee.hiddenBase = 0
    stack.pointee.limit = 0xFFFF_FFFF
    stack.pointee.rights = 0xC093 | level
    modeChanged()
  }

  fileprivate func systemCall(_ o: OpRef) -> Int {
    guard s.pointee.efer & Bits.sce != 0, s.pointee.isProtected else { return undefined() }
    let selector = UInt16(truncatingIfNeeded: s.pointee.star >> 32) & 0xFFFC
    let back = nextRip(o)
    if s.pointee.isLongMode {
      self[1] = back
      self[11] = rflags & ~RFlag.resume
      let target = s.pointee.is64 ? s.pointee.lstar : s.pointee.cstar
      let kept = rflags & ~(s.pointee.sfmask | RFlag.resume)
      setArithmeticFlags(kept)
      s.pointee.eflags = kept & 0x003F_7700
      setFlatSegments(selector, privilege: 0, long: true, ss: selector &+ 8)
      s.pointee.rip = target
    } else {
      self[1] = back & 0xFFFF_FFFF
      s.pointee.eflags &= ~(RFlag.interrupt | RFlag.virtual8086 | RFlag.resume)
      setFlatSegments(selector, privilege: 0, long: false, ss: selector &+ 8)
      s.pointee.rip = s.pointee.star & 0xFFFF_FFFF
    }
    flagsChanged()
    return Next.jump
  }

  fileprivate func systemReturn(_ o: OpRef) -> Int {
    guard s.pointee.efer & Bits.sce != 0, s.pointee.isProtected else { return undefined() }
    if s.pointee.cpl != 0 { return protectionFault() }
    let selector = UInt16(truncatingIfNeeded: s.pointee.star >> 48) & 0xFFFC
    let toLong = o.pointee.size == 3
    let target = toLong ? self[1] : self[1] & 0xFFFF_FFFF
    if toLong && !Self.isCanonical(target) { return protectionFault() }
    if s.pointee.isLongMode {
      setArithmeticFlags(self[11])
      s.pointee.eflags = self[11] & 0x003C_7700
    } else {
      s.pointee.eflags |= RFlag.interrupt
    }
    let code = (toLong ? selector &+ 16 : selector) | 3
    setFlatSegments(code, privilege: 3, long: toLong, ss: (selector &+ 8) | 3)
    s.pointee.rip = target
    flagsChanged()
    return Next.jump
  }

  fileprivate func systemEnter() -> Int {
    guard s.pointee.isProtected, s.pointee.sysenterCS & 0xFFFC != 0 else {
      return protectionFault()
    }
    let selector = UInt16(truncatingIfNeeded: s.pointee.sysenterCS) & 0xFFFC
    s.pointee.eflags &= ~(RFlag.interrupt | RFlag.virtual8086 | RFlag.resume)
    let isLong = s.pointee.isLongMode
    setFlatSegments(selector, privilege: 0, long: isLong, ss: selector &+ 8)
    s.pointee.rip = isLong ? s.pointee.sysenterEIP : s.pointee.sysenterEIP & 0xFFFF_FFFF
    self[4] = isLong ? s.pointee.sysenterESP : s.pointee.sysenterESP & 0xFFFF_FFFF
    return Next.jump
  }

  fileprivate func systemExit(_ o: OpRef) -> Int {
    guard s.pointee.isProtected, s.pointee.sysenterCS & 0xFFFC != 0, s.pointee.cpl == 0 else {
      return protectionFault()
    }
    let toLong = o.pointee.size == 3 && s.pointee.isLongMode
    let base = UInt16(truncatingIfNeeded: s.pointee.sysenterCS) & 0xFFFC
    let rip = toLong ? self[2] : self[2] & 0xFFFF_FFFF
    let sp = toLong ? self[1] : self[1] & 0xFFFF_FFFF
    if toLong && (!Self.isCanonical(rip) || !Self.isCanonical(sp)) { return protectionFault() }
    let code = base &+ (toLong ? 32 : 16)
    setFlatSegments(code | 3, privilege: 3, long: toLong, ss: (code &+ 8) | 3)
    s.pointee.rip = rip
    self[4] = sp
    return Next.jump
  }
}

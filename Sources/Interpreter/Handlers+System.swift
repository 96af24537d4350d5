import CInterpreter
import KVMEngine

/// Segment registers, tables, control and debug registers.
extension Handlers {
  static let pushSegment: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let selector = UInt64(cpu.segment(op.op.pointee.segment).pointee.selector)
    return cpu.push(size: op.op.pointee.size, selector)
  }
  static let popSegment: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let old = cpu[4]
    let o = op.op
    guard let value = cpu.pop(size: o.pointee.size) else { return Next.fault }
    let number = UInt8(truncatingIfNeeded: (o.pointee.segment - 256) / 64)
    guard cpu.loadSegmentRegister(number, UInt16(truncatingIfNeeded: value)) else {
      cpu[4] = old
      return Next.fault
    }
    if number == 2 { cpu.s.pointee.slow |= Slow.shadow }
    return Next.leave
  }
  static let storeSegment: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let o = op.op
    let selector = cpu.segment(Seg.offset(o.pointee.aux)).pointee.selector
    if o.pointee.flags & Op.memory != 0 { return cpu.store(o, selector) }
    cpu.set(o.pointee.rm, size: o.pointee.size, UInt64(selector))
    return Next.op
  }
  static let loadSegment: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let o = op.op
    let selector: UInt16
    if o.pointee.flags & Op.memory != 0 {
      guard let value = cpu.load(o, UInt16.self) else { return Next.fault }
      selector = value
    } else {
      selector = cpu.get(o.pointee.rm)
    }
    guard cpu.loadSegmentRegister(o.pointee.aux, selector) else { return Next.fault }
    if o.pointee.aux == 2 { cpu.s.pointee.slow |= Slow.shadow }
    return Next.leave
  }
  static let loadFarPointer: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    let o = op.op
    let at = cpu.offset(o)
    let size = o.pointee.size
    guard let value = cpu.load(o.pointee.segment, at, size: size),
      let selector = cpu.load(o.pointee.segment, at &+ (1 << UInt64(size)), UInt16.self),
      cpu.loadSegmentRegister(o.pointee.aux, selector)
    else { return Next.fault }
    cpu.set(o.pointee.reg, size: size, value)
    return Next.leave
  }
  static let adjustPrivilege: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard let value = cpu.loadRM(op.op) else { return Next.fault }
    let rpl = UInt64(cpu.get(op.op.pointee.reg, UInt16.self)) & 3
    let isLower = value & 3 < rpl
    let result = cpu.storeRM(op.op, isLower ? value & ~3 | rpl : value)
    if result != Next.fault { cpu.setFlag(FlagWord.zero, isLower) }
    return result
  }
  static let loadAccessRights: Handler = { CPU(raw: $0).loadAccessRights($1.op) }
  static let verify: Handler = { CPU(raw: $0).verify($1.op) }
  static let storeTableSelector: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    if cpu.isUserBarred { return cpu.protectionFault() }
    let seg = cpu.segment(op.op.pointee.aux == 0 ? .ldt : .tr)
    return cpu.storeRM(op.op, UInt64(seg.pointee.selector))
  }
  static let loadTableSelector: Handler = { CPU(raw: $0).loadTableSelector($1.op) }
  static let storeTable: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    if cpu.isUserBarred { return cpu.protectionFault() }
    let o = op.op
    let isGlobal = o.pointee.aux == 0
    let limit = isGlobal ? cpu.s.pointee.gdtLimit : cpu.s.pointee.idtLimit
    let base = isGlobal ? cpu.s.pointee.gdtBase : cpu.s.pointee.idtBase
    let at = cpu.offset(o)
    guard cpu.store(o.pointee.segment, at, UInt16(truncatingIfNeeded: limit)) != Next.fault,
      cpu.store(o.pointee.segment, at &+ 2, size: cpu.s.pointee.is64 ? 3 : 2, base) != Next.fault
    else { return Next.fault }
    return Next.leave
  }
  static let loadTable: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    if cpu.s.pointee.cpl != 0 { return cpu.protectionFault() }
    let o = op.op
    let at = cpu.offset(o)
    let is64 = cpu.s.pointee.is64
    guard let limit = cpu.load(o.pointee.segment, at, UInt16.self),
      var base = cpu.load(o.pointee.segment, at &+ 2, size: is64 ? 3 : 2)
    else { return Next.fault }
    if is64 && !CPU.isCanonical(base) { return cpu.protectionFault() }
    if !is64 && o.pointee.size == 1 { base &= 0xFF_FFFF }
    if o.pointee.aux == 2 {
      cpu.s.pointee.gdtBase = base
      cpu.s.pointee.gdtLimit = UInt64(limit)
    } else {
      cpu.s.pointee.idtBase = base
      cpu.s.pointee.idtLimit = UInt64(limit)
    }
    return Next.leave
  }
  static let storeMachineStatus: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    if cpu.isUserBarred { return cpu.protectionFault() }
    return cpu.storeRM(op.op, cpu.s.pointee.cr0)
  }
  static let loadMachineStatus: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    if cpu.s.pointee.cpl != 0 { return cpu.protectionFault() }
    guard let value = cpu.loadRM(op.op) else { return Next.fault }
    let old = cpu.s.pointee.cr0
    return cpu.setCR0(old & ~14 | value & 15 | old & 1)
  }
  static let clearTaskSwitched: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    if cpu.s.pointee.cpl != 0 { return cpu.protectionFault() }
    cpu.s.pointee.cr0 &= ~Bits.ts
    return Next.leave
  }
  static let invalidateCaches: Handler = { raw, _ in
    let cpu = CPU(raw: raw)
    return cpu.s.pointee.cpl != 0 ? cpu.protectionFault() : Next.leave
  }
  static let invalidatePage: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    if cpu.s.pointee.cpl != 0 { return cpu.protectionFault() }
    let o = op.op
    let at = cpu.segment(o.pointee.segment).pointee.base &+ cpu.offset(o)
    cpu.flushPage(at & cpu.s.pointee.linearMask)
    return Next.leave
  }
  static let invalidateContext: Handler = { CPU(raw: $0).invalidateContext($1.op) }
  static let accessCheckFlag: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    guard cpu.s.pointee.cpl == 0, cpu.s.pointee.cr4 & Bits.smap != 0 else {
      return cpu.undefined()
    }
    if op.op.pointee.aux == 0xCB {
      cpu.s.pointee.eflags |= RFlag.alignment
    } else {
      cpu.s.pointee.eflags &= ~RFlag.alignment
    }
    cpu.updateTLBSet()
    return Next.op
  }
  static let readControl: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    if cpu.s.pointee.cpl != 0 { return cpu.protectionFault() }
    let s = cpu.s
    let value: UInt64
    switch op.op.pointee.aux {
    case 0: value = s.pointee.cr0
    case 2: value = s.pointee.cr2
    case 3: value = s.pointee.cr3
    case 4: value = s.pointee.cr4
    case 8 where s.pointee.is64:
      value = cpu.environment.localAPIC.map { UInt64($0.taskPriorityClass) } ?? s.pointee.cr8
    default: return cpu.undefined()
    }
    cpu.set(op.op.pointee.rm, size: op.op.pointee.size, value)
    return Next.leave
  }
  static let writeControl: Handler = { raw, op in
    let cpu = CPU(raw: raw)
    if cpu.s.pointee.cpl != 0 { return cpu.protectionFault() }
    let value = cpu.get(op.op.pointee.rm, size: op.op.pointee.size)
    switch op.op.pointee.aux {
    case 0: return cpu.setCR0(value)
    case 2: cpu.s.pointee.cr2 = value
    case 3: return cpu.setCR3(value)
    case 4: return cpu.setCR4(value)
    case 8 where cpu.s.pointee.is64:
      if value > 15 { return cpu.protectionFault() }
      cpu.s.pointee.cr8 = value
      cpu.environment.localAPIC?.taskPriorityClass = UInt8(truncatingIfNeeded: value)
      cpu.s.pointee.slow |= Slow.pendingInterrupt
    default: return cpu.undefined()
    }
    return Next.leave
  }
  static let readDebug: Handler = { CPU(raw: $0).debugRegister($1.op, writing: false) }
  static let writeDebug: Handler = { CPU(raw: $0).debugRegister($1.op, writing: true) }
}

extension CPU {
  /// Whether UMIP keeps a user from SGDT and its like.
  var isUserBarred: Bool { s.pointee.cpl == 3 && s.pointee.cr4 & Bits.umip != 0 }

  /// INVPCID. Translations of the current context and global ones are all that the TLB has.
  fileprivate func invalidateContext(_ o: OpRef) -> Int {
    if s.pointee.cpl != 0 { return protectionFault() }
    let kind = get(o.pointee.reg, size: s.pointee.is64 ? 3 : 2)
    let at = offset(o)
    guard let context = load(o.pointee.segment, at, UInt64.self),
      let linear = load(o.pointee.segment, at &+ 8, UInt64.self)
    else { return Next.fault }
    let usesContext = kind < 2
    guard kind < 4, context >> 12 == 0,
      !usesContext || context == 0 || s.pointee.cr4 & Bits.pcide != 0,
      kind != 0 || !s.pointee.is64 || Self.isCanonical(linear)
    else { return protectionFault() }
    let isCurrent = s.pointee.cr4 & Bits.pcide == 0 || s.pointee.cr3 & 0xFFF == context
    switch kind {
    case 0: if isCurrent { flushPage(linear & s.pointee.linearMask) }
    case 1: if isCurrent { flushLocal() }
    case 2: flushTLB()
    default: flushLocal()
    }
    return Next.leave
  }

  fileprivate func debugRegister(_ o: OpRef, writing: Bool) -> Int {
    if s.pointee.cpl != 0 { return protectionFault() }
    let number = o.pointee.aux
    if number > 7 { return undefined() }
    if (number == 4 || number == 5) && s.pointee.cr4 & Bits.de != 0 { return undefined() }
    if detectsAccess() { return Next.fault }
    let value = get(o.pointee.rm, size: o.pointee.size)
    if writing && number >= 4 && value >> 32 != 0 { return protectionFault() }
    var read: UInt64 = 0
    switch (number, writing) {
    case (0, true): s.pointee.dr0 = value
    case (1, true): s.pointee.dr1 = value
    case (2, true): s.pointee.dr2 = value
    case (3, true): s.pointee.dr3 = value
    case (4, true), (6, true): s.pointee.dr6 = value & 0xE00F | 0xFFFF_0FF0
    case (5, true), (7, true): s.pointee.dr7 = value & 0xFFFF_27FF | 0x400
    case (0, _): read = s.pointee.dr0
    case (1, _): read = s.pointee.dr1
    case (2, _): read = s.pointee.dr2
    case (3, _): read = s.pointee.dr3
    case (4, _), (6, _): read = s.pointee.dr6
    case (5, _), (7, _): read = s.pointee.dr7
    default: return undefined()
    }
    if !writing {
      set(o.pointee.rm, size: o.pointee.size, read)
    } else if number != 4 && number != 6 {
      // What RF says is of the instruction that is done.
      s.pointee.eflags &= ~RFlag.resume
      breakpointsChanged()
    }
    return Next.leave
  }

  /// The descriptor of a selector that is only asked about; nil where it is not visible.
  private func askedDescriptor(_ selector: UInt16, _ failed: inout Bool) -> Descriptor? {
    if selector & 0xFFFC == 0 { return nil }
    let isLocal = selector & 4 != 0
    let limit =
      isLocal
      ? (segment(.ldt).pointee.present ? UInt64(segment(.ldt).pointee.limit) : 0)
      : s.pointee.gdtLimit
    if UInt64(selector | 7) > limit { return nil }
    guard let entry = descriptor(selector) else {
      failed = true
      return nil
    }
    return entry
  }

  fileprivate func loadAccessRights(_ o: OpRef) -> Int {
    let selector: UInt16
    if o.pointee.flags & Op.memory != 0 {
      guard let value = load(o, UInt16.self) else { return Next.fault }
      selector = value
    } else {
      selector = get(o.pointee.rm)
    }
    var failed = false
    let entry = askedDescriptor(selector, &failed)
    if failed { return Next.fault }
    let isLimit = o.pointee.aux == 3
    guard let entry, isAskable(entry, selector, isLimit: isLimit) else {
      setFlag(FlagWord.zero, false)
      return Next.op
    }
    let value = isLimit ? UInt64(entry.limit) : entry.raw >> 32 & 0x00FF_FF00
    set(o.pointee.reg, size: o.pointee.size, value)
    setFlag(FlagWord.zero, true)
    return Next.op
  }

  private func isAskable(_ entry: Descriptor, _ selector: UInt16, isLimit: Bool) -> Bool {
    if entry.isConforming && entry.isCode { return true }
    if !entry.isCodeOrData {
      let types: [UInt8] =
        s.pointee.isLongMode
        ? (isLimit ? [2, 9, 11] : [2, 9, 11, 12])
        : (isLimit ? [1, 2, 3, 9, 11] : [1, 2, 3, 4, 5, 9, 11, 12])
      if !types.contains(entry.type) { return false }
    }
    return entry.privilege >= s.pointee.cpl && entry.privilege >= UInt8(selector & 3)
  }

  fileprivate func verify(_ o: OpRef) -> Int {
    guard let value = loadRM(o) else { return Next.fault }
    let selector = UInt16(truncatingIfNeeded: value)
    var failed = false
    let entry = askedDescriptor(selector, &failed)
    if failed { return Next.fault }
    var isRight = false
    if let entry, entry.isCodeOrData {
      let isVisible =
        entry.isConforming
        || entry.privilege >= s.pointee.cpl && entry.privilege >= UInt8(selector & 3)
      isRight = isVisible && (o.pointee.aux == 4 ? entry.isReadable : entry.isWritableData)
    }
    setFlag(FlagWord.zero, isRight)
    return Next.op
  }

  /// LLDT and LTR.
  fileprivate func loadTableSelector(_ o: OpRef) -> Int {
    if s.pointee.cpl != 0 { return protectionFault() }
    guard let value = loadRM(o) else { return Next.fault }
    let selector = UInt16(truncatingIfNeeded: value)
    let isTask = o.pointee.aux == 3
    let error = UInt32(selector & 0xFFFC)
    if error == 0 {
      if isTask { return protectionFault() }
      installNull(Seg.ldt.rawValue, selector)
      return Next.leave
    }
    if selector & 4 != 0 { return protectionFault(error) }
    guard var entry = descriptor(selector) else { return Next.fault }
    let isRight =
      !entry.isCodeOrData
      && (isTask ? entry.type == 9 || entry.type == 1 && !s.pointee.isLongMode : entry.type == 2)
    guard isRight else { return protectionFault(error) }
    guard entry.present else { return fault(Vector.notPresent, code: error) }
    var base = entry.base
    if s.pointee.isLongMode {
      guard let high = systemLoad(entry.address &+ 8, 8) else { return Next.fault }
      base |= high << 32
      if !Self.isCanonical(base) { return protectionFault(error) }
    }
    if isTask {
      entry.raw |= 1 << 41
      guard systemStore(entry.address &+ 5, entry.raw >> 40 & 0xFF, 1) else { return Next.fault }
    }
    let seg = isTask ? Seg.tr : Seg.ldt
    install(seg.rawValue, entry, selector: selector)
    segment(seg).pointee.hiddenBase = base
    return Next.leave
  }
}

/// Far jumps, calls and returns, call gates, tasks (Intel SDM vol. 3, 5.8 and chapter 7).
extension CPU {
  /// JMP and CALL to `selector`:`offset`.
  func farTransfer(_ o: OpRef, _ selector: UInt16, _ offset: UInt64, isCall: Bool) -> Int {
    let size = o.pointee.size
    let back = nextRip(o)
    if !s.pointee.isProtected || s.pointee.isV86 {
      guard offset <= UInt64(segment(.cs).pointee.limit) else { return protectionFault() }
      if isCall {
        var stack = NewStack(self)
        guard stack.push(UInt64(segment(.cs).pointee.selector), size: size),
          stack.push(back, size: size)
        else { return Next.fault }
        setStackPointer(stack.sp)
      }
      loadRealSegment(Seg.cs.rawValue, selector)
      s.pointee.rip = offset
      return Next.jump
    }
    guard var entry = codeDescriptor(selector) else { return Next.fault }
    let error = UInt32(selector & 0xFFFC)
    guard entry.isCodeOrData else {
      return systemTransfer(o, entry, isCall: isCall, back: back)
    }
    let cpl = s.pointee.cpl
    let fits =
      entry.isConforming
      ? entry.privilege <= cpl : entry.privilege == cpl && UInt8(selector & 3) <= cpl
    guard entry.isCode, fits, !(s.pointee.isLongMode && entry.isLong && entry.isBig) else {
      return protectionFault(error)
    }
    guard entry.present else { return fault(Vector.notPresent, code: error) }
    guard isValidTarget(entry, offset) else { return Next.fault }
    if isCall {
      var stack = NewStack(self)
      guard stack.push(UInt64(segment(.cs).pointee.selector), size: size),
        stack.push(back, size: size)
      else { return Next.fault }
      guard touch(&entry) else { return Next.fault }
      setStackPointer(stack.sp)
    } else {
      guard touch(&entry) else { return Next.fault }
    }
    enterCode(entry, offset, privilege: cpl)
    return Next.jump
  }

  /// Through a gate, or to a task.
  private func systemTransfer(
    _ o: OpRef, _ entry: Descriptor, isCall: Bool, back: UInt64
  ) -> Int {
    let error = UInt32(entry.selector & 0xFFFC)
    let rpl = UInt8(entry.selector & 3)
    guard entry.privilege >= s.pointee.cpl, entry.privilege >= rpl else {
      return protectionFault(error)
    }
    let type = entry.rights & 15
    if s.pointee.isLongMode && type != 12 { return protectionFault(error) }
    switch type {
    case 4, 12:
      guard entry.present else { return fault(Vector.notPresent, code: error) }
      return throughGate(entry, isCall: isCall, back: back)
    case 1, 9, 5:
      guard entry.present else { return fault(Vector.notPresent, code: error) }
      let task = type == 5 ? entry.gateSelector : entry.selector
      s.pointee.rip = back
      return switchTask(task, isCall ? .call : .jump) ? Next.jump : Next.fault
    default: return protectionFault(error)
    }
  }

  private func throughGate(_ gate: Descriptor, isCall: Bool, back: UInt64) -> Int {
    let isLong = s.pointee.isLongMode
    let size: UInt8 = isLong ? 3 : (gate.rights & 8 != 0 ? 2 : 1)
    var offset = size == 1 ? gate.gateOffset & 0xFFFF : gate.gateOffset
    if isLong {
      guard let high = systemLoad(gate.address &+ 8, 8) else { return Next.fault }
      guard high >> 40 & 31 == 0 else { return protectionFault(UInt32(gate.selector & 0xFFFC)) }
      offset |= high << 32
    }
    guard var code = codeDescriptor(gate.gateSelector) else { return Next.fault }
    let error = UInt32(gate.gateSelector & 0xFFFC)
    let cpl = s.pointee.cpl
    guard code.isCode, code.privilege <= cpl, !isLong || code.isLong && !code.isBig else {
      return protectionFault(error)
    }
    guard code.present else { return fault(Vector.notPresent, code: error) }
    if !isCall {
      guard code.isConforming || code.privilege == cpl else { return protectionFault(error) }
      guard isValidTarget(code, offset), touch(&code) else { return Next.fault }
      enterCode(code, offset, privilege: cpl)
      return Next.jump
    }
    if !code.isConforming && code.privilege < cpl {
      return callInner(gate, &code, offset, size, back)
    }
    var stack = NewStack(self)
    guard stack.push(UInt64(segment(.cs).pointee.selector), size: size),
      stack.push(back, size: size), isValidTarget(code, offset), touch(&code)
    else { return Next.fault }
    setStackPointer(stack.sp)
    enterCode(code, offset, privilege: cpl)
    return Next.jump
  }

  private func callInner(
    _ gate: Descriptor, _ code: inout Descriptor, _ offset: UInt64, _ size: UInt8, _ back: UInt64
  ) -> Int {
    let oldSS = segment(.ss).pointee.selector
    let oldSP = self[4]
    if size == 3 {
      guard let top = stackFromTSS64(at: 4 &+ UInt64(code.privilege) * 8) else {
        return Next.fault
      }
      var stack = NewStack(self, sp: top, isUser: false)
      guard stack.push(UInt64(oldSS), size: 3), stack.push(oldSP, size: 3),
        stack.push(UInt64(segment(.cs).pointee.selector), size: 3), stack.push(back, size: 3),
        isValidTarget(code, offset), touch(&code)
      else { return Next.fault }
      installNull(Seg.ss.rawValue, UInt16(code.privilege))
      enterCode(code, offset, privilege: code.privilege)
      self[4] = stack.sp
      return Next.jump
    }
    guard let place = stackFromTSS(code.privilege),
      let entry = stackDescriptor(
        place.ss, privilege: code.privilege, vector: Vector.taskState, ext: 0)
    else { return Next.fault }
    var stack = NewStack(self, entry, sp: place.sp, code: UInt32(place.ss & 0xFFFC))
    guard stack.push(UInt64(oldSS), size: size), stack.push(oldSP, size: size) else {
      return Next.fault
    }
    let step = UInt64(1) << UInt64(size)
    var index = gate.gateCount
    while index > 0 {
      index -= 1
      guard
        let value = load(
          Seg.ss.rawValue, (stackPointer &+ index &* step) & s.pointee.stackMask, size: size),
        stack.push(value, size: size)
      else { return Next.fault }
    }
    guard stack.push(UInt64(segment(.cs).pointee.selector), size: size),
      stack.push(back, size: size), isValidTarget(code, offset), touch(&code)
    else { return Next.fault }
    install(Seg.ss.rawValue, entry, selector: place.ss)
    enterCode(code, offset, privilege: code.privilege)
    setStackPointer(stack.sp)
    return Next.jump
  }

  /// RETF, with `o.imm` bytes of arguments.
  func returnFar(_ o: OpRef) -> Int {
    let size = o.pointee.size
    let step = UInt64(1) << UInt64(size)
    let top = stackPointer
    let mask = s.pointee.stackMask
    let ss = Seg.ss.rawValue
    guard let rip = load(ss, top, size: size),
      let cs = load(ss, (top &+ step) & mask, size: size)
    else { return Next.fault }
    let selector = UInt16(truncatingIfNeeded: cs)
    let past = top &+ 2 &* step &+ o.pointee.imm
    if !s.pointee.isProtected || s.pointee.isV86 {
      guard rip <= UInt64(segment(.cs).pointee.limit) else { return protectionFault() }
      setStackPointer(past)
      loadRealSegment(Seg.cs.rawValue, selector)
      s.pointee.rip = rip
      return Next.jump
    }
    guard let code = returnDescriptor(selector), isValidTarget(code, rip) else {
      return Next.fault
    }
    let privilege = UInt8(selector & 3)
    if privilege == s.pointee.cpl {
      setStackPointer(past)
      enterCode(code, rip, privilege: privilege)
      return Next.jump
    }
    guard let sp = load(ss, past & mask, size: size),
      let stack = load(ss, (past &+ step) & mask, size: size),
      returnStack(
        UInt16(truncatingIfNeeded: stack), sp &+ o.pointee.imm, privilege, code, size)
    else { return Next.fault }
    enterCode(code, rip, privilege: privilege)
    dropSegments()
    return Next.jump
  }

  // MARK: Tasks

  enum TaskReason { case jump, call, interrupt, interruptReturn }

  /// Makes the task of TSS `selector` the one that runs. False after a fault.
  func switchTask(_ selector: UInt16, _ reason: TaskReason, ext: UInt32 = 0) -> Bool {
    let error = UInt32(selector & 0xFFFC) | ext
    guard selector & 0xFFFC != 0, selector & 4 == 0, var new = descriptor(selector, ext: ext) else {
      _ = fault(
        reason == .interruptReturn ? Vector.taskState : Vector.protection, code: error)
      return false
    }
    let wanted: UInt8 = reason == .interruptReturn ? 3 : 1
    guard !new.isCodeOrData, new.type & 7 == wanted else {
      _ = fault(
        reason == .interruptReturn ? Vector.taskState : Vector.protection, code: error)
      return false
    }
    guard new.present else {
      _ = fault(Vector.notPresent, code: error)
      return false
    }
    let is32 = new.type & 8 != 0
    guard new.limit >= (is32 ? 103 : 43) else {
      _ = fault(Vector.taskState, code: error)
      return false
    }
    guard saveTask(leaving: reason) else { return false }
    let oldSelector = segment(.tr).pointee.selector
    if reason != .interruptReturn {
      new.raw |= 1 << 41
      guard systemStore(new.address &+ 5, new.raw >> 40 & 0xFF, 1) else { return false }
    }
    if reason == .call || reason == .interrupt {
      guard systemStore(new.base, UInt64(oldSelector), 2) else { return false }
    }
    return loadTask(new, is32: is32, nested: reason == .call || reason == .interrupt)
  }

  private static let taskSegments: [Seg] = [.es, .cs, .ss, .ds, .fs, .gs]

  /// Writes the running task's state to its TSS.
  private func saveTask(leaving reason: TaskReason) -> Bool {
    let tr = segment(.tr)
    let base = tr.pointee.hiddenBase
    let is32 = tr.pointee.type & 8 != 0
    var image = rflags
    if reason == .interruptReturn { image &= ~RFlag.nested }
    if reason == .jump || reason == .interruptReturn {
      let at = s.pointee.gdtBase &+ UInt64(tr.pointee.selector & 0xFFF8) &+ 5
      guard let rights = systemLoad(at, 1), systemStore(at, rights & ~2, 1) else { return false }
    }
    if is32 {
      guard systemStore(base &+ 32, s.pointee.rip, 4), systemStore(base &+ 36, image, 4) else {
        return false
      }
      for number in 0..<8 {
        guard systemStore(base &+ 40 &+ UInt64(number * 4), self[number], 4) else { return false }
      }
      for (number, seg) in Self.taskSegments.enumerated() {
        let selector = UInt64(segment(seg).pointee.selector)
        guard systemStore(base &+ 72 &+ UInt64(number * 4), selector, 2) else { return false }
      }
      return true
    }
    guard systemStore(base &+ 14, s.pointee.rip, 2), systemStore(base &+ 16, image, 2) else {
      return false
    }
    for number in 0..<8 {
      guard systemStore(base &+ 18 &+ UInt64(number * 2), self[number], 2) else { return false }
    }
    for (number, seg) in Self.taskSegments.prefix(4).enumerated() {
      let selector = UInt64(segment(seg).pointee.selector)
      guard systemStore(base &+ 34 &+ UInt64(number * 2), selector, 2) else { return false }
    }
    return true
  }

  /// Reads a task's state; from here on faults belong to the new task.
  private func loadTask(_ new: Descriptor, is32: Bool, nested: Bool) -> Bool {
    let base = new.base
    let step: UInt64 = is32 ? 4 : 2
    let size = is32 ? 4 : 2
    let ripAt: UInt64 = is32 ? 32 : 14
    let segmentAt: UInt64 = is32 ? 72 : 34
    guard let rip = systemLoad(base &+ ripAt, size),
      let image = systemLoad(base &+ ripAt &+ step, size)
    else { return false }
    var registers: [UInt64] = []
    for number in 0..<8 {
      let at = base &+ ripAt &+ 2 &* step &+ UInt64(number) &* step
      guard let value = systemLoad(at, size) else { return false }
      registers.append(is32 ? value : value | 0xFFFF_0000)
    }
    var selectors: [UInt16] = []
    for number in 0..<(is32 ? 6 : 4) {
      guard let value = systemLoad(base &+ segmentAt &+ UInt64(number) &* step, 2) else {
        return false
      }
      selectors.append(UInt16(truncatingIfNeeded: value))
    }
    // A 16-bit task has no FS and GS: they become null.
    if !is32 { selectors += [0, 0] }
    guard let ldt = systemLoad(base &+ segmentAt &+ (is32 ? 24 : 8), 2) else { return false }
    if is32 && s.pointee.cr0 & Bits.pg != 0 {
      guard let cr3 = systemLoad(base &+ 28, 4) else { return false }
      if cr3 != s.pointee.cr3 { _ = setCR3(cr3) }
    }
    var busy = new
    busy.raw |= 1 << 41
    install(Seg.tr.rawValue, busy, selector: new.selector)
    s.pointee.cr0 |= Bits.ts
    for (number, value) in registers.enumerated() { self[number] = value }
    s.pointee.rip = rip
    setArithmeticFlags(image)
    s.pointee.eflags = image & 0x003F_7700 | (nested ? RFlag.nested : 0)
    flagsChanged()
    guard let trap = is32 ? systemLoad(base &+ 100, 2) : 0 else { return false }
    debugTaskSwitch(traps: trap & 1 != 0)
    return loadTaskSegments(
      selectors, ldt: UInt16(truncatingIfNeeded: ldt), isV86: image & RFlag.virtual8086 != 0 && is32
    )
  }

  private func loadTaskSegments(_ selectors: [UInt16], ldt: UInt16, isV86: Bool) -> Bool {
    for (number, selector) in selectors.enumerated() {
      installNull(Seg.offset(UInt8(number)), selector)
    }
    installNull(Seg.ldt.rawValue, ldt)
    if ldt & 0xFFFC != 0 {
      guard let entry = descriptor(ldt, fault: Vector.taskState), entry.rights & 0x9F == 0x82 else {
        _ = fault(Vector.taskState, code: UInt32(ldt & 0xFFFC))
        return false
      }
      install(Seg.ldt.rawValue, entry, selector: ldt)
    }
    if isV86 {
      s.pointee.cpl = 3
      modeChanged()
      for (number, selector) in selectors.enumerated() {
        loadRealSegment(Seg.offset(UInt8(number)), selector)
      }
      segment(.cs).pointee.rights = 0xF3
      modeChanged()
      return true
    }
    let privilege = UInt8(selectors[1] & 3)
    let error = UInt32(selectors[1] & 0xFFFC)
    guard error != 0, var code = descriptor(selectors[1], fault: Vector.taskState), code.isCode,
      code.isConforming ? code.privilege <= privilege : code.privilege == privilege
    else {
      _ = fault(Vector.taskState, code: error)
      return false
    }
    guard code.present else {
      _ = fault(Vector.notPresent, code: error)
      return false
    }
    guard touch(&code) else { return false }
    s.pointee.cpl = privilege
    install(Seg.cs.rawValue, code, selector: selectors[1])
    modeChanged()
    guard
      let stack = stackDescriptor(
        selectors[2], privilege: privilege, vector: Vector.taskState, ext: 0)
    else { return false }
    install(Seg.ss.rawValue, stack, selector: selectors[2])
    modeChanged()
    for number in [0, 3, 4, 5] {
      guard loadSegmentRegister(UInt8(number), selectors[number]) else { return false }
    }
    return true
  }
}

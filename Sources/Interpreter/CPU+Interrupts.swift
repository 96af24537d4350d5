/// Exceptions and interrupts (Intel SDM vol. 3, chapter 6).
extension CPU {
  /// What an event is, for its error codes and its return address.
  private struct Event {
    var vector: UInt8
    var isSoftware = false
    var code: UInt32?
    /// Bit 0 of error codes of faults on the way: the event came from outside the program.
    var ext: UInt32 = 1
    var isFault = false
  }

  /// Delivers the recorded fault; RIP is the instruction's.
  @discardableResult
  func deliverFault() -> Leave {
    if s.pointee.userShare.isUnderWay, s.pointee.faultVector == Vector.undefined {
      // The host's processor may have what the interpreter lacks.
      leaveToUserEngine()
      return .none
    }
    var event = recordedFault()
    while !deliver(event) {
      let second = recordedFault()
      if event.vector == Vector.double {
        s.pointee.leave = .shutdown
        return .shutdown
      }
      let isPage = event.vector == Vector.page
      let bothContribute = Self.contributes(event.vector) && Self.contributes(second.vector)
      if bothContribute
        || isPage && (Self.contributes(second.vector) || second.vector == Vector.page)
      {
        event = Event(vector: Vector.double, code: 0, isFault: false)
      } else {
        event = second
      }
    }
    return .none
  }

  private func recordedFault() -> Event {
    let vector = s.pointee.faultVector
    let isDebugFault = s.pointee.debugIsFault
    s.pointee.debugIsFault = false
    return Event(
      vector: vector, code: s.pointee.faultHasCode ? s.pointee.faultCode : nil,
      isFault: vector == Vector.debug ? isDebugFault : vector != Vector.double)
  }

  private static func contributes(_ vector: UInt8) -> Bool {
    vector == Vector.divide || vector >= Vector.taskState && vector <= Vector.protection
  }

  /// Delivers an external interrupt.
  func deliverInterrupt(_ vector: UInt8) -> Leave {
    if deliver(Event(vector: vector)) { return .none }
    return deliverFault()
  }

  /// INT n, INT 3, INTO, INT1; RIP becomes the handler's. A ``Next``.
  func softwareInterrupt(_ vector: UInt8, _ o: OpRef, privileged: Bool = false) -> Int {
    s.pointee.rip = nextRip(o)
    let event = Event(vector: vector, isSoftware: !privileged, ext: privileged ? 1 : 0)
    return deliver(event) ? Next.jump : Next.fault
  }

  private func deliver(_ event: Event) -> Bool {
    if event.vector == Vector.debug { allowDebugRegisters() }
    if !s.pointee.isProtected { return deliverReal(event) }
    if s.pointee.isLongMode { return deliverLong(event) }
    return deliverProtected(event)
  }

  private func deliverReal(_ event: Event) -> Bool {
    let at = UInt64(event.vector) * 4
    guard at &+ 3 <= s.pointee.idtLimit else {
      _ = protectionFault()
      return false
    }
    guard let target = systemLoad(s.pointee.idtBase &+ at, 4) else { return false }
    var stack = NewStack(self)
    guard stack.push(rflags & 0xFFFF, size: 1),
      stack.push(UInt64(segment(.cs).pointee.selector), size: 1),
      stack.push(s.pointee.rip & 0xFFFF, size: 1)
    else { return false }
    setStackPointer(stack.sp)
    s.pointee.eflags &= ~(RFlag.interrupt | RFlag.trap | RFlag.alignment | RFlag.resume)
    flagsChanged()
    loadRealSegment(Seg.cs.rawValue, UInt16(truncatingIfNeeded: target >> 16))
    s.pointee.rip = target & 0xFFFF
    return true
  }

  /// The flags as they are pushed.
  private func flagImage(_ event: Event) -> UInt64 {
    rflags & ~RFlag.resume | (event.isFault ? RFlag.resume : 0)
  }

  private func gateFault(_ event: Event) -> Bool {
    _ = protectionFault(UInt32(event.vector) << 3 | 2 | event.ext)
    return false
  }

  private func clearFlags(isInterruptGate: Bool) {
    var cleared =
      RFlag.trap | RFlag.nested | RFlag.resume | RFlag.virtual8086
    if isInterruptGate { cleared |= RFlag.interrupt }
    s.pointee.eflags &= ~cleared
    flagsChanged()
  }

  // MARK: Protected mode

  private func deliverProtected(_ event: Event) -> Bool {
    let at = UInt64(event.vector) * 8
    guard at &+ 7 <= s.pointee.idtLimit else { return gateFault(event) }
    guard let raw = systemLoad(s.pointee.idtBase &+ at, 8) else { return false }
    let gate = Descriptor(raw: raw, selector: 0, address: 0)
    let isTaskGate = gate.rights & 0x1F == 5
    guard [5, 6, 7, 14, 15].contains(gate.rights & 0x1F) else { return gateFault(event) }
    if event.isSoftware && gate.privilege < s.pointee.cpl { return gateFault(event) }
    guard gate.present else {
      _ = fault(Vector.notPresent, code: UInt32(event.vector) << 3 | 2 | event.ext)
      return false
    }
    if isTaskGate { return deliverTask(event, gate.gateSelector) }
    let size: UInt8 = gate.rights & 8 != 0 ? 2 : 1
    let offset = size == 2 ? gate.gateOffset : gate.gateOffset & 0xFFFF
    guard var code = codeDescriptor(gate.gateSelector, ext: event.ext) else { return false }
    let selectorCode = UInt32(gate.gateSelector & 0xFFFC) | event.ext
    guard code.isCode, code.privilege <= s.pointee.cpl else {
      _ = protectionFault(selectorCode)
      return false
    }
    guard code.present else {
      _ = fault(Vector.notPresent, code: selectorCode)
      return false
    }
    let isInterruptGate = gate.rights & 1 == 0
    if !code.isConforming && code.privilege < s.pointee.cpl {
      if s.pointee.isV86 && code.privilege != 0 {
        _ = protectionFault(selectorCode)
        return false
      }
      return deliverInner(event, &code, offset, size, isInterruptGate)
    }
    if s.pointee.isV86 {
      _ = protectionFault(selectorCode)
      return false
    }
    var stack = NewStack(self)
    guard stack.push(flagImage(event), size: size),
      stack.push(UInt64(segment(.cs).pointee.selector), size: size),
      stack.push(s.pointee.rip, size: size)
    else { return false }
    if let value = event.code, !stack.push(UInt64(value), size: size) { return false }
    guard isValidTarget(code, offset), touch(&code) else { return false }
    setStackPointer(stack.sp)
    clearFlags(isInterruptGate: isInterruptGate)
    enterCode(code, offset, privilege: s.pointee.cpl)
    return true
  }

  /// To a handler of a higher privilege, with the stack that the TSS has for it.
  private func deliverInner(
    _ event: Event, _ code: inout Descriptor, _ offset: UInt64, _ size: UInt8,
    _ isInterruptGate: Bool
  ) -> Bool {
    guard let place = stackFromTSS(code.privilege, ext: event.ext),
      let stackEntry = stackDescriptor(
        place.ss, privilege: code.privilege, vector: Vector.taskState, ext: event.ext)
    else { return false }
    var stack = NewStack(
      self, stackEntry, sp: place.sp, code: UInt32(place.ss & 0xFFFC) | event.ext)
    let wasV86 = s.pointee.isV86
    if wasV86 {
      for seg in [Seg.gs, .fs, .ds, .es] {
        guard stack.push(UInt64(segment(seg).pointee.selector), size: size) else { return false }
      }
    }
    guard stack.push(UInt64(segment(.ss).pointee.selector), size: size),
      stack.push(size == 2 ? self[4] & 0xFFFF_FFFF : self[4] & 0xFFFF, size: size),
      stack.push(flagImage(event), size: size),
      stack.push(UInt64(segment(.cs).pointee.selector), size: size),
      stack.push(s.pointee.rip, size: size)
    else { return false }
    if let value = event.code, !stack.push(UInt64(value), size: size) { return false }
    guard isValidTarget(code, offset), touch(&code) else { return false }
    clearFlags(isInterruptGate: isInterruptGate)
    s.pointee.isV86 = false
    if wasV86 {
      for seg in [Seg.gs, .fs, .ds, .es] { installNull(seg.rawValue, 0) }
    }
    install(Seg.ss.rawValue, stackEntry, selector: place.ss)
    enterCode(code, offset, privilege: code.privilege)
    setStackPointer(stack.sp)
    return true
  }

  private func deliverTask(_ event: Event, _ selector: UInt16) -> Bool {
    guard switchTask(selector, .interrupt, ext: event.ext) else { return false }
    if let value = event.code {
      let size: UInt8 = segment(.tr).pointee.type & 8 != 0 ? 2 : 1
      return push(size: size, UInt64(value)) != Next.fault
    }
    return true
  }

  // MARK: Long mode

  private func deliverLong(_ event: Event) -> Bool {
    let at = UInt64(event.vector) * 16
    guard at &+ 15 <= s.pointee.idtLimit else { return gateFault(event) }
    guard let raw = systemLoad(s.pointee.idtBase &+ at, 8),
      let high = systemLoad(s.pointee.idtBase &+ at &+ 8, 8)
    else { return false }
    let gate = Descriptor(raw: raw, selector: 0, address: 0)
    guard gate.rights & 0x1E == 14 else { return gateFault(event) }
    if event.isSoftware && gate.privilege < s.pointee.cpl { return gateFault(event) }
    guard gate.present else {
      _ = fault(Vector.notPresent, code: UInt32(event.vector) << 3 | 2 | event.ext)
      return false
    }
    let offset = gate.gateOffset | high << 32
    guard var code = codeDescriptor(gate.gateSelector, ext: event.ext) else { return false }
    let selectorCode = UInt32(gate.gateSelector & 0xFFFC) | event.ext
    guard code.isCode, code.privilege <= s.pointee.cpl, code.isLong, !code.isBig else {
      _ = protectionFault(selectorCode)
      return false
    }
    guard code.present else {
      _ = fault(Vector.notPresent, code: selectorCode)
      return false
    }
    let privilege = code.isConforming ? s.pointee.cpl : code.privilege
    var top = self[4]
    let stackNumber = raw >> 32 & 7
    if stackNumber != 0 {
      guard let sp = stackFromTSS64(at: 28 &+ stackNumber * 8, ext: event.ext) else {
        return false
      }
      top = sp
    } else if privilege < s.pointee.cpl {
      guard let sp = stackFromTSS64(at: 4 &+ UInt64(privilege) * 8, ext: event.ext) else {
        return false
      }
      top = sp
    }
    var stack = NewStack(self, sp: top & ~15, isUser: privilege == 3)
    guard stack.push(UInt64(segment(.ss).pointee.selector), size: 3),
      stack.push(self[4], size: 3), stack.push(flagImage(event), size: 3),
      stack.push(UInt64(segment(.cs).pointee.selector), size: 3),
      stack.push(s.pointee.rip, size: 3)
    else { return false }
    if let value = event.code, !stack.push(UInt64(value), size: 3) { return false }
    guard isValidTarget(code, offset), touch(&code) else { return false }
    if privilege < s.pointee.cpl { installNull(Seg.ss.rawValue, UInt16(privilege)) }
    clearFlags(isInterruptGate: gate.rights & 1 == 0)
    enterCode(code, offset, privilege: privilege)
    self[4] = stack.sp
    return true
  }
}

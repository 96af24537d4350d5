import CInterpreter
import KVMEngine

/// The whole state, in and out of the interpreter.
extension InterpretedProcessor {
  public func state(now: UInt64) -> ProcessorState {
    takeMessages()
    if cpu.s.pointee.fpuPlace != .here { cpu.claimFPU(changing: false) }
    var state = ProcessorState()
    state.registers = registers()
    state.system = systemRegisters()
    for index in ProcessorState.carriedRegisters {
      guard let value = cpu.modelRegister(index) else { continue }
      state.modelRegisters.append(ProcessorState.ModelRegister(index: index, value: value))
    }
    let s = cpu.s.pointee
    state.timestampOffset = s.tscOffset
    if state.usesClock { state.clockAnchor = cpu.currentClockAnchor }
    state.vectors = cpu.vectorState
    state.debug.addresses = [s.dr0, s.dr1, s.dr2, s.dr3]
    state.debug.status = s.dr6
    state.debug.control = s.dr7
    if pagesByPointers(state.system) {
      state.pageDirectoryPointers = [s.pdpte.0, s.pdpte.1, s.pdpte.2, s.pdpte.3]
    }
    state.events = events
    state.activity = activity
    state.localAPIC = localAPIC?.save()
    if let local = localAPIC {
      state.system.cr8 = UInt64(local.taskPriorityClass)
      state.system.apicBase = local.readMSR(0x1B) ?? state.system.apicBase
    }
    return state
  }

  public func setState(_ state: ProcessorState, now: UInt64) throws(ProcessorStateError) {
    try state.check()
    reset()
    // Only for who looks at it: a process that has just begun measures its counter first.
    if let anchor = state.clockAnchor, state.usesClock {
      cpu.s.pointee.clockAnchor = anchor.moved(
        to: HostTimestamp.now() &+ state.timestampOffset, GuestTimestampCounter.scale)
    }
    try cpu.setVectorState(state.vectors)
    setRegisters(state.registers)
    setSystemRegisters(state.system)
    for register in state.modelRegisters
    where ProcessorState.carriedRegisters.contains(register.index) {
      guard cpu.setModelRegister(register.index, register.value) else {
        let number = String(register.index, radix: 16)
        throw ProcessorStateError("the software processor does not take MSR 0x\(number)")
      }
    }
    let s = cpu.s
    setTimestampOffset(state.timestampOffset)
    let addresses = state.debug.addresses
    (s.pointee.dr0, s.pointee.dr1) = (addresses[0], addresses[1])
    (s.pointee.dr2, s.pointee.dr3) = (addresses[2], addresses[3])
    s.pointee.dr6 = state.debug.status
    s.pointee.dr7 = state.debug.control
    cpu.breakpointsChanged()
    if pagesByPointers(state.system), state.pageDirectoryPointers.count == 4 {
      let entries = state.pageDirectoryPointers
      s.pointee.pdpte = (entries[0], entries[1], entries[2], entries[3])
    }
    try restoreLocalAPIC(state)
    activity = state.activity
    deliver(state.events)
    cpu.flushTLB()
    cpu.modeChanged()
  }

  public func moveTimestamp(by distance: UInt64) {
    setTimestampOffset(cpu.s.pointee.tscOffset &+ distance)
    localAPIC?.timestampCounterChanged()
  }

  private func setTimestampOffset(_ offset: UInt64) {
    cpu.s.pointee.tscOffset = offset
    timestampCounter.offset = offset
  }

  /// PAE paging outside long mode.
  private func pagesByPointers(_ system: SystemRegisters) -> Bool {
    system.cr0 & ControlBits.cr0Paging != 0
      && system.cr4 & ControlBits.cr4PhysicalAddressExtension != 0
      && system.efer & ControlBits.eferLongModeActive == 0
  }

  private func restoreLocalAPIC(_ state: ProcessorState) throws(ProcessorStateError) {
    guard let local = localAPIC, let saved = state.localAPIC else { return }
    do {
      try local.restore(saved)
    } catch {
      throw ProcessorStateError(error.description)
    }
    cpu.s.pointee.slow |= Slow.pendingInterrupt
  }

  // MARK: Events

  private var events: ProcessorState.Events {
    var events = ProcessorState.Events()
    let s = cpu.s.pointee
    if s.injected >= 0 {
      events.delivery = .interrupt(vector: UInt8(truncatingIfNeeded: s.injected), isSoftware: false)
    } else if s.slow & Slow.debugTrap != 0 {
      events.delivery = .exception(vector: Vector.debug, errorCode: nil)
    }
    if s.slow & Slow.shadow != 0 {
      // Which of the two it is shows in IF alone.
      events.shadow = s.eflags & RFlag.interrupt != 0 ? .enabledInterrupts : .loadedStack
    }
    events.blocksNMI = s.blocksNMI
    return events
  }

  /// Takes over what another engine was about to deliver.
  private func deliver(_ events: ProcessorState.Events) {
    let s = cpu.s
    s.pointee.blocksNMI = events.blocksNMI
    if events.shadow != .none { s.pointee.slow |= Slow.shadow }
    switch events.delivery {
    case .interrupt(let vector, _): injectInterrupt(vector)
    case .exception(Vector.debug, _): s.pointee.slow |= Slow.debugTrap
    case .exception(let vector, let code):
      _ = code.map { cpu.fault(vector, code: $0) } ?? cpu.fault(vector)
      isShutDown = cpu.deliverFault() == .shutdown
    case .nonMaskable:
      s.pointee.blocksNMI = true
      isShutDown = cpu.deliverInterrupt(Vector.nonMaskable) == .shutdown
    case nil: break
    }
  }
}

extension CPU {
  /// The registers in the XSAVE image.
  fileprivate var vectorState: VectorState {
    var state = VectorState(
      image: UnsafeRawBufferPointer(start: fpu, count: VectorLayout.legacyBytes),
      xcr0: s.pointee.xcr0, isLegacyOnly: true)
    let upper = Array(UnsafeRawBufferPointer(start: fpu + StubBuilder.upperHalves, count: 256))
    if upper.contains(where: { $0 != 0 }) {
      state.components.append(VectorState.Component(number: 2, bytes: upper))
    }
    return state
  }

  fileprivate func setVectorState(_ state: VectorState) throws(ProcessorStateError) {
    let missing = state.mask & ~HostCPUID.vectorState
    if let number = (2..<63).first(where: { missing & (1 << UInt64($0)) != 0 }) {
      throw VectorState.lacks(number)
    }
    let upper = state.components.first { $0.number == 2 }?.bytes ?? []
    guard upper.isEmpty || upper.count == 256 else { throw VectorState.lacks(2) }
    UnsafeMutableRawBufferPointer(start: fpu + StubBuilder.upperHalves, count: 256)
      .copyBytes(from: upper + [UInt8](repeating: 0, count: 256 - upper.count))
    s.pointee.xcr0 = state.xcr0
    // Neither MXCSR's mask nor what lies behind XMM15 is the guest's.
    fpu.copyMemory(from: state.legacy, byteCount: 28)
    state.legacy.withUnsafeBytes { bytes in
      let registers = UnsafeRawBufferPointer(rebasing: bytes[32..<416])
      if let start = registers.baseAddress {
        (fpu + 32).copyMemory(from: start, byteCount: registers.count)
      }
    }
  }
}

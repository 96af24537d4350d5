/// What a write makes the chip do once its lock is free.
enum LocalAPICOutcome: Equatable, Sendable {
  case done
  /// No such register, or not like this: an error in xAPIC mode, #GP in x2APIC mode.
  case refused
  /// The I/O APIC has to know that this vector was served.
  case endOfInterrupt(UInt8)
  /// The APIC bus has to carry this.
  case send(APICBusMessage)
}

/// The registers by number (Intel SDM vol. 3, tables 11-1 and 11-6).
extension LocalAPICState {
  /// Version 0x14, six entries in the vector table, EOI broadcasts can be suppressed (11.4.8).
  static let version: UInt32 = 0x14 | LocalAPICVectorTable.lastEntry << 16 | 1 << 24
  /// Bits of ICR that keep what is written.
  private static let commandWritable: UInt32 = 0xC_CFFF

  /// The register as a load or RDMSR sees it; nil where there is none.
  /// - Parameter now: nanoseconds; only the current count needs it.
  func read(_ register: UInt32, now: UInt64) -> UInt32? {
    switch register {
    case LocalAPICRegister.identifier: isX2APIC ? identifier : identifier << 24
    case LocalAPICRegister.version: Self.version
    case LocalAPICRegister.taskPriority: UInt32(taskPriority)
    case LocalAPICRegister.arbitrationPriority: UInt32(arbitrationPriority)
    case LocalAPICRegister.processorPriority: UInt32(processorPriority)
    case LocalAPICRegister.endOfInterrupt, LocalAPICRegister.remoteRead: 0
    case LocalAPICRegister.logicalDestination: logicalDestinationRegister
    case LocalAPICRegister.destinationFormat: UInt32(destinationFormat) << 28 | 0x0FFF_FFFF
    case LocalAPICRegister.spurious: spurious
    case LocalAPICRegister.inService: inService.register(register & 7)
    case LocalAPICRegister.triggerModes: triggerModes.register(register & 7)
    case LocalAPICRegister.requests: requests.register(register & 7)
    case LocalAPICRegister.errorStatus: UInt32(errorStatus)
    case LocalAPICRegister.command: UInt32(truncatingIfNeeded: command)
    case LocalAPICRegister.commandHigh: UInt32(truncatingIfNeeded: command >> 32)
    case LocalAPICRegister.entries: table[register].rawValue
    case LocalAPICRegister.initialCount: initialCount
    case LocalAPICRegister.currentCount: currentCount(now)
    case LocalAPICRegister.divideConfiguration: UInt32(divideConfiguration)
    default: nil
    }
  }

  /// LDR: in x2APIC mode the cluster and the member's bit in it, from the ID (11.12.10.2).
  private var logicalDestinationRegister: UInt32 {
    guard isX2APIC else { return UInt32(logicalDestination) << 24 }
    return (identifier >> 4) << 16 | 1 << (identifier & 15)
  }

  /// A store or WRMSR, bits that don't exist dropped. Writes to read-only registers are lost.
  /// - Parameter now: nanoseconds; only the timer's registers need it.
  mutating func write(_ register: UInt32, _ value: UInt32, now: UInt64) -> LocalAPICOutcome {
    switch register {
    case LocalAPICRegister.taskPriority: taskPriority = UInt8(truncatingIfNeeded: value)
    case LocalAPICRegister.endOfInterrupt:
      if let vector = endOfInterrupt() { return .endOfInterrupt(vector) }
    case LocalAPICRegister.logicalDestination:
      logicalDestination = UInt8(truncatingIfNeeded: value >> 24)
    case LocalAPICRegister.destinationFormat:
      destinationFormat = UInt8(truncatingIfNeeded: value >> 28)
    case LocalAPICRegister.spurious: setSpurious(value)
    case LocalAPICRegister.errorStatus: latchErrors()
    case LocalAPICRegister.command: return sendCommand(value)
    case LocalAPICRegister.commandHigh:
      command = command & 0xFFFF_FFFF | UInt64(value & 0xFF00_0000) << 32
    case LocalAPICRegister.entries: setEntry(register, value, now)
    case LocalAPICRegister.initialCount: setInitialCount(value, now)
    case LocalAPICRegister.divideConfiguration: setDivide(value, now)
    default: return read(register, now: now) == nil ? .refused : .done
    }
    return .done
  }

  /// Disabling by software masks the whole vector table; requests and services stay (11.4.7.2).
  private mutating func setSpurious(_ value: UInt32) {
    let wasEnabled = isSoftwareEnabled
    spurious = value & Spurious.writable
    if wasEnabled && !isSoftwareEnabled { table.maskAll() }
  }

  private mutating func latchErrors() {
    errorStatus = loggedErrors
    loggedErrors = 0
    errorInterruptArmed = true
  }

  /// While disabled by software an entry can't be opened.
  private mutating func setEntry(_ register: UInt32, _ value: UInt32, _ now: UInt64) {
    let oldMode = table.timer.timerMode
    let wasInService = table.lint0.remoteIRR
    table[register].rawValue = value & LocalAPICVectorTable.writable(register)
    if !isSoftwareEnabled { table[register].isMasked = true }
    switch register {
    case LocalAPICRegister.timerEntry: timerModeChanged(from: oldMode)
    case LocalAPICRegister.lint0Entry:
      table.lint0.remoteIRR = wasInService && table.lint0.isLevelTriggered
      serveLINT0()
    default: break
    }
  }

  /// A write of ICR's low half, or of all of it once `command` has the high half.
  private mutating func sendCommand(_ value: UInt32) -> LocalAPICOutcome {
    command = command & 0xFFFF_FFFF_0000_0000 | UInt64(value & Self.commandWritable)
    guard let message = APICBusMessage(command: command, isX2APIC: isX2APIC) else { return .done }
    let isInterrupt = message.mode == .fixed || message.mode == .lowestPriority
    if isInterrupt && message.vector < LocalAPICVectorSet.firstVector {
      logError(ErrorBit.sendIllegalVector)
      return .done
    }
    guard message.destination == .sender else { return .send(message) }
    _ = accept(message)
    return .done
  }

  /// WRMSR of a register in x2APIC mode.
  mutating func writeX2APIC(
    _ register: UInt32, _ value: UInt64, now: UInt64
  ) -> LocalAPICOutcome {
    guard let writable = LocalAPICRegister.x2APICWritable(register), value & ~writable == 0 else {
      return .refused
    }
    let low = UInt32(truncatingIfNeeded: value)
    switch register {
    case LocalAPICRegister.selfIPI:
      request(UInt8(truncatingIfNeeded: low))
      return .done
    case LocalAPICRegister.command:
      command = value
      return sendCommand(low)
    default: return write(register, low, now: now)
    }
  }

  /// WRMSR of IA32_APIC_BASE (11.4.4, 11.12.5). The BSP flag and reserved bits can't be changed.
  /// - Parameter addressMask: bits of the physical address that the processor has.
  /// - Returns: false for #GP: reserved bits, or a step between modes that there is not.
  mutating func setBase(_ value: UInt64, addressMask: UInt64) -> Bool {
    let bits = LocalAPICBase.enable | LocalAPICBase.x2APIC
    guard value & ~(addressMask | bits | LocalAPICBase.bootstrap) == 0 else { return false }
    let wantsX2APIC = value & LocalAPICBase.x2APIC != 0
    let wantsEnable = value & LocalAPICBase.enable != 0
    switch (wantsEnable, wantsX2APIC) {
    case (false, true): return false
    case (true, true): guard isEnabled else { return false }
    case (true, false): guard !isX2APIC else { return false }
    case (false, false): break
    }
    let wasX2APIC = isX2APIC
    base = value & ~LocalAPICBase.bootstrap | (isBootstrap ? LocalAPICBase.bootstrap : 0)
    if !wantsEnable { clearRegisters() }
    if wantsX2APIC && !wasX2APIC { command &= 0xFFFF_FFFF }
    return true
  }
}

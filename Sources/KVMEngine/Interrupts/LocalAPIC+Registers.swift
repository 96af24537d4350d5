/// The registers as memory and as MSRs, on the processor's own thread.
extension LocalAPIC {
  /// MSRs that belong to the local APIC (Intel SDM vol. 4, table 2-2).
  private enum MSR {
    static let base: UInt32 = 0x1B
    static let tscDeadline: UInt32 = 0x6E0
    static let registers: ClosedRange<UInt32> = 0x800...0x8FF
  }

  /// Whether RDMSR and WRMSR of `index` are for the local APIC.
  public static func ownsMSR(_ index: UInt32) -> Bool {
    index == MSR.base || index == MSR.tscDeadline || MSR.registers.contains(index)
  }

  /// RDMSR.
  /// - Returns: the value; nil for #GP.
  public func readMSR(_ index: UInt32) -> UInt64? {
    switch index {
    case MSR.base: return change(byOwnProcessor: true) { $0.base }
    case MSR.tscDeadline:
      return changeTimed(byOwnProcessor: true) { state, _ in state.tscDeadline }
    case MSR.registers: return readX2APIC(index &- MSR.registers.lowerBound)
    default: return nil
    }
  }

  /// WRMSR.
  /// - Returns: false for #GP.
  public func writeMSR(_ index: UInt32, value: UInt64) -> Bool {
    switch index {
    case MSR.base:
      let mask = addressMask
      return changeTimed(byOwnProcessor: true) { state, _ in
        state.setBase(value, addressMask: mask)
      }
    case MSR.tscDeadline:
      // Outside TSC-deadline mode the register reads zero and keeps nothing (11.5.4.1).
      changeTimed(byOwnProcessor: true) { state, _ in
        if state.table.timer.timerMode == .deadline { state.tscDeadline = value }
      }
      return true
    case MSR.registers: return writeX2APIC(index &- MSR.registers.lowerBound, value)
    default: return false
    }
  }

  /// A load from the register page. Registers are 32 bits wide at every sixteenth byte; the rest
  /// reads as zero (11.4.1).
  public func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    guard offset < 0x1000, registerPage != .max else { return width.mask }
    guard offset & 0xF < 4 else { return 0 }
    let register = UInt32(truncatingIfNeeded: offset >> 4)
    let value = read(register) { state, now in
      if let value = state.read(register, now: now) { return value }
      state.logError(LocalAPICState.ErrorBit.illegalRegister)
      return 0
    }
    return UInt64(value) >> ((offset & 3) * 8)
  }

  /// A store to the register page. Only whole registers can be written.
  public func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    guard offset < 0x1000, offset & 0xF == 0, width == .dword, registerPage != .max else { return }
    let register = UInt32(truncatingIfNeeded: offset >> 4)
    let outcome = write(register) { state, now in
      let outcome = state.write(register, UInt32(truncatingIfNeeded: value), now: now)
      if outcome == .refused { state.logError(LocalAPICState.ErrorBit.illegalRegister) }
      return outcome
    }
    follow(outcome)
  }

  private func readX2APIC(_ register: UInt32) -> UInt64? {
    read(register) { state, now in
      guard state.isX2APIC, register != LocalAPICRegister.endOfInterrupt,
        !LocalAPICRegister.isAbsentInX2APIC(register),
        let value = state.read(register, now: now)
      else { return nil }
      return register == LocalAPICRegister.command ? state.command : UInt64(value)
    }
  }

  private func writeX2APIC(_ register: UInt32, _ value: UInt64) -> Bool {
    let outcome = write(register) { state, now in
      state.isX2APIC ? state.writeX2APIC(register, value, now: now) : .refused
    }
    follow(outcome)
    return outcome != .refused
  }

  /// Reads with the time where the register needs it.
  private func read<Result: Sendable>(
    _ register: UInt32, _ body: (inout LocalAPICState, UInt64) -> Result
  ) -> Result {
    if register == LocalAPICRegister.currentCount {
      return changeTimed(byOwnProcessor: true, body)
    }
    return change(byOwnProcessor: true) { body(&$0, 0) }
  }

  /// Writes with the time where the register needs it.
  private func write(
    _ register: UInt32, _ body: (inout LocalAPICState, UInt64) -> LocalAPICOutcome
  ) -> LocalAPICOutcome {
    switch register {
    case LocalAPICRegister.spurious, LocalAPICRegister.timerEntry, LocalAPICRegister.initialCount,
      LocalAPICRegister.divideConfiguration:
      return changeTimed(byOwnProcessor: true, body)
    default: return change(byOwnProcessor: true) { body(&$0, 0) }
    }
  }

  /// Does what a write asked for, now that the lock is free.
  private func follow(_ outcome: LocalAPICOutcome) {
    switch outcome {
    case .done, .refused: return
    case .endOfInterrupt(let vector): bus.broadcastEndOfInterrupt(vector)
    case .send(let message): bus.send(message, from: self)
    }
  }
}

/// What a saved state must hold to be one.
extension LocalAPICState {
  /// Why this can't be a state of a local APIC that is now in the state `own`; nil where it can.
  /// - Parameter addressMask: bits of the physical address that the processor has.
  func problem(for own: LocalAPICState, addressMask: UInt64) -> String? {
    problem(identifier: own.identifier, isBootstrap: own.isBootstrap, addressMask: addressMask)
  }

  /// Why this can't be the state of the local APIC of processor `identifier`; nil where it can.
  func problem(
    identifier own: UInt32, isBootstrap bootstrap: Bool, addressMask: UInt64 = 0xF_FFFF_FFFF_F000
  ) -> String? {
    guard identifier == own, isBootstrap == bootstrap else {
      return "it is of processor \(identifier), not \(own)"
    }
    guard hasPossibleBase(addressMask) else { return "its base register is impossible" }
    guard hasPossibleVectors else { return "it holds vectors that no interrupt has" }
    guard hasPossibleRegisters else { return "a register has bits that it lacks" }
    guard hasPossibleTimer else { return "its timer runs in a mode that it is not in" }
    guard startupVector == nil || waitsForStartup, !isBootstrap || !waitsForStartup else {
      return "a start-up message waits for a processor that runs"
    }
    return nil
  }

  private func hasPossibleBase(_ addressMask: UInt64) -> Bool {
    let bits = LocalAPICBase.enable | LocalAPICBase.x2APIC | LocalAPICBase.bootstrap
    return base & ~(addressMask | bits) == 0 && (isEnabled || !isX2APIC)
      && (base & LocalAPICBase.bootstrap != 0) == isBootstrap
  }

  private var hasPossibleVectors: Bool {
    requests.isPossible && inService.isPossible && triggerModes.isPossible
      && (isEnabled || requests.isEmpty && inService.isEmpty)
  }

  private var hasPossibleRegisters: Bool {
    let destination: UInt64 = isX2APIC ? 0xFFFF_FFFF : 0xFF00_0000
    return destinationFormat <= 0xF && spurious & ~Spurious.writable == 0
      && (errorStatus | loggedErrors) & ~ErrorBit.all == 0
      && command & ~(destination << 32 | 0xC_CFFF) == 0
      && UInt32(divideConfiguration) & ~Self.divideWritable == 0 && table.isPossible
  }

  private var hasPossibleTimer: Bool {
    guard table.timer.timerMode == .deadline else {
      return tscDeadline == 0 && (expiry == nil || initialCount != 0)
    }
    return expiry == nil && initialCount == 0
  }
}

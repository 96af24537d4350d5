/// The state as KVM keeps it: the registers as they lie in memory (`struct kvm_lapic_state`), xAPIC
/// layout in both modes, what remains of the timer's count in the current count register.
extension LocalAPICState {
  /// Bytes of such a page.
  static let pageBytes = 1024

  /// What a page doesn't say.
  struct Surroundings {
    var identifier: UInt32
    var isBootstrap: Bool
    /// IA32_APIC_BASE.
    var base: UInt64
    var tscDeadline: UInt64
    var nmiPending: Bool
    var waitsForStartup: Bool
  }

  /// Reads a page.
  /// - Parameter now: the machine's clock, nanoseconds: from when the timer goes on.
  init(page: [UInt8], _ around: Surroundings, now: UInt64) {
    self.init(identifier: around.identifier, isBootstrap: around.isBootstrap)
    func register(_ number: UInt32) -> UInt32 {
      let at = Int(number) * 16
      guard at + 4 <= page.count else { return 0 }
      return (0..<4).reduce(0) { $0 | UInt32(page[at + $1]) << UInt32($1 * 8) }
    }
    base = around.base
    taskPriority = UInt8(truncatingIfNeeded: register(LocalAPICRegister.taskPriority))
    logicalDestination = UInt8(
      truncatingIfNeeded: register(LocalAPICRegister.logicalDestination) >> 24)
    destinationFormat = UInt8(
      truncatingIfNeeded: register(LocalAPICRegister.destinationFormat) >> 28)
    if isX2APIC { (logicalDestination, destinationFormat) = (0, 0xF) }
    spurious = register(LocalAPICRegister.spurious) & Spurious.writable
    errorStatus = UInt8(truncatingIfNeeded: register(LocalAPICRegister.errorStatus)) & ErrorBit.all
    let high: UInt64 = isX2APIC ? 0xFFFF_FFFF : 0xFF00_0000
    command =
      UInt64(register(LocalAPICRegister.command) & 0xC_CFFF)
      | (UInt64(register(LocalAPICRegister.commandHigh)) & high) << 32
    for vector in LocalAPICVectorSet.firstVector...UInt8.max {
      let (word, bit) = (UInt32(vector >> 5), UInt32(1) << UInt32(vector & 31))
      inService[vector] = register(LocalAPICRegister.inService.lowerBound + word) & bit != 0
      triggerModes[vector] = register(LocalAPICRegister.triggerModes.lowerBound + word) & bit != 0
      requests[vector] = register(LocalAPICRegister.requests.lowerBound + word) & bit != 0
    }
    for number in LocalAPICRegister.entries {
      table[number].rawValue = register(number) & LocalAPICVectorTable.writable(number)
    }
    divideConfiguration = UInt8(
      truncatingIfNeeded: register(LocalAPICRegister.divideConfiguration) & Self.divideWritable)
    if table.timer.timerMode == .deadline {
      tscDeadline = around.tscDeadline
    } else {
      initialCount = register(LocalAPICRegister.initialCount)
      resumeCount(register(LocalAPICRegister.currentCount), now)
    }
    nmiPending = around.nmiPending
    waitsForStartup = around.waitsForStartup
  }

  /// Writes a page.
  /// - Parameter now: the machine's clock, nanoseconds.
  func page(now: UInt64) -> [UInt8] {
    var page = [UInt8](repeating: 0, count: Self.pageBytes)
    func set(_ number: UInt32, _ value: UInt32) {
      for index in 0..<4 {
        page[Int(number) * 16 + index] = UInt8(truncatingIfNeeded: value >> UInt32(index * 8))
      }
    }
    let kept: [UInt32] =
      [
        LocalAPICRegister.version, LocalAPICRegister.taskPriority,
        LocalAPICRegister.processorPriority, LocalAPICRegister.destinationFormat,
        LocalAPICRegister.spurious, LocalAPICRegister.errorStatus, LocalAPICRegister.command,
        LocalAPICRegister.commandHigh, LocalAPICRegister.initialCount,
        LocalAPICRegister.currentCount, LocalAPICRegister.divideConfiguration,
        LocalAPICRegister.logicalDestination,
      ] + Array(LocalAPICRegister.inService) + Array(LocalAPICRegister.triggerModes)
      + Array(LocalAPICRegister.requests) + Array(LocalAPICRegister.entries)
    for number in kept { set(number, read(number, now: now) ?? 0) }
    set(LocalAPICRegister.identifier, identifier << 24)
    return page
  }
}

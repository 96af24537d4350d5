/// One entry of the local vector table (Intel SDM vol. 3, 11.5.1).
struct LocalAPICVectorEntry: Codable, Equatable, Sendable {
  /// As the guest reads it; masked at reset. The delivery status bit reads 0: delivery is immediate.
  var rawValue: UInt32 = LocalAPICVectorEntry.mask

  static let deliveryStatus: UInt32 = 1 << 12
  private static let remoteIRR: UInt32 = 1 << 14
  private static let level: UInt32 = 1 << 15
  private static let mask: UInt32 = 1 << 16

  var vector: UInt8 { UInt8(truncatingIfNeeded: rawValue) }

  /// Nil for the reserved value.
  var mode: APICBusMessage.DeliveryMode? {
    APICBusMessage.DeliveryMode(rawValue: UInt8(truncatingIfNeeded: rawValue >> 8 & 7))
  }

  var isMasked: Bool {
    get { rawValue & Self.mask != 0 }
    set {
      if newValue { rawValue |= Self.mask } else { rawValue &= ~Self.mask }
    }
  }

  /// LINT0 alone: a fixed interrupt that stays requested while the pin is asserted.
  var isLevelTriggered: Bool { rawValue & Self.level != 0 && mode == .fixed }

  /// LINT0 alone: a level-triggered interrupt was taken and waits for its EOI.
  var remoteIRR: Bool {
    get { rawValue & Self.remoteIRR != 0 }
    set {
      if newValue { rawValue |= Self.remoteIRR } else { rawValue &= ~Self.remoteIRR }
    }
  }

  /// The timer's mode field.
  var timerMode: LocalAPICTimerMode {
    switch rawValue >> 17 & 3 {
    case 1: .periodic
    case 2: .deadline
    default: .oneShot
    }
  }
}

/// What the timer counts (Intel SDM vol. 3, 11.5.4). The reserved encoding acts as one-shot.
enum LocalAPICTimerMode: Sendable {
  case oneShot
  case periodic
  /// Until the time-stamp counter reaches IA32_TSC_DEADLINE.
  case deadline
}

/// The local vector table: six entries, as Pentium 4 and later have them without CMCI.
struct LocalAPICVectorTable: Codable, Equatable, Sendable {
  var timer = LocalAPICVectorEntry()
  /// The thermal sensor and the performance counters keep what is written; nothing drives them.
  var thermal = LocalAPICVectorEntry()
  var performance = LocalAPICVectorEntry()
  var lint0 = LocalAPICVectorEntry()
  var lint1 = LocalAPICVectorEntry()
  var error = LocalAPICVectorEntry()

  /// What "max LVT entry" of the version register says: the number of entries minus one.
  static let lastEntry: UInt32 = 5

  /// Bits that a guest can write in the entry at `register` (0x32 to 0x37).
  static func writable(_ register: UInt32) -> UInt32 {
    switch register {
    case LocalAPICRegister.timerEntry: 0x7_00FF
    case LocalAPICRegister.thermalEntry, LocalAPICRegister.performanceEntry: 0x1_07FF
    case LocalAPICRegister.lint0Entry, LocalAPICRegister.lint1Entry: 0x1_A7FF
    default: 0x1_00FF
    }
  }

  /// The entry at `register` (0x32 to 0x37).
  subscript(register: UInt32) -> LocalAPICVectorEntry {
    get {
      switch register {
      case LocalAPICRegister.timerEntry: timer
      case LocalAPICRegister.thermalEntry: thermal
      case LocalAPICRegister.performanceEntry: performance
      case LocalAPICRegister.lint0Entry: lint0
      case LocalAPICRegister.lint1Entry: lint1
      default: error
      }
    }
    set {
      switch register {
      case LocalAPICRegister.timerEntry: timer = newValue
      case LocalAPICRegister.thermalEntry: thermal = newValue
      case LocalAPICRegister.performanceEntry: performance = newValue
      case LocalAPICRegister.lint0Entry: lint0 = newValue
      case LocalAPICRegister.lint1Entry: lint1 = newValue
      default: error = newValue
      }
    }
  }

  /// What disabling the local APIC by software does.
  mutating func maskAll() {
    for register in LocalAPICRegister.entries { self[register].isMasked = true }
  }

  /// Whether only bits that exist are set.
  var isPossible: Bool {
    LocalAPICRegister.entries.allSatisfy { register in
      var rest = self[register]
      if register == LocalAPICRegister.lint0Entry && rest.isLevelTriggered {
        rest.remoteIRR = false
      }
      return rest.rawValue & ~Self.writable(register) == 0
    }
  }
}

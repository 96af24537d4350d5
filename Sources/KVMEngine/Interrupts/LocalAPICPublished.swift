/// What a local APIC lets everyone read without its lock: its address on the APIC bus, its
/// priorities, and whether the 8259 pair may interrupt. One word, written under the lock.
struct LocalAPICPublished: Equatable, Sendable {
  let rawValue: UInt64

  private static let flat: UInt64 = 1 << 8
  private static let enabled: UInt64 = 1 << 9
  private static let x2APIC: UInt64 = 1 << 10
  private static let softwareEnabled: UInt64 = 1 << 11
  private static let external: UInt64 = 1 << 12

  init(rawValue: UInt64) { self.rawValue = rawValue }

  init(_ state: LocalAPICState) {
    var word = UInt64(state.logicalDestination)
    word |= UInt64(state.arbitrationPriority) << 16 | UInt64(state.taskPriority) << 24
    if state.destinationFormat != LocalAPICState.clusterModel { word |= Self.flat }
    if state.isEnabled { word |= Self.enabled }
    if state.isX2APIC { word |= Self.x2APIC }
    if state.isSoftwareEnabled { word |= Self.softwareEnabled }
    if state.allowsExternalInterrupt { word |= Self.external }
    rawValue = word
  }

  var isSoftwareEnabled: Bool {
    rawValue & (Self.enabled | Self.softwareEnabled) == Self.enabled | Self.softwareEnabled
  }
  var arbitrationPriority: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 16) }
  var taskPriority: UInt8 { UInt8(truncatingIfNeeded: rawValue >> 24) }
  var allowsExternalInterrupt: Bool { rawValue & Self.external != 0 }

  /// Whether a physical or logical `destination` means the local APIC `identifier` (Intel SDM
  /// vol. 3, 11.6.2 and 11.12.10).
  func matches(_ destination: APICBusMessage.Destination, identifier: UInt32) -> Bool {
    guard rawValue & Self.enabled != 0 else { return false }
    switch destination {
    case .physical(let value):
      return value == (rawValue & Self.x2APIC != 0 ? identifier : identifier & 0xFF)
    case .logical(let value):
      if rawValue & Self.x2APIC != 0 {
        return value >> 16 == identifier >> 4 && value & (1 << (identifier & 15)) != 0
      }
      return matchesLogical(value)
    case .everyone, .everyoneElse, .sender: return false
    }
  }

  private func matchesLogical(_ value: UInt32) -> Bool {
    let own = UInt32(truncatingIfNeeded: rawValue & 0xFF)
    guard value <= 0xFF else { return false }
    if rawValue & Self.flat != 0 { return value & own != 0 }
    return value >> 4 == own >> 4 && value & own & 0xF != 0
  }
}

/// What a local APIC has for its processor.
public struct LocalAPICEvents: OptionSet, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// An interrupt above the processor priority waits in the IRR: ``LocalAPIC/nextInterrupt()``.
  public static let interrupt = LocalAPICEvents(rawValue: 1)
  /// LINT0 is asserted and carries the 8259 pair's INTR: its acknowledge cycle gives the vector.
  public static let external = LocalAPICEvents(rawValue: 2)
  /// ``LocalAPIC/takeNMI()``.
  public static let nonMaskable = LocalAPICEvents(rawValue: 4)
  /// ``LocalAPIC/takeInit()``.
  public static let initialize = LocalAPICEvents(rawValue: 8)
  /// ``LocalAPIC/takeStartup()``.
  public static let startup = LocalAPICEvents(rawValue: 16)
  /// What RFLAGS.IF masks.
  public static let maskable: LocalAPICEvents = [.interrupt, .external]
}

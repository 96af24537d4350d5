/// What travels between local APICs and from the I/O APIC to them (Intel SDM vol. 3, 11.6 and
/// 11.11).
public struct APICBusMessage: Equatable, Sendable {
  /// The delivery mode field of ICR, the local vector table and message data; 3 is reserved.
  public enum DeliveryMode: UInt8, Sendable {
    case fixed = 0
    case lowestPriority = 1
    case systemManagement = 2
    case nonMaskable = 4
    case initialize = 5
    case startup = 6
    case external = 7
  }

  /// Whom a message is for.
  public enum Destination: Equatable, Sendable {
    /// A local APIC ID.
    case physical(UInt32)
    /// A logical destination: 8 bits by LDR and DFR, 32 bits in x2APIC mode.
    case logical(UInt32)
    case everyone
    case everyoneElse
    /// The sender alone.
    case sender
  }

  public var mode: DeliveryMode
  /// The interrupt's vector; for a start-up the page number of the code.
  public var vector: UInt8
  /// Whether the sender waits for an EOI.
  public var isLevelTriggered: Bool
  public var destination: Destination
  /// Whether only one of several destinations gets it, the one of lowest priority.
  public var isArbitrated: Bool

  public init(
    mode: DeliveryMode, vector: UInt8, isLevelTriggered: Bool = false, destination: Destination,
    isArbitrated: Bool = false
  ) {
    self.mode = mode
    self.vector = vector
    self.isLevelTriggered = isLevelTriggered
    self.destination = destination
    self.isArbitrated = isArbitrated || mode == .lowestPriority
  }

  /// Fields that ICR and message data share.
  private enum Field {
    static let logical: UInt32 = 1 << 11
    static let assert: UInt32 = 1 << 14
    static let level: UInt32 = 1 << 15
  }

  /// What a write of ICR sends (11.6.1). IPIs are edges whatever the trigger bit says, as on
  /// Pentium 4 and later; nil for INIT level de-assert, SMI and the modes that ICR lacks.
  init?(command: UInt64, isX2APIC: Bool) {
    let low = UInt32(truncatingIfNeeded: command)
    guard let mode = DeliveryMode(rawValue: UInt8(truncatingIfNeeded: low >> 8 & 7)),
      mode != .external, mode != .systemManagement
    else { return nil }
    let isDeassert = low & Field.level != 0 && low & Field.assert == 0
    guard mode != .initialize || !isDeassert else { return nil }
    let high = UInt32(truncatingIfNeeded: command >> 32)
    let destination: Destination
    switch low >> 18 & 3 {
    case 1: destination = .sender
    case 2: destination = .everyone
    case 3: destination = .everyoneElse
    default:
      destination = Self.destination(
        isX2APIC ? high : high >> 24, broadcast: isX2APIC ? .max : 0xFF,
        isLogical: low & Field.logical != 0)
    }
    self.init(
      mode: mode, vector: UInt8(truncatingIfNeeded: low), destination: destination)
  }

  /// What a message-signalled interrupt or the I/O APIC sends (11.11). The destination mode bit
  /// counts without the redirection hint too, as the I/O APIC uses it; the hint asks for one
  /// destination of several. Nil for a level de-assert, SMI, ExtINT, and addresses outside
  /// 0xFEExxxxx.
  init?(_ message: MessageSignalledInterrupt) {
    guard message.address >> 20 == LocalAPICBase.address >> 20,
      let mode = DeliveryMode(rawValue: UInt8(truncatingIfNeeded: message.data >> 8 & 7)),
      mode != .external, mode != .systemManagement, mode != .startup
    else { return nil }
    let isLevel = message.isLevelTriggered
    guard !isLevel || message.data & Field.assert != 0 else { return nil }
    let isInterrupt = mode == .fixed || mode == .lowestPriority
    self.init(
      mode: mode, vector: message.vector, isLevelTriggered: isLevel && isInterrupt,
      destination: Self.destination(
        UInt32(message.destination), broadcast: 0xFF, isLogical: message.isLogical),
      isArbitrated: isInterrupt && message.address & 8 != 0)
  }

  private static func destination(
    _ value: UInt32, broadcast: UInt32, isLogical: Bool
  ) -> Destination {
    if value == broadcast { return .everyone }
    return isLogical ? .logical(value) : .physical(value)
  }
}

/// One 64-bit entry of the I/O APIC's redirection table (82093AA datasheet, 3.2.4).
struct RedirectionEntry: Codable, Equatable, Sendable {
  /// The entry as the guest reads it; masked at reset.
  private(set) var rawValue: UInt64 = RedirectionEntry.mask

  private static let logical: UInt64 = 1 << 11
  private static let deliveryStatus: UInt64 = 1 << 12
  private static let remoteIRR: UInt64 = 1 << 14
  private static let level: UInt64 = 1 << 15
  private static let mask: UInt64 = 1 << 16
  /// Bits that a guest can write in the low half: all of 0 to 16 but the two status bits.
  private static let writableLow: UInt64 = 0x1_FFFF & ~(deliveryStatus | remoteIRR)
  private static let writableHigh: UInt64 = 0xFF00_0000_0000_0000

  /// Values of the delivery mode field that matter here.
  private enum DeliveryMode {
    static let lowestPriority: UInt32 = 1
    static let external: UInt32 = 7
  }

  var vector: UInt8 { UInt8(truncatingIfNeeded: rawValue) }
  var isMasked: Bool { rawValue & Self.mask != 0 }

  /// Fixed and lowest-priority interrupts of a level-triggered pin stay in service until an EOI;
  /// SMI, NMI, INIT and ExtINT are edges whatever the trigger bit says.
  var waitsForEOI: Bool {
    rawValue & Self.level != 0 && deliveryMode <= DeliveryMode.lowestPriority
  }

  var remoteIRR: Bool {
    get { rawValue & Self.remoteIRR != 0 }
    set {
      if newValue { rawValue |= Self.remoteIRR } else { rawValue &= ~Self.remoteIRR }
    }
  }

  /// Whether only bits that exist are set.
  var isPossible: Bool {
    rawValue & ~(Self.writableLow | Self.writableHigh | Self.remoteIRR) == 0
  }

  private var deliveryMode: UInt32 { UInt32(truncatingIfNeeded: rawValue >> 8 & 7) }

  /// What the entry sends, masked or not; nil in ExtINT mode.
  var message: MessageSignalledInterrupt? {
    guard deliveryMode != DeliveryMode.external else { return nil }
    let mode: UInt64 = rawValue & Self.logical != 0 ? 1 << 2 : 0
    let trigger: UInt32 = waitsForEOI ? 0xC000 : 0
    return MessageSignalledInterrupt(
      address: 0xFEE0_0000 | (rawValue >> 56) << 12 | mode,
      data: UInt32(vector) | deliveryMode << 8 | trigger)
  }

  /// The guest writes bits 0 to 31. An entry that becomes edge-triggered forgets its remote IRR,
  /// which is how drivers without an EOI register end a service.
  mutating func setLow(_ value: UInt32) {
    rawValue = (rawValue & ~Self.writableLow) | (UInt64(value) & Self.writableLow)
    if rawValue & Self.level == 0 { remoteIRR = false }
  }

  /// The guest writes bits 32 to 63.
  mutating func setHigh(_ value: UInt32) {
    rawValue = (rawValue & ~Self.writableHigh) | (UInt64(value) << 32 & Self.writableHigh)
  }
}

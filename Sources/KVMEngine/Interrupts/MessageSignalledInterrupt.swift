/// An interrupt as a memory write to the local APICs (Intel SDM vol. 3, 11.11 "Message Signalled
/// Interrupts").
public struct MessageSignalledInterrupt: Codable, Equatable, Sendable, Hashable {
  /// 0xFEE0_0000 with the destination in bits 12 to 19, the logical mode in bit 2.
  public var address: UInt64
  /// Vector in bits 0 to 7, delivery mode in 8 to 10, level assert in 14, level trigger in 15.
  public var data: UInt32

  public init(address: UInt64, data: UInt32) {
    self.address = address
    self.data = data
  }

  /// The vector, 0 to 255.
  public var vector: UInt8 { UInt8(truncatingIfNeeded: data) }
  /// The local APIC ID or logical destination, 0 to 255.
  public var destination: UInt8 { UInt8(truncatingIfNeeded: address >> 12) }
  /// Whether the destination is a logical one.
  public var isLogical: Bool { address & 4 != 0 }
  /// Whether the sender waits for an EOI.
  public var isLevelTriggered: Bool { data & 0x8000 != 0 }
}

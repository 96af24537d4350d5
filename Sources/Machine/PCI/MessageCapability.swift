import KVMEngine

/// The capability by which a guest has a function write a message to the local APICs instead of
/// driving its pin (PCI Local Bus Specification 3.0, 6.8.1): one message, a 64-bit address, no
/// masking.
enum MessageCapability {
  /// What a guest made of it.
  enum Setting: Equatable, Sendable {
    /// The pin counts.
    case off
    /// The pin is still. No message where it would go nowhere.
    case on(MessageSignalledInterrupt?)
  }

  /// Offsets from the capability's start.
  private enum Offset {
    static let control = 2
    static let address = 4
    static let data = 12
  }
  private static let identifier: UInt8 = 0x05
  private static let enable: UInt16 = 1
  private static let wideAddress: UInt8 = 0x80
  /// Addresses that the local APICs take messages at (Intel SDM vol. 3, 11.11.1).
  private static let messages: UInt64 = 0xFEE0_0000
  private static let messageSpan: UInt64 = 0x0010_0000

  /// The capability byte by byte: what it is after reset, and which bits a guest can write.
  static let bytes: [(value: UInt8, writable: UInt8)] =
    [(identifier, 0), (0, 0), (wideAddress, 0x71), (0, 0), (0, 0xFC)]
    + [(UInt8, UInt8)](repeating: (0, 0xFF), count: 9)

  /// What `space` says, whose capability is at `offset`.
  static func setting(_ space: PCIConfigurationSpace, at offset: Int) -> Setting {
    guard space.word(offset + Offset.control) & enable != 0 else { return .off }
    let address =
      UInt64(space.dword(offset + Offset.address))
      | UInt64(space.dword(offset + Offset.address + 4)) << 32
    // A message is a write of the function to memory, which needs leave.
    guard space.word(PCIRegister.command) & PCICommand.busMaster != 0,
      address &- messages < messageSpan
    else { return .on(nil) }
    return .on(
      MessageSignalledInterrupt(
        address: address, data: UInt32(space.word(offset + Offset.data))))
  }
}

import KVMEngine

/// The 256 bytes of one PCI function's configuration space (PCI Local Bus Specification 3.0,
/// chapter 6), little-endian.
public struct PCIConfigurationSpace: Codable, Equatable, Sendable {
  /// Bytes of the space.
  public static let size = 256

  /// The bytes, always ``size`` of them.
  public private(set) var bytes = [UInt8](repeating: 0, count: PCIConfigurationSpace.size)

  /// All zeroes.
  public init() {}

  /// Nil where there are not exactly ``size`` bytes.
  init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.size else { return nil }
    self.bytes = bytes
  }

  /// The byte at `offset`; all ones beyond the space.
  public subscript(_ offset: Int) -> UInt8 {
    get { bytes.indices.contains(offset) ? bytes[offset] : 0xFF }
    set { if bytes.indices.contains(offset) { bytes[offset] = newValue } }
  }

  /// The word at `offset`.
  public func word(_ offset: Int) -> UInt16 {
    UInt16(self[offset]) | UInt16(self[offset &+ 1]) << 8
  }

  /// The doubleword at `offset`.
  public func dword(_ offset: Int) -> UInt32 {
    UInt32(word(offset)) | UInt32(word(offset &+ 2)) << 16
  }

  mutating func set(word value: UInt16, at offset: Int) {
    self[offset] = UInt8(truncatingIfNeeded: value)
    self[offset &+ 1] = UInt8(truncatingIfNeeded: value >> 8)
  }

  mutating func set(dword value: UInt32, at offset: Int) {
    set(word: UInt16(truncatingIfNeeded: value), at: offset)
    set(word: UInt16(truncatingIfNeeded: value >> 16), at: offset &+ 2)
  }
}

/// Offsets of the header that every function has (6.1), and of type 0's (6.1, figure 6-1).
enum PCIRegister {
  static let vendor = 0x00
  static let device = 0x02
  static let command = 0x04
  static let status = 0x06
  static let revision = 0x08
  static let classCode = 0x09
  static let cacheLineSize = 0x0C
  static let latencyTimer = 0x0D
  static let headerType = 0x0E
  static let firstBase = 0x10
  static let subsystemVendor = 0x2C
  static let subsystem = 0x2E
  static let romBase = 0x30
  static let capabilities = 0x34
  static let interruptLine = 0x3C
  static let interruptPin = 0x3D
}

/// Bits of the command register (6.2.2).
enum PCICommand {
  static let ports: UInt16 = 1 << 0
  static let memory: UInt16 = 1 << 1
  static let busMaster: UInt16 = 1 << 2
  static let parityResponse: UInt16 = 1 << 6
  static let systemError: UInt16 = 1 << 8
  static let interruptDisable: UInt16 = 1 << 10
  /// What a guest can write in most functions.
  static let writable = ports | memory | busMaster | parityResponse | systemError | interruptDisable
}

/// Bits of the status register (6.2.3).
enum PCIStatus {
  static let interrupt: UInt16 = 1 << 3
  static let hasCapabilities: UInt16 = 1 << 4
  static let fastBackToBack: UInt16 = 1 << 7
  static let mediumDecode: UInt16 = 1 << 9
  /// Errors, which a one clears.
  static let errors: UInt16 = 0xF900
}

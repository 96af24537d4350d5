/// Bits of the ATA status register (ATA/ATAPI-6, T13/1410D, 7.15).
enum ATAStatus {
  static let busy: UInt8 = 0x80
  static let ready: UInt8 = 0x40
  static let fault: UInt8 = 0x20
  /// Seek complete, in older standards; drivers of that age wait for it.
  static let seekComplete: UInt8 = 0x10
  static let dataRequest: UInt8 = 0x08
  static let error: UInt8 = 0x01
}

/// Bits of the ATA error register (ATA/ATAPI-6, 7.10).
enum ATAError {
  static let uncorrectable: UInt8 = 0x40
  /// Write-protected: the same bit as ``uncorrectable``, after a command that writes.
  static let writeProtected: UInt8 = 0x40
  static let notFound: UInt8 = 0x10
  static let aborted: UInt8 = 0x04
  /// What a device that passed its diagnostics leaves.
  static let passed: UInt8 = 0x01
}

/// Bits of the device register (ATA/ATAPI-6, 7.7).
enum ATADevice {
  static let lba: UInt8 = 0x40
  static let second: UInt8 = 0x10
  static let headMask: UInt8 = 0x0F
  /// Bits 5 and 7, which read as ones.
  static let obsolete: UInt8 = 0xA0
}

/// Bits of the device control register (ATA/ATAPI-6, 7.8).
enum ATAControl {
  static let noInterrupt: UInt8 = 0x02
  static let softReset: UInt8 = 0x04
  /// Shows the previous contents of the registers that LBA48 writes twice.
  static let highOrder: UInt8 = 0x80
}

/// Bits of the sector count register as the interrupt reason of PACKET (ATA/ATAPI-6, 8.21).
enum PacketReason {
  static let command: UInt8 = 0x01
  static let toHost: UInt8 = 0x02
}

/// A register that LBA48 commands write twice (ATA/ATAPI-6, 6.20).
struct ATADoubleRegister: Codable, Equatable, Sendable {
  var low: UInt8 = 0
  /// What ``low`` was before it was last written.
  var high: UInt8 = 0

  init(_ low: UInt8 = 0) { self.low = low }

  mutating func write(_ value: UInt8) {
    high = low
    low = value
  }

  func read(high wanted: Bool) -> UInt8 { wanted ? high : low }
}

/// The command block registers of one device.
struct ATATaskFile: Codable, Equatable, Sendable {
  var features = ATADoubleRegister()
  var count = ATADoubleRegister()
  var lbaLow = ATADoubleRegister()
  var lbaMid = ATADoubleRegister()
  var lbaHigh = ATADoubleRegister()
  var device: UInt8 = 0
  var error: UInt8 = 0
  var status: UInt8 = 0

  /// Takes a write of the host to register `offset` of the command block, 1 to 6.
  mutating func write(_ offset: UInt16, _ value: UInt8) {
    switch offset {
    case 1: features.write(value)
    case 2: count.write(value)
    case 3: lbaLow.write(value)
    case 4: lbaMid.write(value)
    case 5: lbaHigh.write(value)
    case 6: device = value
    default: break
    }
  }

  /// What register `offset` of the command block reads as, 1 to 7.
  func read(_ offset: UInt16, highOrder: Bool) -> UInt8 {
    switch offset {
    case 1: error
    case 2: count.read(high: highOrder)
    case 3: lbaLow.read(high: highOrder)
    case 4: lbaMid.read(high: highOrder)
    case 5: lbaHigh.read(high: highOrder)
    case 6: device | ATADevice.obsolete
    default: status
    }
  }

  var usesLBA: Bool { device & ATADevice.lba != 0 }

  /// The address of a 48-bit command.
  var lba48: UInt64 {
    let low = UInt64(lbaLow.low) | UInt64(lbaMid.low) << 8 | UInt64(lbaHigh.low) << 16
    let high = UInt64(lbaLow.high) | UInt64(lbaMid.high) << 8 | UInt64(lbaHigh.high) << 16
    return low | high << 24
  }

  /// The address of a 28-bit command.
  var lba28: UInt64 {
    UInt64(lbaLow.low) | UInt64(lbaMid.low) << 8 | UInt64(lbaHigh.low) << 16
      | UInt64(device & ATADevice.headMask) << 24
  }

  /// The cylinder number, or a packet's byte count limit.
  var word: UInt16 {
    get { UInt16(lbaMid.low) | UInt16(lbaHigh.low) << 8 }
    set {
      lbaMid.low = UInt8(truncatingIfNeeded: newValue)
      lbaHigh.low = UInt8(truncatingIfNeeded: newValue >> 8)
    }
  }

  mutating func setLBA48(_ value: UInt64) {
    lbaLow.low = UInt8(truncatingIfNeeded: value)
    lbaMid.low = UInt8(truncatingIfNeeded: value >> 8)
    lbaHigh.low = UInt8(truncatingIfNeeded: value >> 16)
    lbaLow.high = UInt8(truncatingIfNeeded: value >> 24)
    lbaMid.high = UInt8(truncatingIfNeeded: value >> 32)
    lbaHigh.high = UInt8(truncatingIfNeeded: value >> 40)
  }

  mutating func setLBA28(_ value: UInt64) {
    lbaLow.low = UInt8(truncatingIfNeeded: value)
    lbaMid.low = UInt8(truncatingIfNeeded: value >> 8)
    lbaHigh.low = UInt8(truncatingIfNeeded: value >> 16)
    device = device & ~ATADevice.headMask | UInt8(truncatingIfNeeded: value >> 24) & 0x0F
  }

  /// What a reset, a diagnostic or DEVICE RESET leaves to tell disks from packet devices (ATA/ATAPI-6,
  /// 9.12).
  mutating func setSignature(packet: Bool) {
    count = ATADoubleRegister(1)
    lbaLow = ATADoubleRegister(1)
    lbaMid = ATADoubleRegister(packet ? 0x14 : 0)
    lbaHigh = ATADoubleRegister(packet ? 0xEB : 0)
  }
}

/// Something that both devices of a channel have.
struct Pair<Element> {
  var first: Element
  var second: Element

  /// Element 0 or, for any other index, 1.
  subscript(_ index: Int) -> Element {
    get { index == 0 ? first : second }
    _modify {
      if index == 0 { yield &first } else { yield &second }
    }
  }
}

extension Pair: Sendable where Element: Sendable {}
extension Pair: Equatable where Element: Equatable {}
extension Pair: Codable where Element: Codable {}

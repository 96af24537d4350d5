/// The sequencer: which planes are written, how the host sees them, and which fonts are shown
/// (IBM VGA Technical Reference, section 2, "Sequencer Registers"; ports 3C4h and 3C5h).
///
/// Not modelled: the synchronous and asynchronous resets, and loading the shift registers on every
/// second or fourth character clock; no mode of the VGA BIOS uses either to show a picture.
struct Sequencer: Codable, Equatable, Sendable {
  static let count = 5
  private static let writable: [UInt8] = [0x03, 0x3D, 0x0F, 0x3F, 0x0E]

  var index: UInt8 = 0
  private(set) var registers = [UInt8](repeating: 0, count: count)

  var isWellFormed: Bool { registers.count == Self.count }

  /// Register `number`; one that does not exist reads as zero.
  subscript(number: Int) -> UInt8 {
    registers.indices.contains(number) ? registers[number] : 0
  }

  /// Sets register `number`, as far as its bits exist. Returns the bits that changed.
  @discardableResult
  mutating func set(_ number: Int, _ value: UInt8) -> UInt8 {
    guard registers.indices.contains(number) else { return 0 }
    let before = registers[number]
    registers[number] = value & Self.writable[number]
    return before ^ registers[number]
  }

  /// Clocking mode, bit 0: characters are 8 dots wide, not 9.
  var eightDots: Bool { self[1] & 0x01 != 0 }
  /// Clocking mode, bit 5: the screen is off.
  var screenOff: Bool { self[1] & 0x20 != 0 }
  /// Map mask: planes that host writes reach, bit n for plane n.
  var mapMask: UInt8 { self[2] }
  /// Memory mode, bit 2 clear: even host addresses write planes 0 and 2, odd ones 1 and 3.
  var oddEven: Bool { self[4] & 0x04 == 0 }
  /// Memory mode, bit 3: the low two address bits choose the plane.
  var chain4: Bool { self[4] & 0x08 != 0 }

  /// Where in plane 2 the font lies of characters whose attribute bit 3 is set (map A).
  var fontA: Int { Self.fontOffset(Int(self[3] >> 2 & 3) | Int(self[3] >> 3 & 4)) }
  /// Where in plane 2 the font lies of characters whose attribute bit 3 is clear (map B).
  var fontB: Int { Self.fontOffset(Int(self[3] & 3) | Int(self[3] >> 2 & 4)) }

  /// Offset in plane 2 of font map `map`, 0 to 7: the first four lie at multiples of 16 KiB, the
  /// others 8 KiB above them.
  static func fontOffset(_ map: Int) -> Int { (map & 3) * 0x4000 + (map >> 2 & 1) * 0x2000 }
}

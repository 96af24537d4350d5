/// The attribute controller: from pixels and attributes to colours of the DAC (IBM VGA Technical
/// Reference, section 2, "Attribute Controller Registers"; ports 3C0h and 3C1h).
///
/// Not modelled: the overscan border, and blinking in graphics modes.
struct AttributeController: Codable, Equatable, Sendable {
  static let count = 21

  /// Index in bits 4 to 0; bit 5 (palette address source) lets the screen show.
  var index: UInt8 = 0
  /// The next write of port 3C0h is data, not an index.
  var expectsData = false
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
    registers[number] = value & Self.writable(number)
    return before ^ registers[number]
  }

  private static func writable(_ number: Int) -> UInt8 {
    switch number {
    case 0x00...0x0F: 0x3F
    case 0x10: 0xEF
    case 0x11: 0xFF
    case 0x12: 0x3F
    default: 0x0F
    }
  }

  var screenOff: Bool { index & 0x20 == 0 }
  /// Characters C0h to DFh repeat their eighth column in the ninth.
  var lineGraphics: Bool { self[0x10] & 0x04 != 0 }
  /// Attribute bit 7 makes a character blink; otherwise its background is bright.
  var blinks: Bool { self[0x10] & 0x08 != 0 }
  /// Below the split the picture is not panned.
  var pansAboveSplitOnly: Bool { self[0x10] & 0x20 != 0 }
  var planesShown: UInt8 { self[0x12] & 0x0F }
  /// The panning register as it is, 0 to 15.
  var panning: Int { Int(self[0x13] & 0x0F) }

  /// The DAC index of `color`, 0 to 15, through the palette and the colour select register.
  func dacIndex(_ color: UInt8) -> UInt8 {
    let entry = self[Int(color & planesShown)]
    let low = self[0x10] & 0x80 != 0 ? entry & 0x0F | (self[0x14] & 3) << 4 : entry & 0x3F
    return low | (self[0x14] & 0x0C) << 4
  }
}

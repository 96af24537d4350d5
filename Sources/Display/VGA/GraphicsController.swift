/// The graphics controller: what happens to a byte between the host and the planes, and how planes
/// become pixels (IBM VGA Technical Reference, section 2, "Graphics Controller Registers"; ports
/// 3CEh and 3CFh).
struct GraphicsController: Codable, Equatable, Sendable {
  static let count = 9
  private static let writable: [UInt8] = [
    0x0F, 0x0F, 0x0F, 0x1F, 0x03, 0x7B, 0x0F, 0x0F, 0xFF,
  ]

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

  var setReset: UInt8 { self[0] }
  var setResetEnable: UInt8 { self[1] }
  var colorCompare: UInt8 { self[2] }
  /// Bits to rotate host data right by, 0 to 7.
  var rotate: UInt8 { self[3] & 7 }
  /// 0 replace, 1 AND, 2 OR, 3 XOR with the latches.
  var logic: UInt8 { self[3] >> 3 & 3 }
  var readMap: UInt8 { self[4] & 3 }
  var writeMode: UInt8 { self[5] & 3 }
  /// Read mode 1: the host reads where the colour compares equal.
  var comparesOnRead: Bool { self[5] & 0x08 != 0 }
  /// Address bit 0 chooses between the planes that the host reads.
  var oddEvenRead: Bool { self[5] & 0x10 != 0 }
  /// Pixels are bit pairs, as on a CGA.
  var interleavedShift: Bool { self[5] & 0x20 != 0 }
  /// Pixels are bytes.
  var shift256: Bool { self[5] & 0x40 != 0 }
  var isGraphics: Bool { self[6] & 0x01 != 0 }
  /// Address bit 0 chooses a plane and no longer addresses in it.
  var chainsOddEven: Bool { self[6] & 0x02 != 0 }
  var colorDontCare: UInt8 { self[7] }
  var bitMask: UInt8 { self[8] }

  /// Where the host finds the planes, as offsets from A0000h.
  var hostWindow: Range<Int> {
    switch self[6] >> 2 & 3 {
    case 0: 0x00000..<0x20000
    case 1: 0x00000..<0x10000
    case 2: 0x10000..<0x18000
    default: 0x18000..<0x20000
    }
  }

  /// A host write is stored as it is and a host read gives what is stored.
  var isTransparent: Bool {
    writeMode == 0 && !comparesOnRead && setResetEnable == 0 && self[3] == 0 && bitMask == 0xFF
  }
}

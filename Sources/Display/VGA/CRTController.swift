/// The CRT controller: the screen's size, what part of memory it shows, and the cursor
/// (IBM VGA Technical Reference, section 2, "CRT Controller Registers"; ports 3D4h and 3D5h, or
/// 3B4h and 3B5h on a monochrome screen).
///
/// Not modelled: the vertical interrupt, doubled vertical timing, and counting addresses by two or
/// four.
struct CRTController: Codable, Equatable, Sendable {
  static let count = 25
  /// Registers of the cursor alone: its shape and its place.
  static let cursorRegisters: Set<Int> = [0x0A, 0x0B, 0x0E, 0x0F]

  var index: UInt8 = 0
  private(set) var registers = [UInt8](repeating: 0, count: count)

  var isWellFormed: Bool { registers.count == Self.count }

  /// Register `number`; one that does not exist reads as zero.
  subscript(number: Int) -> UInt8 {
    registers.indices.contains(number) ? registers[number] : 0
  }

  /// Sets register `number`. Returns the bits that changed.
  @discardableResult
  mutating func set(_ number: Int, _ value: UInt8) -> UInt8 {
    guard registers.indices.contains(number) else { return 0 }
    let before = registers[number]
    registers[number] = value
    return before ^ value
  }

  /// Sets register `number` as the guest does: registers 0 to 7 are protected by bit 7 of
  /// register 11h, all but bit 4 of register 7.
  mutating func write(_ number: Int, _ value: UInt8) -> UInt8 {
    guard number <= 7, self[0x11] & 0x80 != 0 else { return set(number, value) }
    guard number == 7 else { return 0 }
    return set(7, self[7] & ~0x10 | value & 0x10)
  }

  private func overflow(_ low: Int, _ bit8: UInt8, _ bit9: UInt8) -> Int {
    Int(self[low]) | Int(self[7] >> bit8 & 1) << 8 | Int(self[7] >> bit9 & 1) << 9
  }

  /// Character clocks that show something, 1 to 256.
  var charactersShown: Int { Int(self[1]) + 1 }
  /// Character clocks of a whole line.
  var charactersTotal: Int { Int(self[0]) + 5 }
  /// Scan lines that show something, 1 to 1024.
  var linesShown: Int { overflow(0x12, 1, 6) + 1 }
  /// Scan lines of a whole frame.
  var linesTotal: Int { overflow(0x06, 0, 5) + 2 }
  /// The line at which vertical retrace starts.
  var retraceStart: Int { overflow(0x10, 2, 7) }
  /// The last line above the split; the screen below shows memory from address 0 on.
  var lineCompare: Int {
    Int(self[0x18]) | Int(self[7] >> 4 & 1) << 8 | Int(self[9] >> 6 & 1) << 9
  }
  /// Scan lines of a character row, 1 to 32.
  var rowHeight: Int { Int(self[9] & 0x1F) + 1 }
  /// Each line is shown twice (200-line modes on a 400-line screen).
  var doubleScan: Bool { self[9] & 0x80 != 0 }
  /// Memory address of the first character, in character clocks, byte panning included.
  var startAddress: Int { Int(self[0x0C]) << 8 + Int(self[0x0D]) + Int(self[8] >> 5 & 3) }
  /// The scan line of its row that the first line shows.
  var presetRow: Int { Int(self[8] & 0x1F) }
  /// Addresses from one row to the next.
  var pitch: Int { Int(self[0x13]) * 2 }
  /// Where the underline is, as a scan line of its row.
  var underline: Int { Int(self[0x14] & 0x1F) }

  /// Address of the character with the cursor, its skew added.
  var cursorAddress: Int {
    Int(self[0x0E]) << 8 + Int(self[0x0F]) + Int(self[0x0B] >> 5 & 3)
  }
  /// Scan lines of the cursor; nil where it is switched off or starts below its end.
  var cursorLines: ClosedRange<Int>? {
    let first = Int(self[0x0A] & 0x1F)
    let last = Int(self[0x0B] & 0x1F)
    guard self[0x0A] & 0x20 == 0, first <= last else { return nil }
    return first...last
  }

  /// How an address becomes an offset in the planes.
  var addressing: PlaneAddressing {
    PlaneAddressing(
      doubled: self[0x14] & 0x40 == 0 && self[0x17] & 0x40 == 0,
      wrapsAt16K: self[0x17] & 0x20 == 0,
      rowBit0To13: self[0x17] & 0x01 == 0,
      rowBit1To14: self[0x17] & 0x02 == 0)
  }
}

/// How the CRT controller turns its address counter into an offset in the planes (IBM VGA Technical
/// Reference, "CRT Mode Control Register").
///
/// Word mode doubles the address, as the host does in odd/even mode. Doubleword mode quadruples
/// it on the chip, as the host's chain-4 mode spreads its bytes; here chain 4 packs them without
/// gaps, so the address stands as it is.
struct PlaneAddressing: Equatable, Sendable {
  /// Word mode: the address is shifted left by one.
  var doubled = false
  /// In word mode bit 0 comes from bit 13, not 15, of the address.
  var wrapsAt16K = false
  /// Offset bit 13 is bit 0 of the line in its row (CGA's interleaved halves).
  var rowBit0To13 = false
  /// Offset bit 14 is bit 1 of the line in its row (Hercules' interleaved quarters).
  var rowBit1To14 = false

  /// Offsets grow with addresses by one, whatever the line.
  var isDirect: Bool { !doubled && !rowBit0To13 && !rowBit1To14 }

  /// The offset in the planes for `address` on line `line` of its row.
  @inline(__always)
  func offset(_ address: Int, line: Int) -> Int {
    var offset = address
    if doubled { offset = address &<< 1 | (address &>> (wrapsAt16K ? 13 : 15)) & 1 }
    if rowBit0To13 { offset = offset & ~0x2000 | (line & 1) &<< 13 }
    if rowBit1To14 { offset = offset & ~0x4000 | (line &>> 1 & 1) &<< 14 }
    return offset
  }
}

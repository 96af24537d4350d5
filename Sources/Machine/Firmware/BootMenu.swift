import KVMEngine

/// The boot menu on the 80x25 text screen: the drives, one of them chosen.
enum BootMenu {
  /// What a key makes of the menu.
  enum Choice: Equatable {
    /// This line is the chosen one.
    case line(Int)
    /// Boot what this line has.
    case boot(Int)
    /// Boot as if there were no menu.
    case leave
  }

  static let mostLines = 16
  private static let screen: UInt64 = 0xB8000
  private static let columns = 80
  private static let rows = 25
  private static let top = 8
  private static let left = 12
  private static let width = 56
  private static let plain: UInt8 = 0x07
  private static let frame: UInt8 = 0x1F
  private static let bar: UInt8 = 0x70

  /// Scan codes of keys, the upper byte of what INT 16h gives; the lower one is 0 or E0h.
  private enum Key {
    static let escape: UInt16 = 0x01
    static let enter: UInt16 = 0x1C
    static let keypadEnter: UInt16 = 0xE0
    static let home: UInt16 = 0x47
    static let up: UInt16 = 0x48
    static let end: UInt16 = 0x4F
    static let down: UInt16 = 0x50
  }

  /// - Parameters:
  ///   - key: as INT 16h AH=10h gives it.
  ///   - chosen: the line that is chosen now.
  ///   - count: lines of the menu.
  static func key(_ key: UInt16, chosen: Int, count: Int) -> Choice {
    let last = max(0, min(count, mostLines) - 1)
    let digit = Int(key & 0xFF) - Int(UInt8(ascii: "1"))
    if 0...last ~= digit, count > 0 { return .boot(digit) }
    switch key >> 8 {
    case Key.escape: return .leave
    case Key.enter: return count > 0 ? .boot(chosen) : .leave
    case Key.keypadEnter: return key & 0xFF == 0x0D && count > 0 ? .boot(chosen) : .line(chosen)
    case Key.up: return .line(chosen > 0 ? chosen - 1 : last)
    case Key.down: return .line(chosen < last ? chosen + 1 : 0)
    case Key.home: return .line(0)
    case Key.end: return .line(last)
    default: return .line(chosen)
    }
  }

  /// Paints the menu with `titles`, line `chosen` in a bar, into the text screen's memory.
  static func paint(_ titles: [String], chosen: Int, on space: AddressSpace) {
    clear(space)
    let lines = titles.prefix(mostLines)
    put(" Boot from", row: top, frame, space)
    put("", row: top + 1, frame, space)
    for (index, title) in lines.enumerated() {
      put(
        "  \(index + 1)  \(title)", row: top + 2 + index, index == chosen ? bar : frame, space)
    }
    let below = top + 2 + lines.count
    if lines.isEmpty { put("  There are no drives.", row: top + 1, frame, space) }
    put("", row: below, frame, space)
    put(
      " Arrows and Enter choose, Esc boots as usual", row: below + 1, frame, space)
  }

  /// Empties the text screen.
  static func clear(_ space: AddressSpace) {
    let blank = [UInt8](repeating: 0, count: columns * rows * 2).enumerated().map {
      $0.offset % 2 == 0 ? UInt8(ascii: " ") : plain
    }
    space.write(screen, bytes: blank)
  }

  private static func put(_ text: String, row: Int, _ attribute: UInt8, _ space: AddressSpace) {
    var cells: [UInt8] = []
    let characters = text.unicodeScalars.prefix(width).map { scalar in
      (0x20..<0x7F).contains(scalar.value)
        ? UInt8(truncatingIfNeeded: scalar.value) : UInt8(ascii: "?")
    }
    for column in 0..<width {
      cells += [column < characters.count ? characters[column] : UInt8(ascii: " "), attribute]
    }
    space.write(screen + UInt64((row * columns + left) * 2), bytes: cells)
  }
}

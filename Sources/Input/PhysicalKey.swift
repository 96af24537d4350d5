/// A key of the 104-key US keyboard (with the 102nd key of ISO keyboards, those of Japanese and
/// Brazilian ones, F13 to F24 and the usual media keys), by where it sits and not by what it types.
public enum PhysicalKey: String, Codable, CaseIterable, Sendable {
  case escape, f1, f2, f3, f4, f5, f6, f7, f8, f9, f10, f11, f12
  case printScreen, scrollLock, pause
  case grave, digit1, digit2, digit3, digit4, digit5, digit6, digit7, digit8, digit9, digit0
  case minus, equal, backspace
  case tab, q, w, e, r, t, y, u, i, o, p, leftBracket, rightBracket, backslash
  case capsLock, a, s, d, f, g, h, j, k, l, semicolon, quote, enter
  case leftShift, nonUSBackslash, z, x, c, v, b, n, m, comma, period, slash, rightShift
  case leftControl, leftWindows, leftAlt, space, rightAlt, rightWindows, menu, rightControl
  case insert, delete, home, end, pageUp, pageDown, up, down, left, right
  case numLock, keypadDivide, keypadMultiply, keypadSubtract, keypadAdd, keypadEnter
  case keypad0, keypad1, keypad2, keypad3, keypad4, keypad5, keypad6, keypad7, keypad8, keypad9
  case keypadDecimal
  case mute, volumeDown, volumeUp, playPause, mediaStop, nextTrack, previousTrack, mediaSelect
  case mail, calculator, computer
  case webHome, webSearch, webFavorites, webRefresh, webStop, webForward, webBack
  case power, sleep, wake
  case f13, f14, f15, f16, f17, f18, f19, f20, f21, f22, f23, f24
  /// Keys of Japanese (``ro`` and the comma of the keypad of Brazilian, too) keyboards.
  case ro, yen, katakanaHiragana, henkan, muhenkan, keypadComma
}

/// What a key sends in each scan code set (IBM PS/2 Hardware Interface Technical Reference,
/// Keyboards, "Scan Code Tables"; Microsoft Keyboard Scan Code Specification for the media keys).
///
/// ``PhysicalKey/printScreen`` and ``PhysicalKey/pause`` have longer sequences of their own; here
/// stands the code that the sequence turns on.
public struct ScanCodes: Sendable, Equatable {
  /// Make code in set 1, without prefix; the break code has bit 7 set.
  public let set1: UInt8
  /// Make code in set 2, without prefix; the break code is preceded by F0h.
  public let set2: UInt8
  /// Make code in set 3, which has no prefixes; 0 where the key has none.
  public let set3: UInt8
  /// Whether the codes of sets 1 and 2 are preceded by E0h.
  public let extended: Bool
}

extension PhysicalKey {
  /// What the key sends.
  public var codes: ScanCodes {
    Self.table[self] ?? ScanCodes(set1: 0, set2: 0, set3: 0, extended: false)
  }

  /// Whether the key is a cursor or editing key of its own block, whose codes a keyboard wraps in
  /// make and break codes of Shift so that old software sees the keypad's cursor key.
  var isGrayKey: Bool {
    switch self {
    case .insert, .delete, .home, .end, .pageUp, .pageDown, .up, .down, .left, .right: true
    default: false
    }
  }

  /// The key of a QEMU Extended Key Event (the community's RFB protocol document): the make code in set
  /// 1, with bit 7 set, or 8 bits higher E0h, for the prefix. Nil where no key has it.
  init?(extendedScanCode code: UInt32) {
    let short = code >> 8 == 0xE0 ? code & 0x7F | 0x80 : code
    // SysRq and Break are what Print Screen and Pause are with Alt and Control.
    switch short {
    case 0x54: self = .printScreen
    case 0xC6: self = .pause
    default:
      guard let byte = UInt8(exactly: short), let key = Self.byExtendedScanCode[byte] else {
        return nil
      }
      self = key
    }
  }

  private static let byExtendedScanCode: [UInt8: PhysicalKey] = {
    var keys: [UInt8: PhysicalKey] = [:]
    for key in allCases where key != .pause {
      let codes = key.codes
      keys[codes.extended ? codes.set1 | 0x80 : codes.set1] = key
    }
    return keys
  }()

  private typealias Row = (PhysicalKey, UInt8, UInt8, UInt8)

  private static let table: [PhysicalKey: ScanCodes] = {
    var table: [PhysicalKey: ScanCodes] = [:]
    for (rows, extended) in [(plainRows, false), (extendedRows, true)] {
      for (key, set1, set2, set3) in rows {
        table[key] = ScanCodes(set1: set1, set2: set2, set3: set3, extended: extended)
      }
    }
    return table
  }()

  private static let plainRows: [Row] = [
    (.escape, 0x01, 0x76, 0x08), (.digit1, 0x02, 0x16, 0x16), (.digit2, 0x03, 0x1E, 0x1E),
    (.digit3, 0x04, 0x26, 0x26), (.digit4, 0x05, 0x25, 0x25), (.digit5, 0x06, 0x2E, 0x2E),
    (.digit6, 0x07, 0x36, 0x36), (.digit7, 0x08, 0x3D, 0x3D), (.digit8, 0x09, 0x3E, 0x3E),
    (.digit9, 0x0A, 0x46, 0x46), (.digit0, 0x0B, 0x45, 0x45), (.minus, 0x0C, 0x4E, 0x4E),
    (.equal, 0x0D, 0x55, 0x55), (.backspace, 0x0E, 0x66, 0x66), (.tab, 0x0F, 0x0D, 0x0D),
    (.q, 0x10, 0x15, 0x15), (.w, 0x11, 0x1D, 0x1D), (.e, 0x12, 0x24, 0x24),
    (.r, 0x13, 0x2D, 0x2D), (.t, 0x14, 0x2C, 0x2C), (.y, 0x15, 0x35, 0x35),
    (.u, 0x16, 0x3C, 0x3C), (.i, 0x17, 0x43, 0x43), (.o, 0x18, 0x44, 0x44),
    (.p, 0x19, 0x4D, 0x4D), (.leftBracket, 0x1A, 0x54, 0x54), (.rightBracket, 0x1B, 0x5B, 0x5B),
    (.enter, 0x1C, 0x5A, 0x5A), (.leftControl, 0x1D, 0x14, 0x11), (.a, 0x1E, 0x1C, 0x1C),
    (.s, 0x1F, 0x1B, 0x1B), (.d, 0x20, 0x23, 0x23), (.f, 0x21, 0x2B, 0x2B),
    (.g, 0x22, 0x34, 0x34), (.h, 0x23, 0x33, 0x33), (.j, 0x24, 0x3B, 0x3B),
    (.k, 0x25, 0x42, 0x42), (.l, 0x26, 0x4B, 0x4B), (.semicolon, 0x27, 0x4C, 0x4C),
    (.quote, 0x28, 0x52, 0x52), (.grave, 0x29, 0x0E, 0x0E), (.leftShift, 0x2A, 0x12, 0x12),
    (.backslash, 0x2B, 0x5D, 0x5C), (.z, 0x2C, 0x1A, 0x1A), (.x, 0x2D, 0x22, 0x22),
    (.c, 0x2E, 0x21, 0x21), (.v, 0x2F, 0x2A, 0x2A), (.b, 0x30, 0x32, 0x32),
    (.n, 0x31, 0x31, 0x31), (.m, 0x32, 0x3A, 0x3A), (.comma, 0x33, 0x41, 0x41),
    (.period, 0x34, 0x49, 0x49), (.slash, 0x35, 0x4A, 0x4A), (.rightShift, 0x36, 0x59, 0x59),
    (.keypadMultiply, 0x37, 0x7C, 0x7E), (.leftAlt, 0x38, 0x11, 0x19), (.space, 0x39, 0x29, 0x29),
    (.capsLock, 0x3A, 0x58, 0x14), (.f1, 0x3B, 0x05, 0x07), (.f2, 0x3C, 0x06, 0x0F),
    (.f3, 0x3D, 0x04, 0x17), (.f4, 0x3E, 0x0C, 0x1F), (.f5, 0x3F, 0x03, 0x27),
    (.f6, 0x40, 0x0B, 0x2F), (.f7, 0x41, 0x83, 0x37), (.f8, 0x42, 0x0A, 0x3F),
    (.f9, 0x43, 0x01, 0x47), (.f10, 0x44, 0x09, 0x4F), (.numLock, 0x45, 0x77, 0x76),
    (.pause, 0x45, 0x77, 0x62), (.scrollLock, 0x46, 0x7E, 0x5F), (.keypad7, 0x47, 0x6C, 0x6C),
    (.keypad8, 0x48, 0x75, 0x75), (.keypad9, 0x49, 0x7D, 0x7D),
    (.keypadSubtract, 0x4A, 0x7B, 0x84), (.keypad4, 0x4B, 0x6B, 0x6B),
    (.keypad5, 0x4C, 0x73, 0x73), (.keypad6, 0x4D, 0x74, 0x74), (.keypadAdd, 0x4E, 0x79, 0x7C),
    (.keypad1, 0x4F, 0x69, 0x69), (.keypad2, 0x50, 0x72, 0x72), (.keypad3, 0x51, 0x7A, 0x7A),
    (.keypad0, 0x52, 0x70, 0x70), (.keypadDecimal, 0x53, 0x71, 0x71),
    (.nonUSBackslash, 0x56, 0x61, 0x13), (.f11, 0x57, 0x78, 0x56), (.f12, 0x58, 0x07, 0x5E),
    (.f13, 0x64, 0x08, 0), (.f14, 0x65, 0x10, 0), (.f15, 0x66, 0x18, 0), (.f16, 0x67, 0x20, 0),
    (.f17, 0x68, 0x28, 0), (.f18, 0x69, 0x30, 0), (.f19, 0x6A, 0x38, 0), (.f20, 0x6B, 0x40, 0),
    (.f21, 0x6C, 0x48, 0), (.f22, 0x6D, 0x50, 0), (.f23, 0x6E, 0x57, 0), (.f24, 0x76, 0x5F, 0),
    (.katakanaHiragana, 0x70, 0x13, 0), (.ro, 0x73, 0x51, 0), (.henkan, 0x79, 0x64, 0),
    (.muhenkan, 0x7B, 0x67, 0), (.yen, 0x7D, 0x6A, 0), (.keypadComma, 0x7E, 0x6D, 0),
  ]

  private static let extendedRows: [Row] = [
    (.keypadEnter, 0x1C, 0x5A, 0x79), (.rightControl, 0x1D, 0x14, 0x58),
    (.keypadDivide, 0x35, 0x4A, 0x77), (.printScreen, 0x37, 0x7C, 0x57),
    (.rightAlt, 0x38, 0x11, 0x39), (.home, 0x47, 0x6C, 0x6E), (.up, 0x48, 0x75, 0x63),
    (.pageUp, 0x49, 0x7D, 0x6F), (.left, 0x4B, 0x6B, 0x61), (.right, 0x4D, 0x74, 0x6A),
    (.end, 0x4F, 0x69, 0x65), (.down, 0x50, 0x72, 0x60), (.pageDown, 0x51, 0x7A, 0x6D),
    (.insert, 0x52, 0x70, 0x67), (.delete, 0x53, 0x71, 0x64), (.leftWindows, 0x5B, 0x1F, 0x8B),
    (.rightWindows, 0x5C, 0x27, 0x8C), (.menu, 0x5D, 0x2F, 0x8D),
    (.previousTrack, 0x10, 0x15, 0), (.nextTrack, 0x19, 0x4D, 0), (.mute, 0x20, 0x23, 0),
    (.calculator, 0x21, 0x2B, 0), (.playPause, 0x22, 0x34, 0), (.mediaStop, 0x24, 0x3B, 0),
    (.volumeDown, 0x2E, 0x21, 0), (.volumeUp, 0x30, 0x32, 0), (.webHome, 0x32, 0x3A, 0),
    (.power, 0x5E, 0x37, 0), (.sleep, 0x5F, 0x3F, 0), (.wake, 0x63, 0x5E, 0),
    (.webSearch, 0x65, 0x10, 0), (.webFavorites, 0x66, 0x18, 0), (.webRefresh, 0x67, 0x20, 0),
    (.webStop, 0x68, 0x28, 0), (.webForward, 0x69, 0x30, 0), (.webBack, 0x6A, 0x38, 0),
    (.computer, 0x6B, 0x40, 0), (.mail, 0x6C, 0x48, 0), (.mediaSelect, 0x6D, 0x50, 0),
  ]
}

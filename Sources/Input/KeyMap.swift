/// Which key of a US keyboard, with which state of Shift, stands for an X11 keysym (X Window System
/// Protocol, appendix A; `keysymdef.h` and `XF86keysym.h` for names and numbers).
public enum KeyMap {
  /// What the modifiers must be for a key to mean what its keysym says.
  enum Level: Equatable, Sendable {
    /// The key means the same with and without Shift, or is a modifier itself.
    case any
    /// A character, typed with Shift (`true`) or without.
    case shift(Bool)
    /// A letter, in upper case or not: Caps Lock changes what Shift does.
    case letter(upper: Bool)
    /// A digit or the point on the keypad: Num Lock decides.
    case keypadDigit
    /// A cursor key on the keypad; `gray` is the key of the cursor block that does the same.
    case keypadCursor(gray: PhysicalKey)

    /// Whether the keysym is a character, for which the viewer's own level keys have been used up.
    var isCharacter: Bool {
      switch self {
      case .shift, .letter: true
      default: false
      }
    }
  }

  /// A key and how to press it.
  struct Entry: Equatable, Sendable {
    var key: PhysicalKey
    var level: Level
  }

  /// Keysyms that choose a level of the viewer's keyboard and no key of their own: AltGr.
  static let levelShifts: Set<UInt32> = [0xFE03, 0xFE11, 0xFF7E]

  /// The key for `keysym`; nil where a US keyboard has none.
  static func entry(for keysym: UInt32) -> Entry? {
    switch keysym {
    case 0x20...0x7E: return printable(keysym)
    // Unicode keysyms: Latin-1 and control characters lie under their own numbers as well.
    case 0x0100_0020...0x0100_007E: return printable(keysym & 0xFF)
    case 0x0100_00A0, 0xA0: return Entry(key: .space, level: .any)
    case 0x0100_00AD, 0xAD: return Entry(key: .minus, level: .shift(false))
    case 0x0100_0008, 0x0100_0009, 0x0100_000D, 0x0100_001B:
      return entry(for: 0xFF00 | keysym & 0xFF)
    case 0x0100_007F: return entry(for: 0xFFFF)
    case 0xFFB0...0xFFB9:
      return Entry(key: keypadDigits[Int(keysym - 0xFFB0)], level: .keypadDigit)
    case 0xFFBE...0xFFD5:
      return Entry(key: functionKeys[Int(keysym - 0xFFBE)], level: .any)
    default:
      if let entry = special[keysym] { return entry }
      return named[keysym].map { Entry(key: $0, level: .any) }
    }
  }

  /// The key that types a character of ASCII, 20h to 7Eh.
  static func printable(_ code: UInt32) -> Entry? {
    printableKeys[code]
  }

  // MARK: Tables

  private static let printableKeys: [UInt32: Entry] = {
    var entries: [UInt32: Entry] = [0x20: Entry(key: .space, level: .any)]
    for (index, letter) in letters.enumerated() {
      let code = UInt32(index)
      entries[0x61 + code] = Entry(key: letter, level: .letter(upper: false))
      entries[0x41 + code] = Entry(key: letter, level: .letter(upper: true))
    }
    for (key, plain, shifted) in symbols {
      entries[plain.value] = Entry(key: key, level: .shift(false))
      entries[shifted.value] = Entry(key: key, level: .shift(true))
    }
    return entries
  }()

  private static let letters: [PhysicalKey] = [
    .a, .b, .c, .d, .e, .f, .g, .h, .i, .j, .k, .l, .m,
    .n, .o, .p, .q, .r, .s, .t, .u, .v, .w, .x, .y, .z,
  ]

  private static let symbols: [(PhysicalKey, Unicode.Scalar, Unicode.Scalar)] = [
    (.grave, "`", "~"), (.digit1, "1", "!"), (.digit2, "2", "@"), (.digit3, "3", "#"),
    (.digit4, "4", "$"), (.digit5, "5", "%"), (.digit6, "6", "^"), (.digit7, "7", "&"),
    (.digit8, "8", "*"), (.digit9, "9", "("), (.digit0, "0", ")"), (.minus, "-", "_"),
    (.equal, "=", "+"), (.leftBracket, "[", "{"), (.rightBracket, "]", "}"),
    (.backslash, "\\", "|"), (.semicolon, ";", ":"), (.quote, "'", "\""), (.comma, ",", "<"),
    (.period, ".", ">"), (.slash, "/", "?"),
  ]

  static let keypadDigits: [PhysicalKey] = [
    .keypad0, .keypad1, .keypad2, .keypad3, .keypad4,
    .keypad5, .keypad6, .keypad7, .keypad8, .keypad9,
  ]

  static let functionKeys: [PhysicalKey] = [
    .f1, .f2, .f3, .f4, .f5, .f6, .f7, .f8, .f9, .f10, .f11, .f12,
    .f13, .f14, .f15, .f16, .f17, .f18, .f19, .f20, .f21, .f22, .f23, .f24,
  ]

  private static let special: [UInt32: Entry] = [
    // Dead keys of other layouts: the character itself.
    0xFE50: Entry(key: .grave, level: .shift(false)),
    0xFE51: Entry(key: .quote, level: .shift(false)),
    0xFE52: Entry(key: .digit6, level: .shift(true)),
    0xFE53: Entry(key: .grave, level: .shift(true)),
    0xFE57: Entry(key: .quote, level: .shift(true)),
    0xFE20: Entry(key: .tab, level: .shift(true)),  // ISO_Left_Tab
    0xFF80: Entry(key: .space, level: .any),  // KP_Space
    0xFFBD: Entry(key: .equal, level: .shift(false)),  // KP_Equal
    0xFFAE: Entry(key: .keypadDecimal, level: .keypadDigit),
    0xFFAC: Entry(key: .keypadDecimal, level: .keypadDigit),  // KP_Separator
    0xFF95: Entry(key: .keypad7, level: .keypadCursor(gray: .home)),
    0xFF96: Entry(key: .keypad4, level: .keypadCursor(gray: .left)),
    0xFF97: Entry(key: .keypad8, level: .keypadCursor(gray: .up)),
    0xFF98: Entry(key: .keypad6, level: .keypadCursor(gray: .right)),
    0xFF99: Entry(key: .keypad2, level: .keypadCursor(gray: .down)),
    0xFF9A: Entry(key: .keypad9, level: .keypadCursor(gray: .pageUp)),
    0xFF9B: Entry(key: .keypad3, level: .keypadCursor(gray: .pageDown)),
    0xFF9C: Entry(key: .keypad1, level: .keypadCursor(gray: .end)),
    0xFF9E: Entry(key: .keypad0, level: .keypadCursor(gray: .insert)),
    0xFF9F: Entry(key: .keypadDecimal, level: .keypadCursor(gray: .delete)),
  ]

  private static let named: [UInt32: PhysicalKey] = [
    0xFF08: .backspace, 0xFF09: .tab, 0xFF0A: .enter, 0xFF0B: .keypad5, 0xFF0D: .enter,
    0xFF13: .pause, 0xFF14: .scrollLock, 0xFF15: .printScreen, 0xFF1B: .escape, 0xFFFF: .delete,
    0xFF50: .home, 0xFF51: .left, 0xFF52: .up, 0xFF53: .right, 0xFF54: .down, 0xFF55: .pageUp,
    0xFF56: .pageDown, 0xFF57: .end, 0xFF58: .home, 0xFF61: .printScreen, 0xFF63: .insert,
    0xFF67: .menu, 0xFF6B: .pause, 0xFF7F: .numLock, 0xFF89: .tab, 0xFF8D: .keypadEnter,
    0xFF91: .f1, 0xFF92: .f2, 0xFF93: .f3, 0xFF94: .f4, 0xFF9D: .keypad5,
    0xFFAA: .keypadMultiply, 0xFFAB: .keypadAdd, 0xFFAD: .keypadSubtract, 0xFFAF: .keypadDivide,
    // Modifiers. Alt with Shift arrives as Meta.
    0xFFE1: .leftShift, 0xFFE2: .rightShift, 0xFFE3: .leftControl, 0xFFE4: .rightControl,
    0xFFE5: .capsLock, 0xFFE6: .capsLock, 0xFFE7: .leftAlt, 0xFFE8: .rightAlt, 0xFFE9: .leftAlt,
    0xFFEA: .rightAlt, 0xFFEB: .leftWindows, 0xFFEC: .rightWindows, 0xFFED: .leftWindows,
    0xFFEE: .rightWindows, 0xFE03: .rightAlt, 0xFE11: .rightAlt, 0xFF7E: .rightAlt,
    // Media keys.
    0x1008_FF11: .volumeDown, 0x1008_FF12: .mute, 0x1008_FF13: .volumeUp,
    0x1008_FF14: .playPause, 0x1008_FF15: .mediaStop, 0x1008_FF16: .previousTrack,
    0x1008_FF17: .nextTrack, 0x1008_FF18: .webHome, 0x1008_FF19: .mail, 0x1008_FF1B: .webSearch,
    0x1008_FF1D: .calculator, 0x1008_FF26: .webBack, 0x1008_FF27: .webForward,
    0x1008_FF28: .webStop, 0x1008_FF29: .webRefresh, 0x1008_FF2A: .power, 0x1008_FF2B: .wake,
    0x1008_FF2F: .sleep, 0x1008_FF30: .webFavorites, 0x1008_FF31: .playPause,
    0x1008_FF32: .mediaSelect, 0x1008_FF33: .computer, 0x1008_FF5D: .computer,
  ]
}

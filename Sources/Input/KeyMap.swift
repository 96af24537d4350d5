/// Which key, with which state of the modifiers, stands for an X11 keysym on the guest's keyboard (X
/// Window System Protocol, appendix A; `keysymdef.h` and `XF86keysym.h` for names and numbers).
public enum KeyMap {
  /// What the modifiers must be for a key to mean what its keysym says.
  enum Level: Equatable, Sendable {
    /// The key means the same with and without Shift, or is a modifier itself.
    case any
    /// A character: Shift and AltGr must be as it needs them.
    case character(KeyboardLayout.Level)
    /// A digit or the point on the keypad: Num Lock decides.
    case keypadDigit
    /// A cursor key on the keypad; `gray` is the key of the cursor block that does the same.
    case keypadCursor(gray: PhysicalKey)

    /// Whether the keysym is a character, for which the viewer's own level keys have been used up.
    var isCharacter: Bool {
      if case .character = self { true } else { false }
    }
  }

  /// A key and how to press it.
  struct Entry: Equatable, Sendable {
    var key: PhysicalKey
    var level: Level
    /// The dead key that has to be typed before it.
    var dead: KeyboardLayout.Place?

    /// The dead key, and the key without it.
    var taps: [Entry] {
      let own = Entry(key: key, level: level)
      return dead.map { [Entry(key: $0.key, level: .character($0.level)), own] } ?? [own]
    }
  }

  /// Keysyms that choose a level of the viewer's keyboard and no key of their own: AltGr.
  static let levelShifts: Set<UInt32> = [0xFE03, 0xFE11, 0xFF7E]
  /// Alt_R and Meta_R.
  static let rightAlts: Set<UInt32> = [0xFFEA, 0xFFE8]

  /// The key for `keysym`; nil where the keyboard has none.
  static func entry(for keysym: UInt32, on layout: KeyboardLayout) -> Entry? {
    switch keysym {
    case 0x0100_0008, 0x0100_0009, 0x0100_000D, 0x0100_001B:
      return entry(for: 0xFF00 | keysym & 0xFF, on: layout)
    case 0x0100_007F: return entry(for: 0xFFFF, on: layout)
    case 0xFFB0...0xFFB9:
      return Entry(key: keypadDigits[Int(keysym - 0xFFB0)], level: .keypadDigit)
    case 0xFFBE...0xFFD5:
      return Entry(key: functionKeys[Int(keysym - 0xFFBE)], level: .any)
    case 0xFE50...0xFE93: return deadKey(keysym, on: layout)
    case 0xFFBD: return entry(for: 0x3D, on: layout)  // KP_Equal
    // Where the right Alt key chooses characters, the left one is the only Alt.
    case 0xFFEA, 0xFFE8:
      return Entry(key: layout.hasAltGr ? .leftAlt : .rightAlt, level: .any)
    default:
      if let character = character(of: keysym) { return entry(for: character, on: layout) }
      if let entry = special[keysym] { return entry }
      return named[keysym].map { Entry(key: $0, level: .any) }
    }
  }

  /// The key for a character. One of ASCII that the layout lacks, as Latin letters on a Greek keyboard,
  /// is where a US keyboard has it: so shortcuts work, and typing once the guest changes its layout.
  static func entry(for character: Character, on layout: KeyboardLayout) -> Entry? {
    if let entry = typed(character, on: layout) { return entry }
    return character.isASCII ? typed(character, on: .us) : nil
  }

  /// The key that types a character on the layout itself.
  static func typed(_ character: Character, on layout: KeyboardLayout) -> Entry? {
    // A soft hyphen is a hyphen that a text does not always show.
    let visible: Character = character == "\u{AD}" ? "-" : character
    guard let spelling = layout.spelling(of: visible) else { return nil }
    let place = spelling.place
    let level: Level = place.key == .space ? .any : .character(place.level)
    return Entry(key: place.key, level: level, dead: spelling.dead)
  }

  /// The character of a keysym: Latin-1 lies under its own numbers, Unicode above 1000000h, and what
  /// was there before in a table.
  private static func character(of keysym: UInt32) -> Character? {
    switch keysym {
    case 0x20...0x7E, 0xA0...0xFF: return Unicode.Scalar(keysym).map(Character.init)
    case 0x0100_0020...0x0110_FFFF: return Unicode.Scalar(keysym & 0xFF_FFFF).map(Character.init)
    case 0x100..<0x2100: return legacy[keysym]
    default: return nil
    }
  }

  /// A dead key of the viewer's: the guest's own, or the character that it shows where the guest's
  /// keyboard has none.
  private static func deadKey(_ keysym: UInt32, on layout: KeyboardLayout) -> Entry? {
    if let place = layout.deadKey(keysym) {
      return Entry(key: place.key, level: .character(place.level))
    }
    let shown = DeadKey.all.first { $0.keysym == keysym }?.alone.first
    return shown.flatMap { entry(for: $0, on: layout) }
  }

  // MARK: Tables

  private static let legacy: [UInt32: Character] = {
    var characters: [UInt32: Character] = [:]
    for word in LegacyKeysyms.table.split(whereSeparator: \.isWhitespace) {
      guard let character = word.last, let keysym = UInt32(word.dropLast(), radix: 16) else {
        continue
      }
      characters[keysym] = character
    }
    return characters
  }()

  static let keypadDigits: [PhysicalKey] = [
    .keypad0, .keypad1, .keypad2, .keypad3, .keypad4,
    .keypad5, .keypad6, .keypad7, .keypad8, .keypad9,
  ]

  static let functionKeys: [PhysicalKey] = [
    .f1, .f2, .f3, .f4, .f5, .f6, .f7, .f8, .f9, .f10, .f11, .f12,
    .f13, .f14, .f15, .f16, .f17, .f18, .f19, .f20, .f21, .f22, .f23, .f24,
  ]

  private static let special: [UInt32: Entry] = [
    0xFE20: Entry(key: .tab, level: .character(.init(shift: true))),  // ISO_Left_Tab
    0xFF80: Entry(key: .space, level: .any),  // KP_Space
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
    0xFFE5: .capsLock, 0xFFE6: .capsLock, 0xFFE7: .leftAlt, 0xFFE9: .leftAlt, 0xFFEB: .leftWindows,
    0xFFEC: .rightWindows, 0xFFED: .leftWindows,
    0xFFEE: .rightWindows, 0xFE03: .rightAlt, 0xFE11: .rightAlt, 0xFF7E: .rightAlt,
    // Keys of Asian keyboards; those of Korean ones are the right Alt and Control.
    0xFF22: .muhenkan, 0xFF23: .henkan, 0xFF25: .katakanaHiragana, 0xFF26: .katakanaHiragana,
    0xFF27: .katakanaHiragana, 0xFF2A: .grave, 0xFF30: .capsLock, 0xFF31: .rightAlt,
    0xFF34: .rightControl,
    // Media and power keys.
    0x1008_FF10: .sleep, 0x1008_FF21: .power, 0x1008_FFA7: .sleep, 0x1008_FFA8: .sleep,
    0x1008_FF11: .volumeDown, 0x1008_FF12: .mute, 0x1008_FF13: .volumeUp,
    0x1008_FF14: .playPause, 0x1008_FF15: .mediaStop, 0x1008_FF16: .previousTrack,
    0x1008_FF17: .nextTrack, 0x1008_FF18: .webHome, 0x1008_FF19: .mail, 0x1008_FF1B: .webSearch,
    0x1008_FF1D: .calculator, 0x1008_FF26: .webBack, 0x1008_FF27: .webForward,
    0x1008_FF28: .webStop, 0x1008_FF29: .webRefresh, 0x1008_FF2A: .power, 0x1008_FF2B: .wake,
    0x1008_FF2F: .sleep, 0x1008_FF30: .webFavorites, 0x1008_FF31: .playPause,
    0x1008_FF32: .mediaSelect, 0x1008_FF33: .computer, 0x1008_FF5D: .computer,
  ]
}

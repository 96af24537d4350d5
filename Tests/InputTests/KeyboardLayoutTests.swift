import DeviceTestKit
import KVMEngine
import Synchronization
import Testing

@testable import Input

/// Characters on guests' keyboards, as scan codes of set 1.
@Suite struct KeyboardLayoutTests {
  private static let altGr: [UInt8] = [0xE0, 0x38]
  private static let altGrUp: [UInt8] = [0xE0, 0xB8]
  private static let shift: UInt32 = 0xFFE1

  private final class Desk: Sendable {
    let guest = GuestHost(commandByte: 0x40)
    let hub: InputHub

    init(_ name: String) throws {
      hub = InputHub(guest.controller, layout: try #require(KeyboardLayout.named(name)))
    }

    func down(_ keysym: UInt32, viewer: UInt64 = 1) {
      hub.key(viewer: viewer, keysym: keysym, pressed: true)
    }

    func up(_ keysym: UInt32, viewer: UInt64 = 1) {
      hub.key(viewer: viewer, keysym: keysym, pressed: false)
    }

    func bytes() -> [UInt8] { guest.drain(waiting: 0) }

    /// What a viewer's tap of `character` sends.
    func codes(_ character: Character) -> [UInt8] {
      let code = character.unicodeScalars.first?.value ?? 0
      let keysym = code < 0x100 ? code : 0x0100_0000 | code
      down(keysym)
      up(keysym)
      return bytes()
    }

    func lights(_ lights: UInt8) {
      guest.write(0xED)
      guest.write(lights)
      _ = bytes()
    }
  }

  /// How a key is pressed, in short.
  private enum Press {
    case plain(UInt8)
    case shift(UInt8)
    case altGr(UInt8)

    var codes: [UInt8] {
      switch self {
      case .plain(let code): [code, code | 0x80]
      case .shift(let code): [0x2A, code, code | 0x80, 0xAA]
      case .altGr(let code): [0xE0, 0x38, code, code | 0x80, 0xE0, 0xB8]
      }
    }
  }

  /// What is printed on keyboards that are sold.
  private static let samples: [(String, [(Character, [Press])])] = [
    (
      "gb",
      [
        ("£", [.shift(0x04)]), ("\"", [.shift(0x03)]), ("@", [.shift(0x28)]), ("#", [.plain(0x2B)]),
        ("~", [.shift(0x2B)]), ("\\", [.plain(0x56)]), ("|", [.shift(0x56)]), ("€", [.altGr(0x05)]),
      ]
    ),
    (
      "de",
      [
        ("z", [.plain(0x15)]), ("Y", [.shift(0x2C)]), ("ß", [.plain(0x0C)]), ("ä", [.plain(0x28)]),
        ("Ü", [.shift(0x1A)]), ("@", [.altGr(0x10)]), ("€", [.altGr(0x12)]), ("{", [.altGr(0x08)]),
        ("\\", [.altGr(0x0C)]), ("<", [.plain(0x56)]), ("|", [.altGr(0x56)]), ("/", [.shift(0x08)]),
        ("^", [.plain(0x29), .plain(0x39)]), ("é", [.plain(0x0D), .plain(0x12)]),
        ("´", [.plain(0x0D), .plain(0x0D)]),
      ]
    ),
    (
      "fr",
      [
        ("a", [.plain(0x10)]), ("Q", [.shift(0x1E)]), ("1", [.shift(0x02)]), ("é", [.plain(0x03)]),
        ("@", [.altGr(0x0B)]), ("€", [.altGr(0x12)]), ("ê", [.plain(0x1A), .plain(0x12)]),
        (".", [.shift(0x33)]), ("!", [.plain(0x35)]),
      ]
    ),
    (
      "es",
      [
        ("ñ", [.plain(0x27)]), ("á", [.plain(0x28), .plain(0x1E)]), ("¿", [.shift(0x0D)]),
        ("@", [.altGr(0x03)]), ("\\", [.altGr(0x29)]), ("ü", [.shift(0x28), .plain(0x16)]),
        ("/", [.shift(0x08)]), ("º", [.plain(0x29)]),
      ]
    ),
    (
      "se",
      [
        ("å", [.plain(0x1A)]), ("Ö", [.shift(0x27)]), ("ä", [.plain(0x28)]), ("@", [.altGr(0x03)]),
        ("~", [.altGr(0x1B), .plain(0x39)]), ("é", [.plain(0x0D), .plain(0x12)]),
      ]
    ),
    ("no", [("ø", [.plain(0x27)]), ("Æ", [.shift(0x28)]), ("å", [.plain(0x1A)])]),
    ("dk", [("æ", [.plain(0x27)]), ("Ø", [.shift(0x28)]), ("$", [.altGr(0x05)])]),
    ("fi", [("ö", [.plain(0x27)]), ("Å", [.shift(0x1A)]), ("€", [.altGr(0x12)])]),
    (
      "br",
      [
        ("ç", [.plain(0x27)]), ("ã", [.plain(0x28), .plain(0x1E)]), ("/", [.plain(0x73)]),
        ("?", [.shift(0x73)]), ("é", [.plain(0x1A), .plain(0x12)]), ("'", [.plain(0x29)]),
      ]
    ),
    (
      "jp",
      [
        ("@", [.plain(0x1A)]), ("\"", [.shift(0x03)]), ("_", [.shift(0x73)]), (":", [.plain(0x28)]),
        ("[", [.plain(0x1B)]), ("&", [.shift(0x07)]), ("=", [.shift(0x0C)]),
      ]
    ),
    ("pl", [("ą", [.altGr(0x1E)]), ("z", [.plain(0x2C)])]),
    ("us-intl", [("é", [.altGr(0x12)]), ("'", [.altGr(0x28)])]),
  ]

  @Test(arguments: samples.map(\.0))
  func charactersAreWhereTheyArePrinted(layout: String) throws {
    let desk = try Desk(layout)
    for (character, presses) in Self.samples.first(where: { $0.0 == layout })?.1 ?? [] {
      #expect(desk.codes(character) == presses.flatMap(\.codes), "\(character) on \(layout)")
    }
  }

  @Test func layoutsHaveNamesOfTheirOwnAndEveryTokenIsAKeyOrADeadKey() throws {
    #expect(Set(KeyboardLayout.all.map(\.name)).count == KeyboardLayout.all.count)
    #expect(KeyboardLayout.named("DE")?.name == "de")
    #expect(KeyboardLayout.named("xx") == nil)
    for row in KeyboardTables.all {
      let rows = row.levels.split(separator: "\n", omittingEmptySubsequences: false)
      #expect(rows.count == 8 || rows.count == 16, "\(row.name)")
      for (index, tokens) in rows.map({ $0.split(separator: " ") }).enumerated() {
        #expect(tokens.count <= KeyboardTables.keys[index % 4].count, "\(row.name)")
        for token in tokens where token.unicodeScalars.count > 1 && token != "\\-" {
          #expect(DeadKey.named(token) != nil, "\(token) on \(row.name)")
        }
      }
    }
  }

  /// What people need to write a shell script.
  @Test func latinLayoutsTypeAllOfASCII() throws {
    let others: Set<String> = ["gr", "ru", "ua", "bg", "rs", "il"]
    for (name, _) in KeyboardLayout.all where !others.contains(name) {
      let layout = try #require(KeyboardLayout.named(name))
      for code in UInt32(0x20)...0x7E {
        let character = Character(try #require(Unicode.Scalar(code)))
        #expect(layout.spelling(of: character) != nil, "\(character) on \(name)")
      }
    }
  }

  @Test func capsLockOfTheGuestIsMadeUpFor() throws {
    let desk = try Desk("de")
    desk.lights(4)
    #expect(desk.codes("ä") == [0x2A, 0x28, 0xA8, 0xAA])
    #expect(desk.codes("Ä") == [0x28, 0xA8])
    #expect(desk.codes("ß") == [0x0C, 0x8C])
    #expect(desk.codes("É") == [0x0D, 0x8D, 0x12, 0x92])
  }

  // MARK: Modifiers of the viewer

  @Test func theViewersShiftIsGivenBackAfterADeadKey() throws {
    let desk = try Desk("de")
    desk.down(Self.shift)
    #expect(desk.bytes() == [0x2A])
    // Shift is up for the dead acute and down for the letter.
    #expect(desk.codes("É") == [0xAA, 0x0D, 0x8D, 0x2A, 0x12, 0x92])
    #expect(desk.codes("é") == [0xAA, 0x0D, 0x8D, 0x12, 0x92, 0x2A])
    #expect(desk.codes("È") == [0x0D, 0x8D, 0x12, 0x92])
    desk.up(Self.shift)
    #expect(desk.bytes() == [0xAA])
  }

  @Test func altGrOfTheSameLayoutStaysAsItIs() throws {
    let desk = try Desk("de")
    desk.down(0xFE03)
    #expect(desk.bytes() == Self.altGr)
    #expect(desk.codes("@") == [0x10, 0x90])
    #expect(desk.codes("a") == Self.altGrUp + [0x1E, 0x9E] + Self.altGr)
    desk.up(0xFE03)
    #expect(desk.bytes() == Self.altGrUp)
  }

  @Test(arguments: [[UInt32(0xFFE9)], [0xFFE3, 0xFFEA], [0xFFE3, 0xFFE9]])
  func altGrThatComesAsAltAndControlIsAltGr(held: [UInt32]) throws {
    let desk = try Desk("de")
    for keysym in held { desk.down(keysym) }
    let before = desk.bytes()
    let codes = desk.codes("@")
    var keyboard = Set1Keyboard()
    keyboard.take(before)
    let modifiers = keyboard.down
    keyboard.take(Array(codes.prefix(while: { $0 != 0x10 })))
    #expect(keyboard.down == [0xE038])
    keyboard.take(Array(codes.drop(while: { $0 != 0x10 })))
    #expect(keyboard.down == modifiers)
    desk.hub.viewerGone(1)
    keyboard.take(desk.bytes())
    #expect(keyboard.down == [])
  }

  @Test func shortcutsKeepTheirModifiers() throws {
    let desk = try Desk("de")
    desk.down(0xFFE3)
    #expect(desk.codes("z") == [0x1D, 0x15, 0x95])
    desk.up(0xFFE3)
    // The right Alt chooses characters on this keyboard, so the left one is Alt.
    desk.down(0xFFEA)
    #expect(desk.codes("f") == [0x9D, 0x38, 0x21, 0xA1])
    desk.up(0xFFEA)
    #expect(desk.bytes() == [0xB8])
  }

  @Test func aKeyboardWithoutLatinLettersTakesShortcutsWhereAUSOneHasThem() throws {
    let desk = try Desk("ru")
    desk.down(0xFFE3)
    #expect(desk.codes("c") == [0x1D, 0x2E, 0xAE])
    desk.up(0xFFE3)
    _ = desk.bytes()
    #expect(desk.codes("ф") == [0x1E, 0x9E])
    #expect(desk.codes("Ж") == [0x2A, 0x27, 0xA7, 0xAA])
    #expect(throws: TypeError.noKey(character: "c", position: 1, layout: "ru")) {
      try desk.hub.type("c")
    }
  }

  // MARK: Keysyms

  @Test func deadKeysOfTheViewerAreTheGuestsWhereItHasThem() throws {
    let german = try Desk("de")
    for keysym in [UInt32(0xFE51), 0x65] {
      german.down(keysym)
      german.up(keysym)
    }
    #expect(german.bytes() == [0x0D, 0x8D, 0x12, 0x92])
    let american = try Desk("us")
    for keysym in [UInt32(0xFE50), 0xFE51, 0xFE52, 0xFE53, 0xFE57] {
      american.down(keysym)
      american.up(keysym)
    }
    #expect(
      american.bytes() == [0x29, 0xA9, 0x28, 0xA8] + [0x2A, 0x07, 0x87, 0xAA]
        + [0x2A, 0x29, 0xA9, 0xAA] + [0x2A, 0x28, 0xA8, 0xAA])
  }

  @Test func keysymsFromBeforeUnicodeAreTheirCharacters() throws {
    let polish = try Desk("pl")
    polish.down(0x1B1)
    polish.up(0x1B1)
    #expect(polish.bytes() == Self.altGr + [0x1E, 0x9E] + Self.altGrUp)
    let german = try Desk("de")
    german.down(0x20AC)
    german.up(0x20AC)
    #expect(german.bytes() == Self.altGr + [0x12, 0x92] + Self.altGrUp)
  }

  @Test func keysOfAsianKeyboardsAndMediaKeys() throws {
    let desk = try Desk("jp")
    let keys: [(UInt32, [UInt8])] = [
      (0xFF23, [0x79]), (0xFF22, [0x7B]), (0xFF27, [0x70]), (0xFF2A, [0x29]),
      (0x1008_FF12, [0xE0, 0x20]), (0x1008_FF11, [0xE0, 0x2E]), (0x1008_FF13, [0xE0, 0x30]),
      (0x1008_FF14, [0xE0, 0x22]), (0x1008_FF15, [0xE0, 0x24]), (0x1008_FF16, [0xE0, 0x10]),
      (0x1008_FF17, [0xE0, 0x19]), (0x1008_FF2A, [0xE0, 0x5E]), (0x1008_FF2F, [0xE0, 0x5F]),
      (0x1008_FF10, [0xE0, 0x5F]), (0x1008_FF2B, [0xE0, 0x63]), (0x1008_FF18, [0xE0, 0x32]),
    ]
    for (keysym, codes) in keys {
      desk.down(keysym)
      #expect(desk.bytes() == codes)
      desk.up(keysym)
      #expect(desk.bytes() == codes.dropLast() + [(codes.last ?? 0) | 0x80])
    }
  }

  @Test func textIsTypedWithDeadKeysHoweverItIsComposed() throws {
    let desk = try Desk("fr")
    let done = Mutex(false)
    let typist = try KVMEngine.Thread(name: "typist") {
      try? desk.hub.type("ê\u{65}\u{302}\u{20AC}")
      done.withLock { $0 = true }
    }
    var codes: [UInt8] = []
    while !done.withLock({ $0 }) { codes += desk.bytes() }
    typist.join()
    let circumflexE: [UInt8] = [0x1A, 0x9A, 0x12, 0x92]
    #expect(
      codes + desk.bytes() == circumflexE + circumflexE + Self.altGr + [0x12, 0x92] + Self.altGrUp)
  }

  @Test func twoCharactersOnOneKeyOfTheGuestArriveBoth() throws {
    // On a German keyboard they are two keys; on this one both are on that of 8.
    let desk = try Desk("us")
    desk.down(0x2A)
    desk.down(0x38)
    desk.up(0x2A)
    desk.up(0x38)
    #expect(desk.bytes() == [0x2A, 0x09, 0x89, 0xAA, 0x09, 0x89])
  }

  @Test func aHeldCharacterWithADeadKeyIsTypedOnce() throws {
    let desk = try Desk("de")
    for _ in 0..<3 { desk.down(0xE9) }
    desk.up(0xE9)
    #expect(desk.bytes() == [0x0D, 0x8D, 0x12, 0x92])
  }

  @Test(arguments: ["de", "fr", "us-intl", "jp", "ru", "br"])
  func randomViewersNeverLeaveAKeyDown(layout: String) throws {
    let desk = try Desk(layout)
    var random = SplitMix64(seed: 7)
    let keysyms: [UInt32] =
      (0x20...0x7E).map { $0 } + (0xA0...0xFF).map { $0 } + (0xFFE1...0xFFEE).map { $0 }
      + (0xFE50...0xFE6F).map { $0 } + [0xFE03, 0xFE03, 0xFE03, 0x20AC, 0x0100_20AC]
    var state = Set1Keyboard()
    for _ in 0..<3000 {
      let value = random.next()
      let viewer = value >> 8 & 3
      let keysym = keysyms[Int(value >> 20 % UInt64(1 << 30)) % keysyms.count]
      switch value & 63 {
      case 0: desk.hub.viewerGone(viewer)
      case 1...8:
        desk.hub.key(
          viewer: viewer, scanCode: UInt32(value >> 24 & 0xFF), keysym: keysym,
          pressed: value & 1 << 10 != 0)
      default: desk.hub.key(viewer: viewer, keysym: keysym, pressed: value & 1 << 10 != 0)
      }
      state.take(desk.bytes())
    }
    for viewer in UInt64(0)..<4 { desk.hub.viewerGone(viewer) }
    state.take(desk.bytes())
    #expect(state.down == [])
  }

  // MARK: Chords

  @Test func chordsNameTheCharactersOfTheGuestsKeyboard() throws {
    let german = try #require(KeyboardLayout.named("de"))
    #expect(try Chord("ctrl-z", on: german).keys == [.leftControl, .y])
    #expect(try Chord("@", on: german).keys == [.rightAlt, .q])
    #expect(try Chord("ctrl-plus", on: german).keys == [.leftControl, .rightBracket])
    #expect(throws: TypeError.unknownKey(name: "é", chord: "é")) { try Chord("é", on: german) }
  }
}

import Synchronization

/// What the guest believes its keyboard types: which key, with which modifiers, for which character.
///
/// A table is read when the first key comes, not when the desktop starts.
public final class KeyboardLayout: Sendable {
  /// Which of a key's characters.
  struct Level: Equatable, Sendable {
    var shift = false
    var altGr = false
    /// The key's first two characters are a letter in lower and upper case: Caps Lock changes what
    /// Shift does.
    var isLetter = false
  }

  /// A key and how to press it.
  struct Place: Equatable, Sendable {
    var key: PhysicalKey
    var level: Level

    /// How much is to be said against it, where a character is on several keys: AltGr most, then the
    /// key beside the left Shift, which keyboards made for the United States lack.
    fileprivate var cost: Int {
      (level.altGr ? 4 : 0) + (key == .nonUSBackslash ? 2 : 0) + (level.shift ? 1 : 0)
    }
  }

  /// How a character is typed.
  struct Spelling: Equatable, Sendable {
    /// The dead key that comes first.
    var dead: Place?
    var place: Place
  }

  fileprivate struct Contents {
    var characters: [Character: Place] = [:]
    var deadKeys: [UInt32: Place] = [:]
  }

  /// The name of the option `--keyboard`.
  public let name: String
  /// What people call it.
  public let title: String
  /// Whether the right Alt key chooses further characters.
  let hasAltGr: Bool
  private let levels: String
  private let contents = Mutex<Contents?>(nil)

  /// The layout without which nothing is known of the guest.
  public static let us = KeyboardLayout(KeyboardTables.western[0])

  /// Name and title of every layout.
  public static var all: [(name: String, title: String)] {
    KeyboardTables.all.map { ($0.name, $0.title) }
  }

  /// The layout of this name; nil where there is none.
  public static func named(_ name: String) -> KeyboardLayout? {
    KeyboardTables.all.first { $0.name == name.lowercased() }.map { KeyboardLayout($0) }
  }

  private init(_ row: KeyboardTables.Row) {
    name = row.name
    title = row.title
    levels = row.levels
    let lines = row.levels.utf8.count { $0 == UInt8(ascii: "\n") } + 1
    hasAltGr = lines > 2 * KeyboardTables.keys.count
  }

  /// How `character` is typed; nil where the keyboard can't.
  func spelling(of character: Character) -> Spelling? {
    if character == " " || character == "\u{A0}" {
      return Spelling(place: Place(key: .space, level: Level()))
    }
    let contents = filled()
    if let place = contents.characters[character] { return Spelling(place: place) }
    return composition(of: character, contents)
  }

  /// The dead key of this keysym.
  func deadKey(_ keysym: UInt32) -> Place? { filled().deadKeys[keysym] }

  private func composition(of character: Character, _ contents: Contents) -> Spelling? {
    var best: Spelling?
    func offer(_ dead: Place, _ place: Place) {
      let spelling = Spelling(dead: dead, place: place)
      if let best, best.cost <= spelling.cost { return }
      best = spelling
    }
    for dead in DeadKey.all {
      guard let first = contents.deadKeys[dead.keysym] else { continue }
      if dead.alone == String(character) { offer(first, Place(key: .space, level: Level())) }
      if dead.twice == String(character) { offer(first, first) }
      dead.forEachPair { base, made in
        guard Character(made) == character, let place = contents.characters[Character(base)] else {
          return
        }
        offer(first, place)
      }
    }
    return best
  }

  // MARK: Table

  private func filled() -> Contents {
    contents.withLock { contents in
      if let contents { return contents }
      let read = Self.read(levels)
      contents = read
      return read
    }
  }

  private static func read(_ levels: String) -> Contents {
    let rows = levels.split(separator: "\n", omittingEmptySubsequences: false).map {
      $0.split(separator: " ")
    }
    var contents = Contents()
    let height = KeyboardTables.keys.count
    for (index, row) in rows.enumerated() {
      let level = index / height
      for (key, token) in zip(KeyboardTables.keys[index % height], row) where token != "-" {
        let column = KeyboardTables.keys[index % height].firstIndex(of: key) ?? 0
        let isLetter =
          level < 2 && isPair(rows[index % height], rows[index % height + height], column)
        let place = Place(
          key: key,
          level: Level(shift: level & 1 != 0, altGr: level & 2 != 0, isLetter: isLetter))
        contents.add(token, place)
      }
    }
    return contents
  }

  /// Whether a key's first two characters are the two cases of a letter.
  private static func isPair(_ plain: [Substring], _ shifted: [Substring], _ column: Int) -> Bool {
    guard plain.indices.contains(column), shifted.indices.contains(column) else { return false }
    return plain[column] != shifted[column] && plain[column].uppercased() == shifted[column]
  }
}

extension KeyboardLayout.Spelling {
  fileprivate var cost: Int { (dead?.cost ?? 0) + place.cost }
}

extension KeyboardLayout.Contents {
  /// Notes what a token of the table says of a place, where no better place says the same.
  fileprivate mutating func add(_ token: Substring, _ place: KeyboardLayout.Place) {
    let text = token == "\\-" ? "-" : token
    if text.unicodeScalars.count == 1, let character = text.first {
      if characters[character].map({ place.cost < $0.cost }) ?? true {
        characters[character] = place
      }
    } else if let dead = DeadKey.named(text) {
      if deadKeys[dead.keysym].map({ place.cost < $0.cost }) ?? true {
        deadKeys[dead.keysym] = place
      }
    }
  }
}

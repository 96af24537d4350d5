/// Writes a commented configuration file, which ``YAMLDocument`` reads back.
public struct ConfigurationWriter {
  /// The file so far.
  public private(set) var text = ""
  private static let width = 100

  public init() {}

  /// A comment, in lines of at most 100 characters.
  public mutating func comment(_ sentence: String) {
    var line = "#"
    for word in sentence.split(separator: " ") {
      if line.count + 1 + word.count > Self.width {
        text += line + "\n"
        line = "#"
      }
      line += " " + word
    }
    text += line + "\n"
  }

  /// An empty line.
  public mutating func gap() { text += "\n" }

  /// `key: value`.
  public mutating func entry(_ key: String, _ value: String) {
    text += "\(key): \(Self.quoted(value))\n"
  }

  public mutating func entry(_ key: String, _ value: Int) { text += "\(key): \(value)\n" }
  public mutating func entry(_ key: String, _ value: Bool) { text += "\(key): \(value)\n" }

  /// `# key: value`: what could stand there.
  public mutating func example(_ key: String, _ value: String) {
    text += "# \(key): \(Self.quoted(value))\n"
  }

  /// A list, a value a line.
  public mutating func list(_ key: String, _ values: [String]) {
    text += "\(key):\n" + values.map { "  - \(Self.quoted($0))\n" }.joined()
  }

  /// A list of groups of keys.
  public mutating func groups(_ key: String, _ groups: [[(key: String, value: String)]]) {
    text += "\(key):\n"
    for group in groups {
      for (index, entry) in group.enumerated() {
        text += "  \(index == 0 ? "-" : " ") \(entry.key): \(Self.quoted(entry.value))\n"
      }
    }
  }

  /// `value` as YAML, in quotes where it would mean something else without them.
  public static func quoted(_ value: String) -> String {
    let plain = value.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
        UInt8(ascii: "."), UInt8(ascii: "/"), UInt8(ascii: "+"):
        true
      default: false
      }
    }
    let words: Set = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
    if plain, !value.isEmpty, !value.hasPrefix("-"), !words.contains(value.lowercased()) {
      return value
    }
    var quoted = "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"", "\\": quoted += "\\" + String(scalar)
      case "\n": quoted += "\\n"
      case "\t": quoted += "\\t"
      case _ where !printable(scalar): quoted += escape(scalar)
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }

  /// What YAML lets stand as it is (YAML 1.1, 5.1), without its line separators.
  private static func printable(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x20...0x7E, 0xA0...0x2027, 0x202A...0xD7FF, 0xE000...0xFEFE, 0xFF00...0xFFFD,
      0x10000...0x10FFFF:
      true
    default: false
    }
  }

  private static func escape(_ scalar: Unicode.Scalar) -> String {
    let digits = String(scalar.value, radix: 16)
    return "\\U" + String(repeating: "0", count: 8 - digits.count) + digits
  }
}

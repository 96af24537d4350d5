/// What a desktop may be called: the name is part of a file name and of a VNC viewer's title, and must
/// look like no option.
enum DesktopName {
  /// The name of a desktop that was given none, and the stem of the names of those beside it.
  static let standard = "porthole"
  /// The longest name, in bytes.
  static let longest = 64

  /// Whether `text` may be a desktop's name.
  static func isAllowed(_ text: String) -> Bool {
    let allowed = text.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"),
        UInt8(ascii: "."):
        true
      default: false
      }
    }
    return allowed && !text.isEmpty && text.utf8.count <= longest && !text.hasPrefix(".")
      && !text.hasPrefix("-")
  }

  /// `text`, if it may be a desktop's name.
  static func parse(_ text: String) throws(Complaint) -> String {
    guard isAllowed(text) else {
      throw Complaint(
        "a desktop's name is 1 to \(longest) letters, digits, dots, dashes and underscores, "
          + "without a dot or a dash in front")
    }
    return text
  }
}

/// What an image in the store may be called: much as a desktop, for both are names of folders.
enum ImageName {
  /// Whether `text` may be an image's name.
  static func isAllowed(_ text: String) -> Bool { DesktopName.isAllowed(text) }

  /// `text`, if it may be an image's name.
  static func parse(_ text: String) throws(Complaint) -> String {
    guard isAllowed(text) else {
      throw Complaint(
        "an image's name is 1 to \(DesktopName.longest) letters, digits, dots, dashes and "
          + "underscores, without a dot or a dash in front")
    }
    return text
  }

  /// The name for an image that got none, from its file's: without the ending, and with a dash for
  /// whatever a name can't have.
  static func suggested(for path: String) -> String {
    var stem = path.split(separator: "/").last.map(String.init) ?? ""
    for ending in [".iso", ".qcow2", ".img", ".raw", ".qcow"]
    where stem.lowercased().hasSuffix(ending) && stem.count > ending.count {
      stem = String(stem.dropLast(ending.count))
      break
    }
    var name = ""
    for character in stem {
      let isFine = DesktopName.isAllowed("x" + String(character))
      if !isFine && (name.isEmpty || name.hasSuffix("-")) { continue }
      name += isFine ? String(character) : "-"
    }
    name = String(name.drop { $0 == "." || $0 == "-" }.prefix(DesktopName.longest))
    while name.hasSuffix("-") { name.removeLast() }
    return name.isEmpty ? "image" : name
  }
}

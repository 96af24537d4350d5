import Input

/// The options that say what the guest's keyboard types, and what pastes.
enum KeyboardOption {
  /// Reads `--keyboard`'s value.
  static func parse(_ text: String) throws -> KeyboardLayout {
    if let layout = KeyboardLayout.named(text) { return layout }
    let names = KeyboardLayout.all.map(\.name).joined(separator: ", ")
    throw Complaint("there is no keyboard layout \"\(text)\"; there are \(names)")
  }

  /// Reads `--paste-key`'s value: keys, or none.
  static func chord(_ text: String, on layout: KeyboardLayout) throws -> Chord? {
    text.lowercased() == "none" ? nil : try Chord(text, on: layout)
  }
}

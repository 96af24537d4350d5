import Input

/// The option that says what the guest's keyboard types.
enum KeyboardOption {
  /// Reads `--keyboard`'s value.
  static func parse(_ text: String) throws -> KeyboardLayout {
    if let layout = KeyboardLayout.named(text) { return layout }
    let names = KeyboardLayout.all.map(\.name).joined(separator: ", ")
    throw Complaint("there is no keyboard layout \"\(text)\"; there are \(names)")
  }
}

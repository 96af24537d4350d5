/// Keys that are a command to the desktop itself and not to its guest.
extension HeldKeys {
  /// Modifiers, whichever of two keys is held.
  private enum Modifier: Hashable { case control, alt, shift, windows }

  private func modifier(_ key: PhysicalKey) -> Modifier? {
    switch key {
    case .leftControl, .rightControl: .control
    case .leftAlt: .alt
    case .rightAlt: layout.hasAltGr ? nil : .alt
    case .leftShift, .rightShift: .shift
    case .leftWindows, .rightWindows: .windows
    default: nil
    }
  }

  /// Whether `viewer` holds just the modifiers of `chord` and now presses its other key, `key`, anew.
  func completes(_ chord: Chord, viewer: UInt64, key: PhysicalKey) -> Bool {
    guard chord.keys.last == key, modifier(key) == nil else { return false }
    let own = holds.filter { $0.viewer == viewer }
    if own.contains(where: { $0.key == key || $0.nominal == key }) { return false }
    let held = Set(own.compactMap(\.key).compactMap(modifier))
    return held == Set(chord.keys.compactMap(modifier))
  }

  /// The guest sees nothing of the press of `key`, and the modifiers that `viewer` holds go up for it.
  mutating func spend(
    viewer: UInt64, key: PhysicalKey, keysym: UInt32, isPlace: Bool
  ) -> [KeyStroke] {
    var strokes: [KeyStroke] = []
    for index in holds.indices where holds[index].viewer == viewer {
      guard let held = holds[index].key, modifier(held) != nil else { continue }
      holds[index].isSpent = true
      if modifier(held) == .windows { strokes.append(KeyStroke(held, pressed: false)) }
    }
    holds.append(
      Hold(
        viewer: viewer, keysym: keysym, key: nil, nominal: key, isCharacter: false,
        isPlace: isPlace, levelKeys: []))
    return strokes + changeLevel(to: heldLevel, owner: nil)
  }
}

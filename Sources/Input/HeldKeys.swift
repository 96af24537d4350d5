/// Which keys are down, who holds them, and what the guest believes about Shift.
///
/// A viewer sends characters, made on a keyboard of its own layout with its own Caps Lock, and the
/// guest expects keys of the keyboard that it believes in. So for a character the level keys (both
/// Shifts and the right Alt) are brought into the state that the character needs, for as long as its
/// key is down or until another key needs them otherwise; then they go back to what the viewers hold.
/// A character that takes a dead key and another is typed at once, whole.
struct HeldKeys: Sendable {
  /// One keysym that one viewer holds down.
  struct Hold: Sendable, Equatable {
    var viewer: UInt64
    var keysym: UInt32
    /// Nil where the keysym has no key: it is remembered so that its release matches it.
    var key: PhysicalKey?
    /// The key that the keysym names, where Num Lock made it another one.
    var nominal: PhysicalKey?
    /// Whether the keysym is a character.
    var isCharacter: Bool
    /// Whether the viewer named the key by its place.
    var isPlace = false
    /// Whether the key is up for the guest, since it was part of a command to the desktop itself.
    var isSpent = false
    /// The level keys that the viewer held when it pressed the key.
    var levelKeys: [PhysicalKey]
  }

  /// Keys that one viewer can hold; more fingers has nobody.
  static let holdsPerViewer = 64

  private static let shifts: [PhysicalKey] = [.leftShift, .rightShift]
  private static let controls: [PhysicalKey] = [.rightControl, .leftControl]
  /// Keys that characters may need otherwise than they are held. Control and Alt are among them, since
  /// some viewers send both, or Alt alone, where their user held AltGr.
  private static let levelKeys: [PhysicalKey] = [.leftAlt] + controls + shifts + [.rightAlt]

  /// The layout that the guest believes in.
  let layout: KeyboardLayout
  var holds: [Hold] = []
  /// The level keys that are down as the guest sees them.
  private var visibleLevel: [PhysicalKey] = []
  /// The key for which ``visibleLevel`` is not what the viewers hold.
  private var levelOwner: PhysicalKey?
  /// Keysyms that no key stands for.
  private(set) var ignored: UInt64 = 0

  init(layout: KeyboardLayout, ignored: UInt64 = 0) {
    self.layout = layout
    self.ignored = ignored
  }

  // MARK: Events

  /// `viewer` presses `keysym`, or repeats it.
  /// - Returns: what the keyboard has to do.
  mutating func press(viewer: UInt64, keysym: UInt32, leds: KeyboardLEDs) -> [KeyStroke] {
    let repeats = holds.contains { $0.viewer == viewer && $0.keysym == keysym }
    if !repeats && holds.count(where: { $0.viewer == viewer }) >= Self.holdsPerViewer { return [] }
    guard let entry = KeyMap.entry(for: keysym, on: layout) else {
      if !repeats {
        ignored &+= 1
        add(Hold(viewer: viewer, keysym: keysym, key: nil, isCharacter: false, levelKeys: []))
      }
      return []
    }
    if repeats {
      let held = holds.first { $0.viewer == viewer && $0.keysym == keysym }?.key
      return held.map { repeatStroke($0) } ?? []
    }
    if entry.dead != nil {
      add(Hold(viewer: viewer, keysym: keysym, key: nil, isCharacter: true, levelKeys: []))
      return entry.taps.flatMap { strike($0, leds: leds) } + changeLevel(to: heldLevel, owner: nil)
    }
    let key = resolve(entry, leds: leds)
    // Two characters of the viewer's may be one key of the guest's.
    let isTaken = entry.level.isCharacter && isHeld(key)
    add(
      Hold(
        viewer: viewer, keysym: keysym, key: key, nominal: entry.key,
        isCharacter: entry.level.isCharacter, levelKeys: heldLevelKeys(of: viewer)))
    if Self.levelKeys.contains(key) { return changeLevel(to: heldLevel, owner: nil) }
    let wanted = wantedLevel(for: entry.level, leds: leds)
    let owner = wanted == heldLevel ? nil : key
    return (isTaken ? [KeyStroke(key, pressed: false)] : [])
      + changeLevel(to: wanted, owner: owner) + [KeyStroke(key, pressed: true)]
  }

  /// Presses a key and lets it go, with the modifiers that it needs.
  mutating func tap(_ entry: KeyMap.Entry, leds: KeyboardLEDs) -> [KeyStroke] {
    strike(entry, leds: leds) + changeLevel(to: heldLevel, owner: nil)
  }

  /// A tap that leaves the modifiers as the key needed them.
  private mutating func strike(_ entry: KeyMap.Entry, leds: KeyboardLEDs) -> [KeyStroke] {
    changeLevel(to: wantedLevel(for: entry.level, leds: leds), owner: nil)
      + [KeyStroke(entry.key, pressed: true), KeyStroke(entry.key, pressed: false)]
  }

  /// `viewer` releases `keysym`, or a keysym that the key it pressed now has.
  mutating func release(viewer: UInt64, keysym: UInt32) -> [KeyStroke] {
    guard let index = indexOfHold(viewer: viewer, keysym: keysym) else { return [] }
    return remove([holds.remove(at: index)])
  }

  /// `viewer` takes its hands away.
  mutating func releaseAll(of viewer: UInt64) -> [KeyStroke] {
    let gone = holds.filter { $0.viewer == viewer }
    holds.removeAll { $0.viewer == viewer }
    return remove(gone.reversed())
  }

  /// `viewer` presses a key by its place, whatever it types, or repeats it.
  mutating func press(viewer: UInt64, key: PhysicalKey, keysym: UInt32 = 0) -> [KeyStroke] {
    if holds.contains(where: { $0.viewer == viewer && $0.key == key && $0.isPlace }) {
      return repeatStroke(key)
    }
    if holds.contains(where: { $0.viewer == viewer && $0.isPlace && $0.nominal == key }) {
      return []
    }
    guard holds.count(where: { $0.viewer == viewer }) < Self.holdsPerViewer else { return [] }
    add(
      Hold(
        viewer: viewer, keysym: keysym, key: key, isCharacter: false, isPlace: true, levelKeys: []))
    let level = changeLevel(to: heldLevel, owner: nil)
    return Self.levelKeys.contains(key) ? level : level + [KeyStroke(key, pressed: true)]
  }

  /// `viewer` releases a key that it pressed by its place, or else by what it types.
  mutating func release(viewer: UInt64, key: PhysicalKey, keysym: UInt32) -> [KeyStroke] {
    let index = holds.lastIndex {
      $0.viewer == viewer && $0.isPlace && ($0.key == key || $0.nominal == key)
    }
    guard let index else { return release(viewer: viewer, keysym: keysym) }
    return remove([holds.remove(at: index)])
  }

  // MARK: Holds

  private mutating func add(_ hold: Hold) { holds.append(hold) }

  private func isHeld(_ key: PhysicalKey) -> Bool {
    holds.contains { $0.key == key && !$0.isSpent }
  }

  /// Strokes for holds that ended already.
  private mutating func remove(_ gone: [Hold]) -> [KeyStroke] {
    var strokes: [KeyStroke] = []
    var levelChanged = false
    for hold in gone {
      guard let key = hold.key, !isHeld(key) else { continue }
      if Self.levelKeys.contains(key) {
        levelChanged = true
      } else if !strokes.contains(KeyStroke(key, pressed: false)) {
        strokes.append(KeyStroke(key, pressed: false))
        if levelOwner == key { levelChanged = true }
      }
    }
    return levelChanged ? strokes + changeLevel(to: heldLevel, owner: nil) : strokes
  }

  /// Which hold a release ends. A key that was pressed as `(` is released as `9` where Shift went up
  /// first, and as any other character where the viewer's layout is another one.
  private func indexOfHold(viewer: UInt64, keysym: UInt32) -> Int? {
    if let exact = holds.lastIndex(where: { $0.viewer == viewer && $0.keysym == keysym }) {
      return exact
    }
    guard let entry = KeyMap.entry(for: keysym, on: layout) else { return nil }
    let sameKey = holds.lastIndex {
      $0.viewer == viewer && ($0.key == entry.key || $0.nominal == entry.key)
    }
    if let sameKey { return sameKey }
    guard entry.level.isCharacter else { return nil }
    let level = heldLevelKeys(of: viewer)
    return holds.lastIndex {
      $0.viewer == viewer && $0.isCharacter && $0.levelKeys != level
    }
  }

  private func repeatStroke(_ key: PhysicalKey) -> [KeyStroke] {
    if Self.levelKeys.contains(key) && !visibleLevel.contains(key) { return [] }
    return [KeyStroke(key, pressed: true)]
  }

  // MARK: Level

  /// The level keys that somebody holds.
  var heldLevel: [PhysicalKey] { Self.levelKeys.filter(isHeld) }

  private func heldLevelKeys(of viewer: UInt64) -> [PhysicalKey] {
    Self.levelKeys.filter { key in holds.contains { $0.viewer == viewer && $0.key == key } }
  }

  private func resolve(_ entry: KeyMap.Entry, leds: KeyboardLEDs) -> PhysicalKey {
    if case .keypadCursor(let gray) = entry.level, leds.contains(.numLock) { return gray }
    return entry.key
  }

  /// With Control, Alt or the Windows key a letter is a command and not a letter of some case.
  private var commandKeyIsHeld: Bool {
    let commands: [PhysicalKey] = [
      .leftControl, .rightControl, .leftAlt, .leftWindows, .rightWindows,
    ]
    let rightAltIsAlt = !layout.hasAltGr && !viewerChoosesLevel && isHeld(.rightAlt)
    return commands.contains(where: isHeld) || rightAltIsAlt
  }

  /// Whether a viewer holds AltGr, which made one character of another.
  private var viewerChoosesLevel: Bool {
    holds.contains { KeyMap.levelShifts.contains($0.keysym) }
  }

  private func wantedLevel(for level: KeyMap.Level, leds: KeyboardLEDs) -> [PhysicalKey] {
    var wanted = heldLevel
    switch level {
    case .any, .keypadCursor: break
    case .keypadDigit: setShift(!leds.contains(.numLock), in: &wanted)
    case .character(let needs):
      let isCommand = needs.isLetter && commandKeyIsHeld
      if !isCommand {
        setShift(needs.shift != (needs.isLetter && leds.contains(.capsLock)), in: &wanted)
      }
      setAltGr(needs.altGr, in: &wanted)
    }
    return wanted
  }

  private func setShift(_ isDown: Bool, in wanted: inout [PhysicalKey]) {
    if !isDown {
      wanted.removeAll { Self.shifts.contains($0) }
    } else if !wanted.contains(where: Self.shifts.contains) {
      wanted.append(.leftShift)
    }
  }

  private func setAltGr(_ isDown: Bool, in wanted: inout [PhysicalKey]) {
    guard layout.hasAltGr else {
      let asAlt = holds.contains { KeyMap.rightAlts.contains($0.keysym) }
      if viewerChoosesLevel && !asAlt { wanted.removeAll { $0 == .rightAlt } }
      return
    }
    wanted.removeAll { $0 == .rightAlt }
    guard isDown else { return }
    wanted.append(.rightAlt)
    if wanted.contains(.leftAlt) {
      wanted.removeAll { $0 == .leftAlt || Self.controls.contains($0) }
    }
  }

  mutating func changeLevel(
    to wanted: [PhysicalKey], owner: PhysicalKey?
  ) -> [KeyStroke] {
    var strokes: [KeyStroke] = []
    for key in visibleLevel where !wanted.contains(key) {
      strokes.append(KeyStroke(key, pressed: false))
    }
    for key in wanted where !visibleLevel.contains(key) {
      strokes.append(KeyStroke(key, pressed: true))
    }
    visibleLevel = wanted
    levelOwner = owner
    return strokes
  }
}

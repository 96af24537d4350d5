/// Keys to be pressed together, by name: `ctrl-alt-del`, `shift-a`, `f1`.
///
/// Names, in any case, joined by `-` or `+`:
/// - a character that the guest's keyboard types stands for its key, with Shift and AltGr where the
///   character needs them and is not a letter; `minus` and `plus` also by name, and `-` or `+` where it stands alone or
///   last (`ctrl--`)
/// - `ctrl` `control` `lctrl` `rctrl` `alt` `lalt` `ralt` `altgr` `shift` `lshift` `rshift` `win`
///   `super` `meta` `lwin` `rwin`
/// - `f1` to `f24`, `esc` `escape`, `enter` `return`, `tab`, `space`, `backspace` `bksp`,
///   `capslock` `caps`, `numlock`, `scrolllock`, `print` `printscreen` `prtsc` `sysrq`, `pause`,
///   `break`, `menu`
/// - `ins` `insert`, `del` `delete`, `home`, `end`, `pgup` `pageup`, `pgdn` `pagedown`, `up`, `down`,
///   `left`, `right`
/// - `kp0` to `kp9`, `kpdot`, `kpenter`, `kpplus`, `kpminus`, `kpmultiply`, `kpdivide`
/// - `mute`, `volumeup`, `volumedown`, `playpause`, `stop`, `next`, `previous`,
///   `power`, `sleep`, `wake`
public struct Chord: Sendable, Equatable {
  /// The keys in the order in which they are pressed, each once.
  public let keys: [PhysicalKey]

  /// - Throws: ``TypeError/unknownKey(name:chord:)`` or ``TypeError/emptyChord``.
  public init(_ text: String, on layout: KeyboardLayout = .us) throws(TypeError) {
    let parts = Self.parts(of: text)
    guard !parts.isEmpty else { throw .emptyChord }
    var keys: [PhysicalKey] = []
    for part in parts {
      guard let named = Self.keys(named: part, on: layout) else {
        throw .unknownKey(name: part, chord: text)
      }
      for key in named where !keys.contains(key) { keys.append(key) }
    }
    self.keys = keys
  }

  /// Splits at `-` and `+`, but for one that is the last key itself.
  private static func parts(of text: String) -> [String] {
    if text.isEmpty { return [] }
    if text.count == 1 { return [text] }
    var body = Substring(text)
    var last: [String] = []
    if let end = body.last, isSeparator(end), let before = body.dropLast().last,
      isSeparator(before)
    {
      last = [String(end)]
      body = body.dropLast(2)
    }
    if body.isEmpty { return last }
    let names = body.split(omittingEmptySubsequences: false, whereSeparator: isSeparator)
    return names.map(String.init) + last
  }

  private static func isSeparator(_ character: Character) -> Bool {
    character == "-" || character == "+"
  }

  private static func keys(named name: String, on layout: KeyboardLayout) -> [PhysicalKey]? {
    let lower = name.lowercased()
    if let character = lower.first, lower.count == 1 {
      guard let entry = KeyMap.entry(for: character, on: layout), entry.dead == nil else {
        return nil
      }
      guard case .character(let level) = entry.level else { return [entry.key] }
      return (level.shift && !level.isLetter ? [.leftShift] : [])
        + (level.altGr ? [.rightAlt] : []) + [entry.key]
    }
    if lower == "break" { return [.leftControl, .pause] }
    if lower == "plus" { return keys(named: "+", on: layout) }
    if lower == "minus" { return keys(named: "-", on: layout) }
    return names[lower].map { [$0] }
  }

  private static let names: [String: PhysicalKey] = {
    var names = fixedNames
    for (index, key) in KeyMap.functionKeys.enumerated() { names["f\(index + 1)"] = key }
    for (index, key) in KeyMap.keypadDigits.enumerated() { names["kp\(index)"] = key }
    return names
  }()

  private static let fixedNames: [String: PhysicalKey] = [
    "ctrl": .leftControl, "control": .leftControl, "lctrl": .leftControl, "rctrl": .rightControl,
    "alt": .leftAlt, "lalt": .leftAlt, "ralt": .rightAlt, "altgr": .rightAlt,
    "shift": .leftShift, "lshift": .leftShift, "rshift": .rightShift,
    "win": .leftWindows, "super": .leftWindows, "meta": .leftWindows, "lwin": .leftWindows,
    "rwin": .rightWindows, "esc": .escape, "escape": .escape, "enter": .enter, "return": .enter,
    "tab": .tab, "space": .space, "backspace": .backspace, "bksp": .backspace,
    "capslock": .capsLock, "caps": .capsLock, "numlock": .numLock, "scrolllock": .scrollLock,
    "print": .printScreen, "printscreen": .printScreen, "prtsc": .printScreen,
    "sysrq": .printScreen, "pause": .pause, "menu": .menu,
    "ins": .insert, "insert": .insert, "del": .delete, "delete": .delete, "home": .home,
    "end": .end, "pgup": .pageUp, "pageup": .pageUp, "pgdn": .pageDown, "pagedown": .pageDown,
    "up": .up, "down": .down, "left": .left, "right": .right,
    "kpdot": .keypadDecimal, "kpenter": .keypadEnter, "kpplus": .keypadAdd,
    "kpminus": .keypadSubtract, "kpmultiply": .keypadMultiply, "kpdivide": .keypadDivide,
    "mute": .mute, "volumeup": .volumeUp, "volumedown": .volumeDown, "playpause": .playPause,
    "stop": .mediaStop, "next": .nextTrack, "previous": .previousTrack, "power": .power,
    "sleep": .sleep, "wake": .wake,
  ]
}

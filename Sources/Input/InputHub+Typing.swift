import KVMEngine

/// How fast ``InputHub/type(_:)`` goes.
///
/// A guest's handler takes scan codes away within microseconds and puts keys into a buffer of its
/// own, which the keyboard can't see; a BIOS drops what comes when it holds 15. Where nobody tells
/// how full that buffer is (``InputHub/acceptance(_:)``), time has to do: after ``burst`` keys comes
/// a rest until ``interval`` has passed since the burst began.
///
/// The cable alone allows a key each 1.9 ms in mixed text (0.66 ms a byte). Measured with a buffer
/// of 15 keys: unlimited typing drops keys where the program takes one each 3 ms or pauses for
/// 30 ms; eight keys each 20 ms (2.5 ms a key) where it takes one each 3 ms or pauses for 60 ms;
/// four keys each 20 ms (4.9 ms a key) in neither case. So that is the default: 200 keys a second,
/// with room for a guest that looks away for 60 ms.
///
/// There is no gap between keys within a burst: the pause on the cable is one already.
public struct TypingPace: Sendable, Equatable {
  /// Keys that are typed without a rest.
  public var burst: Int
  /// Nanoseconds from the start of a burst to the start of the next one.
  public var interval: UInt64
  /// Nanoseconds from one key to the next.
  public var gap: UInt64
  /// Nanoseconds without any progress after which typing gives up.
  public var patience: UInt64

  public init(
    burst: Int = 4, interval: UInt64 = 20_000_000, gap: UInt64 = 0,
    patience: UInt64 = 5_000_000_000
  ) {
    self.burst = max(burst, 1)
    self.interval = interval
    self.gap = gap
    self.patience = patience
  }
}

/// Why a text or a chord could not be typed.
public enum TypeError: Error, CustomStringConvertible, Sendable, Equatable {
  /// No key of the keyboard types it. `position` counts from 1. Nothing was typed.
  case noKey(character: Character, position: Int, layout: String)
  /// The chord has a part that is no key's name. Nothing was pressed.
  case unknownKey(name: String, chord: String)
  /// The chord names no key at all.
  case emptyChord
  /// The guest stopped reading. `typed` of `count` keys had been handed to it whole.
  case notRead(typed: Int, count: Int)
  /// The guest reads its keyboard, but its own buffer stays full.
  case bufferFull(typed: Int, count: Int)
  /// Somebody ended it.
  case ended(typed: Int, count: Int)

  public var description: String {
    switch self {
    case .noKey(let character, let position, let layout):
      "cannot type \(Self.quoted(character)) (character \(position)): "
        + "the guest's keyboard (\(layout)) has no key for it"
    case .unknownKey(let name, let chord):
      "cannot press \"\(chord)\": "
        + (name.isEmpty ? "a key's name is missing" : "there is no key \"\(name)\"")
        + "; keys are named like a, 7, f1, enter, esc, up, ctrl, alt, shift, del, joined by -"
    case .emptyChord: "cannot press a chord without keys; one looks like ctrl-alt-del"
    case .notRead(let typed, let count):
      "the guest does not read its keyboard (\(typed) of \(count) keys went through)"
    case .bufferFull(let typed, let count):
      "the guest does not take keys out of its keyboard buffer "
        + "(\(typed) of \(count) keys went through)"
    case .ended(let typed, let count):
      "typing was ended (\(typed) of \(count) keys went through)"
    }
  }

  private static func quoted(_ character: Character) -> String {
    let codes = character.unicodeScalars.map { scalar in
      let digits = String(scalar.value, radix: 16, uppercase: true)
      return "U+" + String(repeating: "0", count: max(0, 4 - digits.count)) + digits
    }
    let visible = character.unicodeScalars.allSatisfy { $0.value > 0x20 && $0.value != 0x7F }
    return (visible ? "\"\(character)\" " : "") + codes.joined(separator: " ")
  }
}

extension InputHub {
  /// The viewer that typing and clicking from outside is.
  static let typist = UInt64.max

  /// Types `text` on the guest's keyboard and returns when the guest has read all of it.
  ///
  /// Line ends are Enter (CR LF is one), tabs Tab, U+0008 Backspace and U+001B Escape. Blocks; one
  /// text is typed at a time.
  /// - Throws: ``TypeError``; where a character has no key, before anything is typed.
  public func type(_ text: String) throws(TypeError) { try type(text, endedBy: { false }) }

  /// The same, as long as `isEnded` does not say that somebody ended it.
  func type(_ text: String, endedBy isEnded: () -> Bool) throws(TypeError) {
    let taps = try taps(for: text)
    noteActivity()
    try typing.withLock { (_: inout Void) throws(TypeError) in
      var burst = Burst()
      var readBefore: UInt64 = 0
      for (index, tap) in taps.enumerated() {
        if isEnded() { throw .ended(typed: index, count: taps.count) }
        try waitForTurn(&burst, done: index, count: taps.count)
        readBefore = monitor.withLock { bytesRead }
        whenLetIn { state in
          controller.strokes(state.keys.tap(tap, leds: controller.keyboardLEDs))
        }
      }
      try waitUntilRead(done: taps.count, count: taps.count, lastAfter: readBefore)
    }
  }

  /// Presses keys together, in order, and releases them the other way round: `ctrl-alt-del`,
  /// `shift-a`, `f1`, `enter`. Blocks until the guest has read it.
  ///
  /// Names are those of ``Chord``, in any case, joined by `-` or `+`.
  /// - Throws: ``TypeError``; where a name is not a key's, before anything is pressed.
  public func press(chord text: String) throws(TypeError) {
    let keys = try Chord(text, on: layout).keys
    noteActivity()
    try typing.withLock { (_: inout Void) throws(TypeError) in
      var burst = Burst()
      try waitForTurn(&burst, done: 0, count: keys.count)
      let readBefore = monitor.withLock { bytesRead }
      whenLetIn { state in
        var strokes: [KeyStroke] = []
        for key in keys { strokes += state.keys.press(viewer: Self.typist, key: key) }
        controller.strokes(strokes + state.keys.releaseAll(of: Self.typist))
      }
      try waitUntilRead(done: 0, count: keys.count, lastAfter: readBefore)
    }
  }

  /// The keys of each character, dead keys before what they change.
  private func taps(for text: String) throws(TypeError) -> [KeyMap.Entry] {
    var taps: [KeyMap.Entry] = []
    for (index, character) in text.enumerated() {
      guard let entry = entry(for: character) else {
        throw .noKey(character: character, position: index + 1, layout: layout.name)
      }
      taps += entry.taps
    }
    return taps
  }

  private func entry(for character: Character) -> KeyMap.Entry? {
    switch character {
    case "\n", "\r", "\r\n": KeyMap.Entry(key: .enter, level: .any)
    case "\t": KeyMap.Entry(key: .tab, level: .any)
    case "\u{8}": KeyMap.Entry(key: .backspace, level: .any)
    case "\u{1B}": KeyMap.Entry(key: .escape, level: .any)
    default: KeyMap.typed(character, on: layout)
    }
  }

  // MARK: Pace

  private struct Burst {
    var start: UInt64 = 0
    var keys = 0
  }

  /// Returns when another key may be typed.
  private func waitForTurn(
    _ burst: inout Burst, done: Int, count: Int
  ) throws(TypeError) {
    try waitUntilRead(done: done, count: count)
    try waitFor(.notRead(typed: done, count: count)) { controller.keyboardReports }
    if pace.gap > 0 && done > 0 { rest(until: Monitor.monotonic() &+ pace.gap) }
    if let canAcceptMore = state.withLock({ $0.canAcceptMore }), let first = canAcceptMore() {
      if first { return }
      return try waitFor(.bufferFull(typed: done, count: count)) { canAcceptMore() ?? true }
    }
    if burst.keys >= pace.burst {
      rest(until: burst.start &+ pace.interval)
      burst.keys = 0
    }
    if burst.keys == 0 { burst.start = Monitor.monotonic() }
    burst.keys += 1
  }

  /// Returns when the guest has taken every byte out of its keyboard. The last key may be what ends
  /// the guest: then a byte of it is enough, which is one more than the `lastAfter` before it.
  private func waitUntilRead(
    done: Int, count: Int, lastAfter readBefore: UInt64 = .max
  ) throws(TypeError) {
    while true {
      // The count is taken before the look, so that a byte read in between ends the wait at once.
      let seen = monitor.withLock { bytesRead }
      if controller.unreadKeys == 0 { return }
      let deadline = Monitor.monotonic() &+ pace.patience
      let progress = monitor.withLock {
        while bytesRead == seen && !isStopping.load(ordering: .acquiring)
          && monitor.wait(until: deadline)
        {}
        return bytesRead != seen
      }
      if isStopping.load(ordering: .acquiring) {
        if monitor.withLock({ bytesRead }) > readBefore { return }
        throw .ended(typed: done, count: count)
      }
      if !progress { throw .notRead(typed: max(0, done - 1), count: count) }
    }
  }

  /// Returns when `condition` holds. Nobody tells when, so it is asked every millisecond.
  private func waitFor(_ failure: TypeError, _ condition: () -> Bool) throws(TypeError) {
    let deadline = Monitor.monotonic() &+ pace.patience
    while !condition() {
      if isStopping.load(ordering: .acquiring) { throw failure }
      let now = Monitor.monotonic()
      if now >= deadline { throw failure }
      rest(until: now &+ 1_000_000)
    }
  }

  private func rest(until deadline: UInt64) {
    monitor.withLock {
      while Monitor.monotonic() < deadline { monitor.wait(until: deadline) }
    }
  }
}

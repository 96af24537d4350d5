import DeviceTestKit
import Input
import KVMEngine
import Synchronization
import Testing

@Suite struct TypingTests {
  /// A guest on a thread of its own that reads scan codes and keeps them as characters, through a
  /// buffer of 15 keys that its program empties when it likes.
  private final class TypedGuest: Sendable {
    let host = GuestHost(commandByte: 0x41)
    private struct State {
      var stopping = false
      var bytes: [UInt8] = []
      var shift = false
      var buffer: [Character] = []
      var text = ""
      var dropped = 0
      var largestBacklog = 0
    }
    private let state = Mutex(State())
    private let thread = Mutex<KVMEngine.Thread?>(nil)
    private let takesEvery: Int

    /// - Parameter takesEvery: the program takes a key each so many rounds of 0.2 ms.
    init(takesEvery: Int = 1) throws {
      self.takesEvery = takesEvery
      let thread = try KVMEngine.Thread(name: "guest") { [unowned self] in self.run() }
      self.thread.withLock { $0 = thread }
    }

    var text: String { state.withLock { $0.text } }
    var bytes: [UInt8] { state.withLock { $0.bytes } }
    var dropped: Int { state.withLock { $0.dropped } }
    var buffered: Int { state.withLock { $0.buffer.count } }

    /// Ends the guest once its program has taken everything.
    func finish() {
      state.withLock { $0.stopping = true }
      thread.withLock { $0 }?.join()
    }

    private func run() {
      let naps = Monitor()
      var round = 0
      while true {
        host.clock.advance(700_000)
        if host.status & 1 != 0 { take(host.read()) }
        round += 1
        let done = state.withLock { state in
          if round % takesEvery == 0, !state.buffer.isEmpty {
            state.text.append(state.buffer.removeFirst())
          }
          return state.stopping && state.buffer.isEmpty
        }
        if done { return }
        naps.withLock { _ = naps.wait(until: Monitor.monotonic() + 200_000) }
      }
    }

    private func take(_ byte: UInt8) {
      state.withLock { state in
        state.bytes.append(byte)
        switch byte {
        case 0x2A: state.shift = true
        case 0xAA: state.shift = false
        case 0x80...: break
        default:
          guard let character = Self.character(byte, shift: state.shift) else { return }
          if state.buffer.count >= 15 { state.dropped += 1 } else { state.buffer.append(character) }
        }
      }
    }

    private static func character(_ code: UInt8, shift: Bool) -> Character? {
      let rows: [(UInt8, String, String)] = [
        (0x02, "1234567890-=\u{8}\t", "!@#$%^&*()_+\u{8}\t"),
        (0x10, "qwertyuiop[]\n", "QWERTYUIOP{}\n"),
        (0x1E, "asdfghjkl;'`", "ASDFGHJKL:\"~"), (0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
        (0x39, " ", " "),
      ]
      for (first, plain, shifted) in rows where code >= first {
        let characters = Array(shift ? shifted : plain)
        if Int(code - first) < characters.count { return characters[Int(code - first)] }
      }
      return nil
    }
  }

  private static let everything =
    String((0x20...0x7E).compactMap { Unicode.Scalar($0).map(Character.init) }) + "\n\tDone.\n"

  @Test func everythingTypedArrives() throws {
    let guest = try TypedGuest()
    try InputHub(guest.host.controller).type(Self.everything)
    guest.finish()
    #expect(guest.text == Self.everything)
    #expect(guest.dropped == 0)
  }

  @Test func lineEndsOfAnyKindAreOneEnter() throws {
    let guest = try TypedGuest()
    try InputHub(guest.host.controller).type("a\r\nb\rc\n")
    guest.finish()
    #expect(guest.text == "a\nb\nc\n")
  }

  @Test func aFullBufferOfTheGuestHoldsTypingBack() throws {
    let guest = try TypedGuest(takesEvery: 40)
    let hub = InputHub(guest.host.controller)
    hub.acceptance { guest.buffered < 8 }
    let text = "The quick brown fox (jumps_over)."
    try hub.type(text)
    guest.finish()
    #expect(guest.text == text)
    #expect(guest.dropped == 0)
  }

  @Test func whereNobodyKnowsTheBufferTimeDoes() throws {
    let guest = try TypedGuest()
    let hub = InputHub(guest.host.controller, pace: TypingPace(burst: 1, interval: 20_000_000))
    hub.acceptance { nil }
    let start = Monitor.monotonic()
    try hub.type("abcdef")
    #expect(Monitor.monotonic() - start >= 100_000_000)
    guest.finish()
    #expect(guest.text == "abcdef")
  }

  @Test func aBufferThatStaysFullIsAnError() throws {
    let guest = try TypedGuest()
    let hub = InputHub(guest.host.controller, pace: TypingPace(patience: 20_000_000))
    hub.acceptance { false }
    #expect(throws: TypeError.bufferFull(typed: 0, count: 2)) { try hub.type("ab") }
    guest.finish()
  }

  @Test func burstsHaveRestsBetweenThem() throws {
    let guest = try TypedGuest()
    let pace = TypingPace(burst: 4, interval: 50_000_000)
    let start = Monitor.monotonic()
    try InputHub(guest.host.controller, pace: pace).type("abcdefghijkl")
    #expect(Monitor.monotonic() - start >= 100_000_000)
    guest.finish()
    #expect(guest.text == "abcdefghijkl")
  }

  @Test func aCharacterWithoutAKeyIsNamedBeforeAnythingIsTyped() {
    let host = GuestHost(commandByte: 0x40)
    let hub = InputHub(host.controller)
    #expect(throws: TypeError.noKey(character: "é", position: 4, layout: "us")) {
      try hub.type("caféx")
    }
    #expect(host.drain() == [])
    #expect(
      TypeError.noKey(character: "é", position: 4, layout: "us").description
        == "cannot type \"é\" U+00E9 (character 4): the guest's keyboard (us) has no key for it")
    #expect(throws: TypeError.noKey(character: "\u{1}", position: 1, layout: "us")) {
      try hub.type("\u{1}")
    }
  }

  @Test func aGuestThatDoesNotReadIsAnError() {
    let host = GuestHost(commandByte: 0x40)
    let hub = InputHub(host.controller, pace: TypingPace(patience: 20_000_000))
    #expect(throws: TypeError.notRead(typed: 0, count: 3)) { try hub.type("abc") }
    #expect(host.drain(waiting: 0) == [0x1E, 0x9E])
    host.write(0xF5)
    _ = host.drain()
    #expect(throws: TypeError.notRead(typed: 0, count: 1)) { try hub.type("x") }
  }

  /// A guest that reads so many bytes and is then switched off.
  private func isTyped(bytesRead: Int, _ type: (InputHub) throws -> Void) throws {
    let host = GuestHost(commandByte: 0x41)
    let hub = InputHub(host.controller)
    let guest = try KVMEngine.Thread(name: "guest") {
      let naps = Monitor()
      for _ in 0..<bytesRead {
        while host.status & 1 == 0 {
          host.clock.advance(700_000)
          naps.withLock { _ = naps.wait(until: Monitor.monotonic() + 200_000) }
        }
        _ = host.read()
      }
      hub.stop()
    }
    defer { guest.join() }
    try type(hub)
  }

  @Test func theKeyThatSwitchesTheGuestOffWentThrough() throws {
    try isTyped(bytesRead: 1) { try $0.press(chord: "esc") }
    try isTyped(bytesRead: 3) { try $0.type("ab") }
  }

  @Test func keysBehindTheGuestsEndAreTold() {
    #expect(throws: TypeError.ended(typed: 0, count: 1)) {
      try isTyped(bytesRead: 0) { try $0.press(chord: "esc") }
    }
    #expect(throws: TypeError.ended(typed: 1, count: 3)) {
      try isTyped(bytesRead: 1) { try $0.type("abc") }
    }
  }

  // MARK: Chords

  private func codes(_ chord: String) throws -> [UInt8] {
    let guest = try TypedGuest()
    let result = Result { try InputHub(guest.host.controller).press(chord: chord) }
    guest.finish()
    try result.get()
    return guest.bytes
  }

  @Test func chordsPressInOrderAndReleaseTheOtherWay() throws {
    #expect(try codes("ctrl-alt-del") == [0x1D, 0x38, 0xE0, 0x53, 0xE0, 0xD3, 0xB8, 0x9D])
    #expect(try codes("Shift-A") == [0x2A, 0x1E, 0x9E, 0xAA])
    #expect(try codes("f1") == [0x3B, 0xBB])
    #expect(try codes("alt+F4") == [0x38, 0x3E, 0xBE, 0xB8])
    #expect(try codes("break") == [0x1D, 0xE0, 0x46, 0xE0, 0xC6, 0x9D])
  }

  @Test func chordNames() throws {
    let names: [(String, [PhysicalKey])] = [
      ("esc", [.escape]), ("ENTER", [.enter]), ("up", [.up]), ("-", [.minus]),
      ("+", [.leftShift, .equal]),
      ("ctrl--", [.leftControl, .minus]), ("ctrl-+", [.leftControl, .leftShift, .equal]),
      ("ctrl-minus", [.leftControl, .minus]), ("(", [.leftShift, .digit9]), ("A", [.a]),
      ("kp5", [.keypad5]), ("rctrl-pgdn", [.rightControl, .pageDown]), ("f12", [.f12]),
      ("ctrl-ctrl-c", [.leftControl, .c]), ("altgr-space", [.rightAlt, .space]),
      ("power", [.power]), ("f24", [.f24]),
    ]
    for (name, keys) in names { #expect(try Chord(name).keys == keys, "\(name)") }
  }

  @Test func wrongChordsSayWhatIsWrong() {
    #expect(throws: TypeError.emptyChord) { try Chord("") }
    for (chord, name) in [
      ("ctrl-foo", "foo"), ("ctrl-", ""), ("-a", ""), ("ctrl---", ""), ("f25", "f25"), ("é", "é"),
      ("a-\u{7}", "\u{7}"), ("ctrl alt del", "ctrl alt del"),
    ] {
      #expect(throws: TypeError.unknownKey(name: name, chord: chord), "\(chord)") {
        try Chord(chord)
      }
    }
    #expect(
      TypeError.unknownKey(name: "foo", chord: "ctrl-foo").description.hasPrefix(
        "cannot press \"ctrl-foo\": there is no key \"foo\""))
  }
}

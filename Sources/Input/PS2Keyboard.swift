/// The keyboard at the end of the cable (IBM PS/2 Hardware Interface Technical Reference,
/// "101- and 102-Key Keyboards").
///
/// Commands stand in `PS2Keyboard+Commands.swift`, what a key sends in
/// `PS2Keyboard+ScanCodes.swift`. The keyboard is part of ``I8042``'s state and guarded by its lock.
///
/// Strokes come from viewers faster than a hand can type, so they wait in ``backlog`` until the
/// keyboard's 16-byte buffer has room: text pasted into a viewer arrives whole. Only where the
/// backlog is full too is a key lost, and then the keyboard says so by its overrun code.
///
/// Not modelled: the bit clock, parity errors, the half second of the basic assurance test, and a
/// type for each key in scan code set 3 (F7h to FAh set one type for all; FBh to FDh are
/// acknowledged). Its test at power-on is over before the first instruction.
struct PS2Keyboard: Codable, Equatable, Sendable {
  /// Bytes that the keyboard's own buffer holds.
  static let bufferSize = 16
  /// The longest sequence of one key: the buffer must have this much room before a key is scanned.
  static let longestSequence = 8
  /// Strokes that wait for room in the buffer.
  static let backlogLimit = 512
  /// The typematic setting after power-on: 500 ms, 10.9 keys a second.
  static let defaultTypematic: UInt8 = 0x2B

  /// A key that is down.
  struct Down: Codable, Equatable, Sendable {
    var key: PhysicalKey
    /// What wrapped its make code, so that its break code fits.
    var form: Form
  }

  /// How a make code was sent.
  enum Form: String, Codable, Sendable {
    case plain
    /// A cursor key under NumLock: inside a made-up Shift.
    case insideShift
    /// A cursor key or the keypad's `/` with Shift held: Shift was taken away.
    case withoutShift
    /// Print Screen inside its made-up Shift.
    case printScreen
    /// Print Screen with Alt: SysRq.
    case systemRequest
    /// Nothing is sent when the key goes up.
    case noBreak
  }

  /// 1, 2 or 3.
  var scanSet: UInt8 = 2
  /// Whether key strokes are reported (F4h, F5h).
  var scanning = true
  /// What the host asked for by EDh: bit 0 Scroll Lock, bit 1 Num Lock, bit 2 Caps Lock.
  var leds: UInt8 = 0
  /// The parameter of F3h: bits 6:5 delay, bits 4:0 rate.
  var typematic = Self.defaultTypematic
  /// In set 3, whether keys repeat and whether they send break codes.
  var set3Repeats = true
  var set3Breaks = true
  /// The command whose parameter comes next.
  var expecting: UInt8?
  /// Answers to commands; they go out before scan codes.
  var responses: [UInt8] = []
  /// Scan codes that wait for the controller, at most ``bufferSize`` and an overrun code.
  var buffer: [UInt8] = []
  /// The byte that FEh asks for again.
  var lastSent: UInt8 = 0
  /// The keys that are down, in the order in which they went down.
  var down: [Down] = []
  /// Strokes that the keyboard did not scan yet.
  var backlog: [KeyStroke] = []
  /// The key that repeats, and when it does next.
  var repeating: PhysicalKey?
  var repeatAt: UInt64?

  /// Whether the controller can take a byte. Scan codes wait while a command is not finished.
  var hasByte: Bool { !responses.isEmpty || (!buffer.isEmpty && expecting == nil) }

  /// Bytes and strokes that the host has not taken yet.
  var unread: Int { buffer.count + backlog.count }

  /// The next byte on the wire, and whether it answers a command.
  mutating func takeByte() -> (byte: UInt8, isResponse: Bool)? {
    let isResponse = !responses.isEmpty
    guard hasByte else { return nil }
    lastSent = isResponse ? responses.removeFirst() : buffer.removeFirst()
    return (lastSent, isResponse)
  }

  /// Somebody presses or releases a key. A press of a key that is down is a repeat.
  mutating func stroke(_ stroke: KeyStroke) {
    let isDown = isOrWillBeDown(stroke.key)
    if !stroke.pressed {
      if isDown { backlog.append(stroke) }
    } else if isDown && unread > 0 {
      // A guest that is busy does not find a heap of repeats later.
      if repeating == stroke.key { stopRepeating() }
    } else if backlog.count < Self.backlogLimit {
      backlog.append(stroke)
    } else {
      overrun()
    }
  }

  /// Lets time pass: scans strokes that wait, and repeats the key that is held.
  mutating func advance(to now: UInt64) {
    while !backlog.isEmpty, buffer.count <= Self.bufferSize - Self.longestSequence {
      let stroke = backlog.removeFirst()
      if stroke.pressed { press(stroke.key, now: now) } else { release(stroke.key) }
    }
    repeatHeldKey(now)
  }

  private func isOrWillBeDown(_ key: PhysicalKey) -> Bool {
    if let last = backlog.last(where: { $0.key == key }) { return last.pressed }
    return isDown(key)
  }

  func isDown(_ key: PhysicalKey) -> Bool { down.contains { $0.key == key } }

  /// Marks lost keys in the buffer, once until it drains (the same reference, "Buffer").
  private mutating func overrun() {
    guard scanning else { return }
    let code: UInt8 = scanSet == 1 ? 0xFF : 0x00
    if buffer.last != code && buffer.count <= Self.bufferSize { buffer.append(code) }
  }

  private mutating func press(_ key: PhysicalKey, now: UInt64) {
    if isDown(key) {
      // The viewer's own repeat takes over from the keyboard's.
      if repeating == key { stopRepeating() }
      if scanning { buffer += repeatCodes(key) }
      return
    }
    let form = form(of: key)
    if scanning { buffer += makeCodes(key, form) }
    down.append(Down(key: key, form: form))
    startRepeating(key, now: now)
  }

  private mutating func release(_ key: PhysicalKey) {
    guard let index = down.firstIndex(where: { $0.key == key }) else { return }
    let form = down.remove(at: index).form
    if scanning { buffer += breakCodes(key, form) }
    if repeating == key { stopRepeating() }
  }

  // MARK: Typematic

  /// Nanoseconds before the first repeat.
  private var repeatDelay: UInt64 { (UInt64(typematic >> 5 & 3) + 1) * 250_000_000 }

  /// Nanoseconds between repeats: (8 + A) * 2^B / 240 s.
  private var repeatPeriod: UInt64 {
    (8 + UInt64(typematic & 7)) << UInt64(typematic >> 3 & 3) * 1_000_000_000 / 240
  }

  private mutating func startRepeating(_ key: PhysicalKey, now: UInt64) {
    stopRepeating()
    guard key != .pause, scanSet != 3 || set3Repeats else { return }
    repeating = key
    repeatAt = now &+ repeatDelay
  }

  mutating func stopRepeating() {
    repeating = nil
    repeatAt = nil
  }

  /// A repeat is skipped while the host has not read the last one: a guest that is busy does not
  /// find a heap of them later.
  private mutating func repeatHeldKey(_ now: UInt64) {
    guard let key = repeating, let due = repeatAt, due <= now else { return }
    if scanning && unread == 0 && responses.isEmpty { buffer += repeatCodes(key) }
    repeatAt = now &+ repeatPeriod
  }
}

/// A key goes down or up.
public struct KeyStroke: Codable, Equatable, Sendable {
  public var key: PhysicalKey
  public var pressed: Bool

  public init(_ key: PhysicalKey, pressed: Bool) {
    self.key = key
    self.pressed = pressed
  }
}

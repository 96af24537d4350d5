/// The mouse at the end of the cable (IBM PS/2 Hardware Interface Technical Reference, "Mouse"; for
/// the wheel and the side buttons Microsoft's IntelliMouse and IntelliMouse Explorer).
///
/// Commands stand in `PS2Mouse+Commands.swift`. The mouse is part of ``I8042``'s state and guarded
/// by its lock.
///
/// Movement collects between samples, and no count is ever lost: what a packet can't hold goes with
/// the next one. A change of buttons is an entry of its own in ``pending`` and never merges with
/// what comes before or after, so that a double click between two samples arrives as one, and a
/// click never arrives before the movement that led to its place.
///
/// Not modelled: the resolution in counts per millimetre, since a count is a viewer's pixel.
struct PS2Mouse: Codable, Equatable, Sendable {
  /// The buttons of a packet, bit by bit as byte 1 has them, then the two side buttons.
  struct Buttons: OptionSet, Codable, Equatable, Sendable {
    let rawValue: UInt8
    static let left = Buttons(rawValue: 1)
    static let right = Buttons(rawValue: 2)
    static let middle = Buttons(rawValue: 4)
    static let fourth = Buttons(rawValue: 8)
    static let fifth = Buttons(rawValue: 16)
  }

  /// Something that the host does not know yet.
  struct Event: Codable, Equatable, Sendable {
    var buttons: Buttons
    /// Counts to the right, up and towards the user.
    var x = 0
    var y = 0
    var z = 0
    /// Detents of the horizontal wheel, to the right.
    var w = 0
    /// Whether it was made for a change of buttons.
    var isButtonChange = false
  }

  /// What ``identity`` says about packets.
  static let standard: UInt8 = 0
  static let intelliMouse: UInt8 = 3
  static let explorer: UInt8 = 4
  /// Events that wait at most; after that a change of buttons replaces the last one.
  static let pendingLimit = 256
  /// Counts that one event collects at most.
  static let motionLimit = 1 << 20

  /// 0, 3 with a wheel, 4 with a wheel and five buttons.
  var identity = Self.standard
  /// Whether the mouse reports by itself in stream mode (F4h, F5h).
  var reporting = false
  /// The mouse reports only when it is asked (F0h, EAh).
  var remote = false
  /// The mouse sends back what it gets (EEh, ECh).
  var wrap = false
  /// Scaling 2:1 (E7h, E6h).
  var scaling = false
  /// 0 to 3: 1, 2, 4 or 8 counts per millimetre.
  var resolution: UInt8 = 2
  /// Reports a second, 10 to 200.
  var sampleRate: UInt8 = 100
  /// The last sample rates set: three of them are a knock that changes ``identity``.
  var knock: [UInt8] = []
  /// The command whose parameter comes next.
  var expecting: UInt8?
  /// The last byte was not understood.
  var failed = false
  /// Answers to commands; they go out before packets.
  var responses: [UInt8] = []
  /// What is left of the packet on the wire.
  var packet: [UInt8] = []
  /// What ``packet`` was made of, while none of it was sent.
  var unsent: Event?
  /// What FEh asks for again.
  var lastReply: [UInt8] = []
  /// The buttons as the hand holds them.
  var buttons: Buttons = []
  /// What the host does not know yet, oldest first.
  var pending: [Event] = []
  /// The next report may start then, nanoseconds.
  var nextSample: UInt64 = 0

  /// Whether the controller can take a byte.
  var hasByte: Bool { !responses.isEmpty || !packet.isEmpty }

  /// The next byte on the wire.
  mutating func takeByte() -> UInt8? {
    if !responses.isEmpty { return responses.removeFirst() }
    guard !packet.isEmpty else { return nil }
    unsent = nil
    return packet.removeFirst()
  }

  /// The hand moves the mouse by counts to the right, up, turns the wheel towards the user and the
  /// horizontal one to the right, then holds `buttons`.
  mutating func move(x: Int, y: Int, z: Int, w: Int = 0, buttons newButtons: Buttons) {
    defer { buttons = newButtons }
    guard reporting || remote else { return }
    let wheel = identity == Self.standard ? 0 : z
    let pan = identity == Self.explorer ? w : 0
    if x != 0 || y != 0 || wheel != 0 || pan != 0 { collect(x: x, y: y, z: wheel, w: pan) }
    guard newButtons != buttons else { return }
    if pending.count >= Self.pendingLimit {
      pending[pending.count - 1].buttons = newButtons
    } else {
      pending.append(Event(buttons: newButtons, isButtonChange: true))
    }
  }

  /// Has a report made that says nothing but which of the side buttons are held, unless one is on its
  /// way: its interrupt is the message.
  mutating func nudge(sideButtons: Buttons) {
    let held = identity == Self.explorer ? sideButtons.intersection([.fourth, .fifth]) : []
    if held != buttons { return move(x: 0, y: 0, z: 0, buttons: held) }
    guard reporting, pending.isEmpty, packet.isEmpty else { return }
    pending.append(Event(buttons: buttons))
  }

  private mutating func collect(x: Int, y: Int, z: Int, w: Int) {
    let needsEntry = pending.last?.isButtonChange ?? true
    if needsEntry && pending.count < Self.pendingLimit { pending.append(Event(buttons: buttons)) }
    let last = pending.count - 1
    pending[last].x = Self.limited(pending[last].x &+ x)
    pending[last].y = Self.limited(pending[last].y &+ y)
    pending[last].z = Self.limited(pending[last].z &+ z)
    pending[last].w = Self.limited(pending[last].w &+ w)
  }

  private static func limited(_ counts: Int) -> Int {
    min(max(counts, -motionLimit), motionLimit)
  }

  // MARK: Reports

  /// When ``advance(to:)`` has something to do, if nothing else happens before.
  var deadline: UInt64? { mayReport ? nextSample : nil }

  private var mayReport: Bool {
    reporting && !remote && !wrap && !hasByte && expecting == nil && !pending.isEmpty
  }

  /// Starts a report where one is due.
  mutating func advance(to now: UInt64) {
    guard mayReport, now >= nextSample else { return }
    startPacket(scaled: scaling)
    nextSample = now &+ 1_000_000_000 / UInt64(max(sampleRate, 1))
  }

  /// Makes the next event, or as much of it as fits, the packet on the wire.
  mutating func startPacket(scaled: Bool) {
    var event = pending.first ?? Event(buttons: buttons)
    let part = takePart(of: &event, largest: scaled ? 127 : 255)
    if !pending.isEmpty {
      if event.x == 0 && event.y == 0 && event.z == 0 && event.w == 0 {
        pending.removeFirst()
      } else {
        pending[0] = event
      }
    }
    packet = bytes(of: part, scaled: scaled)
    unsent = part
    lastReply = packet
  }

  private func takePart(of event: inout Event, largest: Int) -> Event {
    var part = event
    part.x = min(max(event.x, -largest), largest)
    part.y = min(max(event.y, -largest), largest)
    part.z = identity == Self.standard ? 0 : min(max(event.z, -8), 7)
    part.w = identity == Self.explorer ? min(max(event.w, -31), 31) : 0
    // A packet tells of one wheel.
    if part.w != 0 { part.z = 0 }
    event.x -= part.x
    event.y -= part.y
    event.z = identity == Self.standard ? 0 : event.z - part.z
    event.w = identity == Self.explorer ? event.w - part.w : 0
    event.isButtonChange = false
    return part
  }

  private func bytes(of event: Event, scaled: Bool) -> [UInt8] {
    let x = scaled ? Self.scale(event.x) : event.x
    let y = scaled ? Self.scale(event.y) : event.y
    var first = 0x08 | event.buttons.rawValue & 7
    if x < 0 { first |= 0x10 }
    if y < 0 { first |= 0x20 }
    let bytes = [first, UInt8(truncatingIfNeeded: x), UInt8(truncatingIfNeeded: y)]
    switch identity {
    case Self.intelliMouse: return bytes + [UInt8(truncatingIfNeeded: event.z)]
    case Self.explorer where event.w != 0:
      // As the Explorer 4.0 says it: six bits, negative to the right, in place of the side buttons.
      return bytes + [0x40 | UInt8(truncatingIfNeeded: 0 &- event.w) & 0x3F]
    case Self.explorer:
      let side = (event.buttons.rawValue >> 3 & 3) << 4
      return bytes + [UInt8(truncatingIfNeeded: event.z) & 0x0F | side]
    default: return bytes
    }
  }

  /// 2:1 scaling (the same reference, "Set Scaling 2:1").
  private static func scale(_ counts: Int) -> Int {
    let table = [0, 1, 1, 3, 6, 9]
    let magnitude = abs(counts)
    let scaled = magnitude < table.count ? table[magnitude] : magnitude * 2
    return counts < 0 ? -scaled : scaled
  }
}

/// Commands from the host (IBM PS/2 Hardware Interface Technical Reference, Mouse, "Commands").
extension PS2Mouse {
  private static let acknowledge: UInt8 = 0xFA
  private static let resend: UInt8 = 0xFE
  private static let error: UInt8 = 0xFC
  private static let resetCommand: UInt8 = 0xFF
  private static let resetWrapCommand: UInt8 = 0xEC
  /// Answers that wait at most, for a host that never reads them.
  static let responseLimit = 16

  /// The host sends a byte: a command, or the parameter that the last one asked for.
  mutating func receive(_ byte: UInt8) {
    abandonPacket()
    if wrap && byte != Self.resetCommand && byte != Self.resetWrapCommand {
      reply([byte])
    } else if let command = expecting {
      expecting = nil
      takeParameter(byte, of: command)
    } else {
      execute(byte)
    }
    if responses.count > Self.responseLimit {
      responses.removeFirst(responses.count - Self.responseLimit)
    }
  }

  /// A command ends the packet on the wire. What the host has seen none of stays pending.
  private mutating func abandonPacket() {
    packet = []
    guard let event = unsent else { return }
    unsent = nil
    if let next = pending.first, next.buttons == event.buttons, !next.isButtonChange {
      pending[0].x += event.x
      pending[0].y += event.y
      pending[0].z += event.z
      pending[0].w += event.w
    } else {
      pending.insert(event, at: 0)
    }
  }

  private mutating func execute(_ command: UInt8) {
    switch command {
    case 0xE6: setScaling(false)
    case 0xE7: setScaling(true)
    case 0xE8, 0xF3: expect(command)
    case 0xE9: reply([Self.acknowledge] + statusBytes)
    case 0xEA: setRemote(false)
    case 0xEB: sendData()
    case 0xEC: setWrap(false)
    case 0xEE: setWrap(true)
    case 0xF0: setRemote(true)
    case 0xF2: reply([Self.acknowledge, identity])
    case 0xF4: setReporting(true)
    case 0xF5: setReporting(false)
    case 0xF6: restoreDefaults()
    case 0xFE: responses += lastReply
    case 0xFF: resetByCommand()
    default: refuse()
    }
  }

  private mutating func reply(_ bytes: [UInt8]) {
    failed = false
    lastReply = bytes
    responses += bytes
  }

  /// The first byte that is not understood asks for a repetition, the second one in a row is an
  /// error.
  private mutating func refuse() {
    let answer = failed ? Self.error : Self.resend
    reply([answer])
    failed = answer == Self.resend
  }

  private mutating func expect(_ command: UInt8) {
    expecting = command
    reply([Self.acknowledge])
  }

  private mutating func takeParameter(_ value: UInt8, of command: UInt8) {
    switch (command, value) {
    case (0xE8, 0...3): resolution = value
    case (0xF3, 10...200): setSampleRate(value)
    default: return refuse()
    }
    reply([Self.acknowledge])
  }

  private mutating func setSampleRate(_ rate: UInt8) {
    sampleRate = rate
    nextSample = 0
    knock = Array((knock + [rate]).suffix(3))
    if knock == [200, 100, 80] { identity = Self.intelliMouse }
    if knock == [200, 200, 80] { identity = Self.explorer }
  }

  private mutating func setScaling(_ on: Bool) {
    scaling = on
    reply([Self.acknowledge])
  }

  private mutating func setRemote(_ on: Bool) {
    remote = on
    pending = []
    reply([Self.acknowledge])
  }

  private mutating func setWrap(_ on: Bool) {
    wrap = on
    pending = []
    reply([Self.acknowledge])
  }

  private mutating func setReporting(_ on: Bool) {
    reporting = on
    pending = []
    reply([Self.acknowledge])
  }

  /// The packet is part of the answer, so that it comes whole and after the acknowledgement.
  private mutating func sendData() {
    startPacket(scaled: false)
    let data = packet
    packet = []
    unsent = nil
    reply([Self.acknowledge] + data)
  }

  private var statusBytes: [UInt8] {
    var first: UInt8 = 0
    if remote { first |= 0x40 }
    if reporting { first |= 0x20 }
    if scaling { first |= 0x10 }
    if buttons.contains(.left) { first |= 4 }
    if buttons.contains(.middle) { first |= 2 }
    if buttons.contains(.right) { first |= 1 }
    return [first, resolution, sampleRate]
  }

  private mutating func restoreDefaults() {
    reporting = false
    remote = false
    scaling = false
    resolution = 2
    sampleRate = 100
    nextSample = 0
    pending = []
    reply([Self.acknowledge])
  }

  private mutating func resetByCommand() {
    let held = buttons
    self = PS2Mouse()
    buttons = held
    reply([Self.acknowledge, 0xAA, 0x00])
  }
}

/// Commands from the host (IBM PS/2 Hardware Interface Technical Reference, Keyboards, "Commands
/// from the System").
extension PS2Keyboard {
  private static let acknowledge: UInt8 = 0xFA
  private static let resend: UInt8 = 0xFE
  private static let echo: UInt8 = 0xEE
  private static let testPassed: UInt8 = 0xAA
  /// The lowest command; what is below can only be a parameter.
  private static let firstCommand: UInt8 = 0xED

  /// The host sends a byte: a command, or the parameter that the last one asked for. A command in
  /// the place of a parameter is a command.
  mutating func receive(_ byte: UInt8) {
    if let command = expecting, byte < Self.firstCommand {
      takeParameter(byte, of: command)
    } else {
      expecting = nil
      execute(byte)
    }
  }

  private mutating func execute(_ command: UInt8) {
    switch command {
    case 0xED, 0xF0, 0xF3, 0xFB, 0xFC, 0xFD: expect(command)
    case 0xEE: responses.append(Self.echo)
    case 0xF2: responses += [Self.acknowledge, 0xAB, 0x83]
    case 0xF4: enable()
    case 0xF5: setDefaults(scanning: false)
    case 0xF6: setDefaults(scanning: true)
    case 0xF7: setAllKeys(repeating: true, breaking: false)
    case 0xF8: setAllKeys(repeating: false, breaking: true)
    case 0xF9: setAllKeys(repeating: false, breaking: false)
    case 0xFA: setAllKeys(repeating: true, breaking: true)
    case 0xFE: responses.append(lastSent)
    case 0xFF: resetByCommand()
    default: responses.append(Self.resend)
    }
    // A host that never reads its answers does not make the keyboard grow.
    let excess = responses.count - Self.bufferSize
    if excess > 0 { responses.removeFirst(excess) }
  }

  private mutating func takeParameter(_ value: UInt8, of command: UInt8) {
    // FBh to FDh name keys until the next command.
    if command < 0xFB { expecting = nil }
    switch command {
    case 0xED: leds = value & 7
    case 0xF0: return selectScanSet(value)
    case 0xF3:
      typematic = value & 0x7F
    default: break
    }
    acknowledge()
  }

  private mutating func acknowledge() {
    if responses.count < Self.bufferSize { responses.append(Self.acknowledge) }
  }

  private mutating func expect(_ command: UInt8) {
    expecting = command
    responses.append(Self.acknowledge)
  }

  private mutating func selectScanSet(_ number: UInt8) {
    switch number {
    case 0:
      acknowledge()
      responses.append(scanSet)
    case 1...3:
      scanSet = number
      buffer = []
      acknowledge()
    default: responses.append(Self.resend)
    }
  }

  private mutating func enable() {
    scanning = true
    buffer = []
    stopRepeating()
    responses.append(Self.acknowledge)
  }

  private mutating func setDefaults(scanning: Bool) {
    restoreDefaults()
    self.scanning = scanning
    responses.append(Self.acknowledge)
  }

  private mutating func restoreDefaults() {
    scanSet = 2
    typematic = Self.defaultTypematic
    set3Repeats = true
    set3Breaks = true
    buffer = []
    stopRepeating()
  }

  private mutating func setAllKeys(repeating: Bool, breaking: Bool) {
    set3Repeats = repeating
    set3Breaks = breaking
    buffer = []
    responses.append(Self.acknowledge)
  }

  private mutating func resetByCommand() {
    restoreDefaults()
    scanning = true
    leds = 0
    responses = [Self.acknowledge, Self.testPassed]
  }
}

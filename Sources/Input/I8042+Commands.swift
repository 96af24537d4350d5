/// What the host writes (IBM PC/AT Technical Reference, "Keyboard Controller", commands; IBM PS/2
/// Hardware Interface Technical Reference for the auxiliary device).
extension I8042.State {
  /// Bits of the output port.
  private enum OutputPort {
    static let notReset: UInt8 = 0x01
    static let a20: UInt8 = 0x02
    static let mouseClockLow: UInt8 = 0x08
    static let irq1: UInt8 = 0x10
    static let irq12: UInt8 = 0x20
    static let keyboardClockLow: UInt8 = 0x40
    static let keyboardData: UInt8 = 0x80
  }

  /// The input port: keyboard not locked, colour display, no manufacturing jumper, 256 KiB on the
  /// board, both data lines high.
  private static let inputPort: UInt8 = 0xF3

  /// A write to port 64h.
  mutating func execute(_ command: UInt8) -> I8042.Effects {
    lastWasCommand = true
    expecting = nil
    polledInput = nil
    switch command {
    case 0x20...0x3F: reply(memory[Int(command & 0x1F)])
    case 0x60...0x7F, 0xA5, 0xD1...0xD4: expecting = command
    case 0xA4: reply(0xF1)  // no password is installed
    case 0xA7: set(I8042.CommandByte.mouseDisabled, true)
    case 0xA8: set(I8042.CommandByte.mouseDisabled, false)
    case 0xA9: reply(0x00)  // the mouse's lines work
    case 0xAA: selfTest()
    case 0xAB: reply(0x00)  // the keyboard's lines work
    case 0xAD: set(I8042.CommandByte.keyboardDisabled, true)
    case 0xAE: set(I8042.CommandByte.keyboardDisabled, false)
    case 0xC0: reply(Self.inputPort)
    case 0xC1: polledInput = Self.inputPort << 4
    case 0xC2: polledInput = Self.inputPort & 0xF0
    case 0xD0: reply(outputPort)
    case 0xDD: return setA20(false)
    case 0xDF: return setA20(true)
    case 0xE0: reply(testInputs)
    case 0xF0...0xFF: return I8042.Effects(reset: command & OutputPort.notReset == 0)
    default: break
    }
    return I8042.Effects()
  }

  /// A write to port 60h: the data of a command, or a byte for the keyboard.
  mutating func writeData(_ value: UInt8) -> I8042.Effects {
    lastWasCommand = false
    guard let command = expecting else {
      sendToKeyboard(value)
      return I8042.Effects()
    }
    // A password ends with a zero.
    if command != 0xA5 || value == 0 { expecting = nil }
    switch command {
    case 0x60...0x7F: memory[Int(command & 0x1F)] = value
    case 0xD1: return writeOutputPort(value)
    case 0xD2: reply(value, from: .keyboard)
    case 0xD3: reply(value, from: .mouse)
    case 0xD4: sendToMouse(value)
    default: break
    }
    return I8042.Effects()
  }

  /// Sending to a device frees its clock line for good, so that it can answer.
  private mutating func sendToKeyboard(_ value: UInt8) {
    set(I8042.CommandByte.keyboardDisabled, false)
    keyboard.receive(value)
  }

  private mutating func sendToMouse(_ value: UInt8) {
    set(I8042.CommandByte.mouseDisabled, false)
    mouse.receive(value)
  }

  private mutating func selfTest() {
    replies = []
    outputFull = false
    breakFollows = false
    set(I8042.CommandByte.systemFlag, true)
    reply(0x55)
  }

  private var outputPort: UInt8 {
    var port = OutputPort.notReset | OutputPort.keyboardData
    if a20 { port |= OutputPort.a20 }
    if mouseDisabled { port |= OutputPort.mouseClockLow }
    if irq1 { port |= OutputPort.irq1 }
    if irq12 { port |= OutputPort.irq12 }
    if keyboardDisabled { port |= OutputPort.keyboardClockLow }
    return port
  }

  private mutating func writeOutputPort(_ value: UInt8) -> I8042.Effects {
    var effects = setA20(value & OutputPort.a20 != 0)
    effects.reset = value & OutputPort.notReset == 0
    return effects
  }

  private mutating func setA20(_ enabled: Bool) -> I8042.Effects {
    a20 = enabled
    return I8042.Effects(a20: enabled)
  }

  /// Test inputs: the clock lines of keyboard and mouse, high while a device may send.
  private var testInputs: UInt8 { (keyboardDisabled ? 0 : 1) | (mouseDisabled ? 0 : 2) }
}

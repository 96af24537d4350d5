import KVMEngine

/// The i8042 as firmware drives it: commands out, answers in, by polling (IBM Personal System/2
/// Hardware Interface Technical Reference, "Keyboard and Auxiliary Device Controller").
struct KeyboardController: Sendable {
  private let context: FirmwareContext
  private var ports: FirmwarePorts { context.ports }
  private typealias Port = FirmwarePorts.Port

  /// Bits of the status register.
  enum Status {
    static let outputFull: UInt8 = 0x01
    static let inputFull: UInt8 = 0x02
    static let fromAuxiliary: UInt8 = 0x20
  }
  private static let acknowledge: UInt8 = 0xFA
  private static let pollNanoseconds: UInt64 = 50_000
  /// Polls until a device counts as silent: 25 ms, where a device may take 20.
  private static let polls = 500

  init(_ context: FirmwareContext) { self.context = context }

  var status: UInt8 { ports.read(Port.keyboardCommand) }

  /// Whether there is a controller: an empty bus reads as all ones.
  var isPresent: Bool { status != 0xFF }

  /// Writes a controller command.
  @discardableResult
  func command(_ command: UInt8) -> Bool { write(Port.keyboardCommand, command) }

  /// Writes a data byte: a parameter, or a byte for the keyboard.
  @discardableResult
  func data(_ byte: UInt8) -> Bool { write(Port.keyboardData, byte) }

  private func write(_ port: UInt16, _ value: UInt8) -> Bool {
    guard isPresent else { return false }
    for _ in 0..<Self.polls {
      if status & Status.inputFull == 0 {
        ports.write(port, value)
        return true
      }
      context.pause(Self.pollNanoseconds)
    }
    return false
  }

  /// The next byte for the processor, from the keyboard or the auxiliary device.
  func nextByte() -> (byte: UInt8, fromAuxiliary: Bool)? {
    guard isPresent else { return nil }
    for _ in 0..<Self.polls {
      let now = status
      if now & Status.outputFull != 0 {
        return (ports.read(Port.keyboardData), now & Status.fromAuxiliary != 0)
      }
      context.pause(Self.pollNanoseconds)
    }
    return nil
  }

  /// The controller's command byte.
  func readCommandByte() -> UInt8? {
    drain()
    guard command(0x20) else { return nil }
    return nextByte()?.byte
  }

  func writeCommandByte(_ value: UInt8) {
    command(0x60)
    data(value)
  }

  /// Throws away what waits for the processor.
  func drain() {
    for _ in 0..<32 {
      guard status & Status.outputFull != 0 else { return }
      _ = ports.read(Port.keyboardData)
    }
  }

  /// Sends a byte to the keyboard and waits for its acknowledgement; `other` gets what comes first.
  func sendToKeyboard(_ byte: UInt8, other: (UInt8) -> Void) -> Bool {
    guard data(byte) else { return false }
    for _ in 0..<16 {
      guard let answer = nextByte() else { return false }
      if answer.fromAuxiliary { continue }
      if answer.byte == Self.acknowledge { return true }
      other(answer.byte)
    }
    return false
  }

  /// Sends a byte to the auxiliary device and waits for its acknowledgement. Keystrokes that come
  /// first go to `keystroke`, movements are lost.
  func sendToAuxiliary(_ byte: UInt8, keystroke: (UInt8) -> Void) -> Bool {
    guard command(0xD4), data(byte) else { return false }
    return nextAuxiliaryByte(keystroke: keystroke) { $0 == Self.acknowledge } != nil
  }

  /// The next byte from the auxiliary device that `accept` takes.
  func nextAuxiliaryByte(
    keystroke: (UInt8) -> Void, where accept: (UInt8) -> Bool = { _ in true }
  ) -> UInt8? {
    for _ in 0..<32 {
      guard let answer = nextByte() else { return nil }
      if !answer.fromAuxiliary {
        keystroke(answer.byte)
      } else if accept(answer.byte) {
        return answer.byte
      }
    }
    return nil
  }
}

import DeviceTestKit
import Input
import KVMEngine
import Synchronization
import Testing

/// A controller with everything around it, and the guest's side of its two ports.
final class GuestHost: Sendable {
  let clock = ManualClock()
  let lines = LineRecorder()
  let controller: I8042
  private let data: any PortDevice
  private let command: any PortDevice

  /// - Parameter commandByte: written at first; by default no interrupts, everything enabled, no
  ///   translation.
  init(commandByte: UInt8? = 0x00) {
    let sink = OutputRecorder()
    controller = I8042(
      clock: clock, irq1: lines.line(1), irq12: lines.line(12),
      outputs: I8042.Outputs(
        a20Changed: { sink.a20($0) }, resetRequested: { sink.reset() }))
    data = controller.dataPort
    command = controller.commandPort
    recorder = sink
    if let commandByte { setCommandByte(commandByte) }
  }

  /// What the output port's pins did.
  let recorder: OutputRecorder

  final class OutputRecorder: Sendable {
    private let seen = Mutex<(a20: [Bool], resets: Int)>(([], 0))
    func a20(_ value: Bool) { seen.withLock { $0.a20.append(value) } }
    func reset() { seen.withLock { $0.resets += 1 } }
    var a20: [Bool] { seen.withLock { $0.a20 } }
    var resets: Int { seen.withLock { $0.resets } }
  }

  var status: UInt8 { UInt8(truncatingIfNeeded: command.readPort(0, width: .byte)) }
  func read() -> UInt8 { UInt8(truncatingIfNeeded: data.readPort(0, width: .byte)) }
  func write(_ value: UInt8) { data.writePort(0, width: .byte, value: UInt32(value)) }
  func command(_ value: UInt8) { command.writePort(0, width: .byte, value: UInt32(value)) }

  func setCommandByte(_ value: UInt8) {
    command(0x60)
    write(value)
  }

  func mouseCommand(_ value: UInt8) {
    command(0xD4)
    write(value)
  }

  /// Everything that comes, from keyboard or mouse, letting time pass between bytes.
  func drain(waiting: UInt64 = 1_000_000) -> [UInt8] {
    var bytes: [UInt8] = []
    while true {
      if status & 1 == 0 { clock.advance(waiting) }
      guard status & 1 != 0, bytes.count < 100_000 else { return bytes }
      bytes.append(read())
    }
  }

  func press(_ keys: PhysicalKey...) {
    controller.strokes(keys.map { KeyStroke($0, pressed: true) })
  }

  func release(_ keys: PhysicalKey...) {
    controller.strokes(keys.map { KeyStroke($0, pressed: false) })
  }

  /// What one key sends when it goes down and up.
  func codes(of key: PhysicalKey) -> [UInt8] {
    press(key)
    release(key)
    return drain(waiting: 0)
  }
}

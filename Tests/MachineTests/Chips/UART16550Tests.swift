import DeviceTestKit
import KVMEngine
import Synchronization
import Testing

@testable import Machine

/// What left a UART.
private final class Far: Sendable {
  let bytes = Mutex<[UInt8]>([])
  let timesRoom = Mutex(0)
}

private struct Bench {
  let clock = ManualClock()
  let lines = LineRecorder()
  let uart: UART16550
  private let far = Far()

  init() {
    let far = far
    uart = UART16550(
      name: "com1", clock: clock, irq: lines.line(4),
      output: { byte in far.bytes.withLock { $0.append(byte) } },
      roomAvailable: { far.timesRoom.withLock { $0 += 1 } })
    write(3, 0x03)
  }

  func read(_ offset: UInt16) -> UInt8 { UInt8(uart.readPort(offset, width: .byte)) }
  func write(_ offset: UInt16, _ value: UInt8) {
    uart.writePort(offset, width: .byte, value: UInt32(value))
  }
  var sent: [UInt8] { far.bytes.withLock { $0 } }
  var timesRoom: Int { far.timesRoom.withLock { $0 } }
  var interrupts: Bool { lines.level(4) }
}

@Suite struct UART16550Tests {
  @Test func characterLeavesAtOnce() {
    let bench = Bench()
    bench.write(0, 0x41)
    bench.write(0, 0xE9)
    #expect(bench.sent == [0x41, 0xE9])
    #expect(bench.read(5) == 0x60)
  }

  @Test func shortWordsCarryTheirBits() {
    let bench = Bench()
    bench.write(3, 0x02)
    bench.write(0, 0xC1)
    #expect(bench.sent == [0x41])
  }

  @Test func divisorHidesDataRegisters() {
    let bench = Bench()
    bench.write(3, 0x83)
    bench.write(0, 0x01)
    bench.write(1, 0xC2)
    #expect(bench.read(0) == 0x01)
    #expect(bench.read(1) == 0xC2)
    bench.write(3, 0x03)
    #expect(bench.sent.isEmpty)
    #expect(bench.read(1) == 0)
  }

  @Test func receivedCharacterInterrupts() {
    let bench = Bench()
    bench.write(1, 0x01)
    bench.write(4, 0x08)
    #expect(bench.uart.receive([0x55, 0x66]) == 1)
    #expect(bench.interrupts)
    #expect(bench.read(2) == 0x04)
    #expect(bench.read(5) == 0x61)
    #expect(bench.read(0) == 0x55)
    #expect(!bench.interrupts)
    #expect(bench.read(2) == 0x01)
    #expect(bench.read(5) == 0x60)
  }

  @Test func out2GatesInterrupt() {
    let bench = Bench()
    bench.write(1, 0x01)
    _ = bench.uart.receive([1])
    #expect(!bench.interrupts)
    bench.write(4, 0x08)
    #expect(bench.interrupts)
  }

  @Test func senderIsHeldBackAndToldOfRoom() {
    let bench = Bench()
    bench.write(2, 0x01)
    let bytes = [UInt8](0..<40)
    #expect(bench.uart.receive(bytes) == 16)
    #expect(bench.uart.receive([99]) == 0)
    #expect(bench.timesRoom == 0)
    for expected in 0..<16 { #expect(bench.read(0) == UInt8(expected)) }
    #expect(bench.timesRoom == 1)
    #expect(bench.read(5) & 0x03 == 0)
    #expect(bench.uart.receive([1]) == 1)
  }

  @Test(arguments: [(0, 1), (0x40, 4), (0x80, 8), (0xC0, 14)])
  func triggerLevelRaisesInterrupt(bits: Int, level: Int) {
    let bench = Bench()
    bench.write(2, 0x01 | UInt8(bits))
    bench.write(1, 0x01)
    bench.write(4, 0x08)
    for count in 1...level {
      #expect(!bench.interrupts)
      _ = bench.uart.receive([UInt8(count)])
    }
    #expect(bench.interrupts)
    #expect(bench.read(2) == 0xC4)
    _ = bench.read(0)
    #expect(!bench.interrupts)
  }

  @Test func forgottenCharactersTimeOut() {
    let bench = Bench()
    bench.write(3, 0x83)
    bench.write(0, 1)
    bench.write(1, 0)
    bench.write(3, 0x03)
    bench.write(2, 0xC1)
    bench.write(1, 0x01)
    bench.write(4, 0x08)
    _ = bench.uart.receive([1, 2])
    // Four characters of ten bits at 115,200 baud would take 347 µs.
    bench.clock.advance(300_000)
    #expect(!bench.interrupts)
    bench.clock.advance(60_000)
    #expect(bench.interrupts)
    #expect(bench.read(2) == 0xCC)
    _ = bench.read(0)
    #expect(!bench.interrupts)
    bench.clock.advance(360_000)
    #expect(bench.interrupts)
    _ = bench.read(0)
    bench.clock.advance(10_000_000)
    #expect(!bench.interrupts)
  }

  @Test func transmitterInterruptIsSeenOnce() {
    let bench = Bench()
    bench.write(4, 0x08)
    bench.write(1, 0x02)
    #expect(bench.interrupts)
    #expect(bench.read(2) == 0x02)
    #expect(!bench.interrupts)
    #expect(bench.read(2) == 0x01)
    bench.write(0, 0x41)
    #expect(bench.interrupts)
    bench.write(1, 0x00)
    #expect(!bench.interrupts)
    bench.write(1, 0x02)
    #expect(bench.interrupts)
  }

  @Test func receiverComesBeforeTransmitter() {
    let bench = Bench()
    bench.write(4, 0x08)
    bench.write(1, 0x03)
    _ = bench.uart.receive([7])
    #expect(bench.read(2) == 0x04)
    _ = bench.read(0)
    #expect(bench.read(2) == 0x02)
  }

  @Test func loopbackReturnsCharactersAndOverruns() {
    let bench = Bench()
    bench.write(4, 0x18)
    bench.write(1, 0x05)
    bench.write(0, 0x12)
    #expect(bench.sent.isEmpty)
    #expect(bench.uart.receive([1]) == 0)
    bench.write(0, 0x34)
    #expect(bench.read(2) == 0x06)
    #expect(bench.read(5) == 0x63)
    #expect(bench.read(5) == 0x61)
    #expect(bench.read(0) == 0x34)
    bench.write(4, 0x08)
    #expect(bench.timesRoom == 1)
  }

  @Test func loopbackTurnsModemLinesAround() {
    let bench = Bench()
    #expect(bench.read(6) == 0xB0)
    bench.write(4, 0x10)
    #expect(bench.read(6) == 0x0B)
    for (control, lines) in [(0x11, 0x22), (0x12, 0x11), (0x14, 0x40), (0x18, 0x80)] {
      bench.write(4, 0x10)
      _ = bench.read(6)
      bench.write(4, UInt8(control))
      #expect(bench.read(6) & 0xF0 == UInt8(lines) & 0xF0)
    }
  }

  @Test func modemChangeInterrupts() {
    let bench = Bench()
    bench.write(4, 0x18)
    _ = bench.read(6)
    bench.write(1, 0x08)
    #expect(!bench.interrupts)
    bench.write(4, 0x1A)
    #expect(bench.interrupts)
    #expect(bench.read(2) == 0x00)
    #expect(bench.read(6) == 0x91)
    #expect(!bench.interrupts)
    // Ring is noted when it ends.
    bench.write(4, 0x1E)
    #expect(bench.read(6) == 0xD0)
    bench.write(4, 0x1A)
    #expect(bench.read(6) == 0x94)
  }

  @Test func identifiesFIFOs() {
    let bench = Bench()
    #expect(bench.read(2) == 0x01)
    bench.write(2, 0x01)
    #expect(bench.read(2) == 0xC1)
    _ = bench.uart.receive([1, 2, 3])
    bench.write(2, 0x03)
    #expect(bench.read(5) == 0x60)
    _ = bench.uart.receive([1, 2, 3])
    bench.write(2, 0x00)
    #expect(bench.read(5) == 0x60)
    #expect(bench.read(2) == 0x01)
  }

  @Test func registersKeepWhatTheyHave() {
    let bench = Bench()
    bench.write(7, 0x5A)
    bench.write(1, 0xFF)
    bench.write(4, 0xFF)
    bench.write(5, 0xFF)
    bench.write(6, 0xFF)
    #expect(bench.read(7) == 0x5A)
    #expect(bench.read(1) == 0x0F)
    #expect(bench.read(4) == 0x1F)
    #expect(bench.read(5) == 0x60)
  }

  @Test func restoredPortGoesOnReceiving() throws {
    let bench = Bench()
    bench.write(2, 0x41)
    bench.write(1, 0x01)
    bench.write(4, 0x08)
    _ = bench.uart.receive([1, 2])
    let lines = LineRecorder()
    let copy = UART16550(name: "com1", clock: bench.clock, irq: lines.line(4), output: { _ in })
    try copy.restore(bench.uart.save())
    #expect(!lines.level(4))
    bench.clock.advance(100_000_000)
    #expect(lines.level(4))
    #expect(copy.readPort(0, width: .byte) == 1)
  }

  @Test func conforms() {
    let clock = ManualClock()
    let lines = LineRecorder()
    var suite = DeviceConformance(
      make: { UART16550(name: "com1", clock: clock, irq: lines.line(4), output: { _ in }) },
      ports: { [($0, 0x3F8...0x3FF)] })
    suite.between = { uart in
      _ = uart.receive([1, 2, 3])
      clock.advance(1_234_567)
    }
    #expect(suite.violations(seed: 16_550) == [])
  }
}

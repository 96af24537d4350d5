import DeviceTestKit
import KVMEngine
import Synchronization
import Testing

@testable import Machine

struct PowerManagementTests {
  private let clock = ManualClock()
  private let lines = LineRecorder()
  private let off = Counter()

  private final class Counter: Sendable {
    let value = Mutex(0)
  }

  private func make() -> PowerManagement {
    PowerManagement(
      clock: clock, interrupt: lines.line(9),
      powerOff: { [off] in off.value.withLock { $0 += 1 } })
  }

  @Test func timerRunsAtItsFrequencyAndWraps() {
    let chip = make()
    #expect(chip.readPort(8, width: .dword) == 0)
    clock.advance(1_000_000_000)
    #expect(chip.readPort(8, width: .dword) == 3_579_545)
    clock.advance(4_000_000_000)
    #expect(chip.readPort(8, width: .dword) == UInt32(5 * 3_579_545 & 0xFF_FFFF))
    #expect(chip.readPort(9, width: .word) == UInt32(5 * 3_579_545 & 0xFF_FFFF) >> 8)
  }

  @Test func timerInterruptsWhenItsHighestBitChanges() {
    let chip = make()
    chip.apmPorts.writePort(0, width: .byte, value: 0xF1)
    #expect(chip.readPort(4, width: .word) & 1 == 1)
    chip.writePort(2, width: .word, value: 1)
    clock.advance(2_343_000_000)  // 2^23 ticks take 2.3435 s
    #expect(!lines.level(9))
    clock.advance(1_000_000)
    #expect(lines.level(9))
    chip.writePort(0, width: .word, value: 1)
    #expect(!lines.level(9))
    clock.advance(2_344_000_000)
    #expect(lines.level(9))
  }

  @Test func realTimeClockInterruptsASystemThatGaveItsWireToTheHPET() {
    let chip = make()
    let legacy = LegacyReplacement(timer: lines.line(0), clock: lines.line(8))
    legacy.whenClockRings { chip.clockRang() }
    chip.apmPorts.writePort(0, width: .byte, value: 0xF1)
    legacy.setReplaced(true)
    legacy.clock.set(true)
    #expect(!lines.level(8))
    #expect(!lines.level(9))
    chip.writePort(2, width: .word, value: 0x400)
    #expect(lines.level(9))
    chip.writePort(0, width: .word, value: 0x400)
    #expect(!lines.level(9))
    // A level that stays is no new event, nor is the HPET's.
    legacy.clock.set(true)
    legacy.timerLine(1).set(true)
    #expect(!lines.level(9))
    legacy.clock.set(false)
    legacy.clock.set(true)
    #expect(lines.level(9))
  }

  @Test func powerButtonInterruptsASystemThatListens() {
    let chip = make()
    #expect(!chip.pressPowerButton())
    #expect(!lines.level(9))
    chip.writePort(0, width: .word, value: 0xFFFF)
    chip.apmPorts.writePort(0, width: .byte, value: 0xF1)
    chip.writePort(2, width: .word, value: 0x100)
    #expect(chip.pressPowerButton())
    #expect(lines.level(9))
    #expect(chip.readPort(0, width: .word) & 0x100 != 0)
    chip.writePort(1, width: .byte, value: 0x01)
    #expect(!lines.level(9))
  }

  @Test func softOffIsSleepTypeZeroAndOtherTypesAreRefused() {
    let chip = make()
    for type: UInt32 in [1, 2, 5, 7] {
      chip.writePort(4, width: .word, value: type << 10 | 0x2000)
      #expect(off.value.withLock { $0 } == 0)
    }
    chip.writePort(4, width: .word, value: 0x2000)
    #expect(off.value.withLock { $0 } == 1)
    #expect(chip.readPort(4, width: .word) & 0x2000 == 0)
  }

  @Test func apmPortsKeepWhatWasWritten() {
    let chip = make()
    chip.apmPorts.writePort(0, width: .byte, value: 0x42)
    chip.apmPorts.writePort(1, width: .byte, value: 0x24)
    #expect(chip.apmPorts.readPort(0, width: .byte) == 0x42)
    #expect(chip.apmPorts.readPort(1, width: .byte) == 0x24)
  }

  @Test func conforms() {
    var conformance = DeviceConformance(
      make: make, ports: { [($0, 0...63), ($0.apmPorts, 0...1)] })
    conformance.between = { [clock] _ in clock.advance(100_000_000) }
    #expect(conformance.violations(seed: 3) == [])
    let smbus = conformanceViolations(make: { SMBusHost() }, ports: { [($0, 0...15)] })
    #expect(smbus == [])
  }
}

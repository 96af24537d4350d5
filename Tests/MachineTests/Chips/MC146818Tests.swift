import DeviceTestKit
import KVMEngine
import Synchronization
import Testing

@testable import Machine

/// A host's time that a test sets.
private final class Wall: Sendable {
  let seconds: Mutex<Int64>
  init(_ seconds: Int64) { self.seconds = Mutex(seconds) }
}

/// 2026-11-22 10:20:30, a Sunday.
private let sunday = RTCTime(
  year: 2026, month: 11, day: 22, hour: 10, minute: 20, second: 30
).secondsSince1970

/// A clock whose host time goes on with the machine's.
private struct Bench {
  let clock = ManualClock()
  let lines = LineRecorder()
  let rtc: MC146818

  init(_ start: Int64 = sunday) {
    rtc = MC146818(clock: clock, irq8: lines.line(8)) { [clock] in
      start + Int64(clock.now() / 1_000_000_000)
    }
  }

  func read(_ index: UInt8) -> UInt8 {
    rtc.writePort(0, width: .byte, value: UInt32(index))
    return UInt8(rtc.readPort(1, width: .byte))
  }
  func write(_ index: UInt8, _ value: UInt8) {
    rtc.writePort(0, width: .byte, value: UInt32(index))
    rtc.writePort(1, width: .byte, value: UInt32(value))
  }
  /// Hours, minutes, seconds.
  var time: [UInt8] { [read(4), read(2), read(0)] }
  /// Century, year, month, day, weekday.
  var date: [UInt8] { [read(0x32), read(9), read(8), read(7), read(6)] }
  func run(_ seconds: UInt64) { clock.advance(seconds * 1_000_000_000) }
}

@Suite struct MC146818Tests {
  @Test func showsHostTimeInDecimal() {
    let bench = Bench()
    #expect(bench.time == [0x10, 0x20, 0x30])
    #expect(bench.date == [0x20, 0x26, 0x11, 0x22, 1])
    bench.run(95)
    #expect(bench.time == [0x10, 0x22, 0x05])
  }

  @Test func showsBinaryWhereAsked() {
    let bench = Bench()
    bench.write(0x0B, 0x06)
    #expect(bench.time == [10, 20, 30])
    #expect(bench.date == [20, 26, 11, 22, 1])
  }

  @Test func showsTwelveHours() {
    let bench = Bench()
    bench.write(0x0B, 0x00)
    #expect(bench.read(4) == 0x10)
    bench.run(2 * 3600)
    #expect(bench.read(4) == 0x92)
    bench.run(3600)
    #expect(bench.read(4) == 0x81)
    bench.run(11 * 3600)
    #expect(bench.read(4) == 0x12)
  }

  @Test(arguments: [-2_208_988_800, -1, 0, 951_782_400, 1_709_164_800, 4_102_444_799, sunday])
  func calendarIsItsOwnInverse(seconds: Int64) {
    #expect(RTCTime(seconds: seconds).secondsSince1970 == seconds)
  }

  @Test func calendarKnowsLeapDays() {
    let leap = RTCTime(seconds: 951_782_400)
    #expect([leap.year, leap.month, leap.day] == [2000, 2, 29])
    #expect(RTCTime.weekday(0) == 4)
    #expect(RTCTime.weekday(-1) == 3)
  }

  @Test func guestSetsTimeBehindSET() {
    let bench = Bench()
    bench.write(0x0B, 0x82)
    for (index, value) in [(0, 0x59), (2, 0x59), (4, 0x23), (7, 0x31), (8, 0x12), (9, 0x99)] {
      bench.write(UInt8(index), UInt8(value))
    }
    bench.write(0x32, 0x19)
    bench.write(6, 6)
    bench.run(10)
    #expect(bench.time == [0x23, 0x59, 0x59])
    bench.write(0x0B, 0x02)
    #expect(bench.time == [0x23, 0x59, 0x59])
    bench.run(1)
    #expect(bench.time == [0x00, 0x00, 0x00])
    #expect(bench.date == [0x20, 0x00, 0x01, 0x01, 7])
  }

  @Test func guestSetsOneRegisterOnTheFly() {
    let bench = Bench()
    bench.write(4, 0x05)
    bench.run(1)
    #expect(bench.time == [0x05, 0x20, 0x31])
  }

  @Test func timeFollowsHostAfterJump() {
    let wall = Wall(sunday)
    let clock = ManualClock()
    let rtc = MC146818(clock: clock, irq8: LineRecorder().line(8)) { wall.seconds.withLock { $0 } }
    #expect(rtc.readCMOS(0) == 0x30)
    // One second off is the phase between two clocks; more is a jump.
    clock.advance(2_000_000_000)
    wall.seconds.withLock { $0 += 1 }
    #expect(rtc.readCMOS(0) == 0x32)
    wall.seconds.withLock { $0 += 3600 }
    clock.advance(1_000_000_000)
    #expect(rtc.readCMOS(4) == 0x11)
  }

  @Test func updateInProgressPrecedesSecond() {
    let bench = Bench()
    _ = bench.read(0)
    bench.clock.advance(997_700_000)
    #expect(bench.read(0x0A) == 0x26)
    bench.clock.advance(100_000)
    #expect(bench.read(0x0A) == 0xA6)
    #expect(bench.read(0) == 0x30)
    bench.clock.advance(2_200_000)
    #expect(bench.read(0x0A) == 0x26)
    #expect(bench.read(0) == 0x31)
    bench.write(0x0B, 0x82)
    bench.clock.advance(999_000_000)
    #expect(bench.read(0x0A) == 0x26)
  }

  @Test func updateEndedInterruptsEachSecondThatIsRead() {
    let bench = Bench()
    bench.write(0x0B, 0x12)
    _ = bench.read(0x0C)
    bench.clock.advance(999_999_999)
    #expect(!bench.lines.level(8))
    bench.clock.advance(1)
    #expect(bench.lines.level(8))
    bench.run(5)
    #expect(bench.lines.risingEdges(8) == 1)
    #expect(bench.read(0x0C) == 0xD0)
    #expect(!bench.lines.level(8))
    #expect(bench.read(0x0C) == 0x00)
    bench.run(1)
    #expect(bench.lines.risingEdges(8) == 2)
  }

  @Test func flagsAreSetWithoutInterrupt() {
    let bench = Bench()
    _ = bench.read(0x0C)
    bench.run(2)
    #expect(bench.read(0x0C) == 0x50)
    #expect(bench.lines.risingEdges(8) == 0)
  }

  @Test func enablingAFlagThatIsSetInterrupts() {
    let bench = Bench()
    bench.run(2)
    bench.write(0x0B, 0x12)
    #expect(bench.lines.level(8))
  }

  @Test func periodicInterruptComesAtItsRate() {
    let bench = Bench()
    bench.write(0x0B, 0x42)
    var count = 0
    for _ in 0..<10_000 {
      bench.clock.advance(100_000)
      if bench.lines.level(8) {
        count += 1
        #expect(bench.read(0x0C) & 0xC0 == 0xC0)
      }
    }
    #expect(count == 1024)
  }

  @Test func slowPeriodicRates() {
    let bench = Bench()
    bench.write(0x0A, 0x2F)
    bench.write(0x0B, 0x42)
    _ = bench.read(0x0C)
    bench.clock.advance(499_999_999)
    #expect(bench.lines.risingEdges(8) == 0)
    bench.clock.advance(1)
    #expect(bench.lines.risingEdges(8) == 1)
    bench.write(0x0A, 0x20)
    _ = bench.read(0x0C)
    bench.run(3)
    #expect(bench.lines.risingEdges(8) == 1)
  }

  @Test func alarmComesAtItsTime() {
    let bench = Bench()
    for (index, value) in [(5, 0x10), (3, 0x21), (1, 0x05)] {
      bench.write(UInt8(index), UInt8(value))
    }
    bench.write(0x0B, 0x22)
    _ = bench.read(0x0C)
    bench.run(34)
    #expect(bench.lines.risingEdges(8) == 0)
    bench.run(1)
    #expect(bench.lines.risingEdges(8) == 1)
    #expect(bench.read(0x0C) & 0xA0 == 0xA0)
    bench.run(86_399)
    #expect(bench.lines.risingEdges(8) == 1)
    bench.run(1)
    #expect(bench.lines.risingEdges(8) == 2)
  }

  @Test func alarmWithoutHourComesEachHour() {
    let bench = Bench()
    for (index, value) in [(5, 0xC0), (3, 0x00), (1, 0x00)] {
      bench.write(UInt8(index), UInt8(value))
    }
    bench.write(0x0B, 0x22)
    for _ in 0..<(3 * 3600) {
      bench.run(1)
      if bench.lines.level(8) { _ = bench.read(0x0C) }
    }
    #expect(bench.lines.risingEdges(8) == 3)
  }

  @Test func setBitClearsUpdateInterrupt() {
    let bench = Bench()
    bench.write(0x0B, 0x92)
    #expect(bench.read(0x0B) == 0x82)
  }

  @Test func dividerResetHaltsSeconds() {
    let bench = Bench()
    bench.write(0x0A, 0x66)
    bench.run(5)
    #expect(bench.time == [0x10, 0x20, 0x30])
    bench.write(0x0A, 0x26)
    bench.clock.advance(499_000_000)
    #expect(bench.read(0) == 0x30)
    bench.clock.advance(1_000_000)
    #expect(bench.read(0) == 0x31)
  }

  @Test func statusRegistersCAndDAreReadOnly() {
    let bench = Bench()
    bench.write(0x0D, 0x00)
    #expect(bench.read(0x0D) == 0x80)
    bench.write(0x0C, 0xF0)
    #expect(bench.read(0x0C) == 0x00)
  }

  @Test func memoryKeepsBytesOverReset() {
    let bench = Bench()
    bench.rtc.setCMOS(0x10, 0x44)
    bench.rtc.setCMOS(0x0D, 0x00)
    bench.write(0x7F, 0x99)
    bench.rtc.reset()
    #expect(bench.read(0x10) == 0x44)
    #expect(bench.read(0x90) == 0x44)
    #expect(bench.rtc.readCMOS(0x7F) == 0x99)
    #expect(bench.read(0x0D) == 0x80)
    #expect(bench.rtc.readPort(0, width: .byte) == 0xFF)
  }

  @Test func resetTurnsInterruptsOff() {
    let bench = Bench()
    bench.write(0x0B, 0x72)
    bench.run(1)
    #expect(bench.lines.level(8))
    bench.rtc.reset()
    #expect(!bench.lines.level(8))
    #expect(bench.read(0x0B) == 0x02)
  }

  @Test func readCMOSHasNoEffects() {
    let bench = Bench()
    bench.write(0x0B, 0x12)
    bench.run(1)
    #expect(bench.rtc.readCMOS(0x0C) == 0xD0)
    #expect(bench.read(0x0C) == 0xD0)
  }

  @Test func restoredClockInterrupts() throws {
    let bench = Bench()
    bench.write(0x0B, 0x12)
    _ = bench.read(0x0C)
    let lines = LineRecorder()
    let copy = MC146818(clock: bench.clock, irq8: lines.line(8)) { sunday }
    try copy.restore(bench.rtc.save())
    bench.run(1)
    #expect(lines.level(8))
  }

  @Test func conforms() {
    let clock = ManualClock()
    let lines = LineRecorder()
    var suite = DeviceConformance(
      make: {
        MC146818(clock: clock, irq8: lines.line(8)) {
          sunday + Int64(clock.now() / 1_000_000_000)
        }
      }, ports: { [($0, 0x70...0x71)] })
    suite.between = { _ in clock.advance(123_456_789) }
    #expect(suite.violations(seed: 146_818) == [])
  }
}

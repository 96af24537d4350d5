import DeviceTestKit
import Testing

@testable import KVMEngine

/// A timer whose IRQ 0 is counted.
private struct Bench {
  let clock = ManualClock()
  let lines = LineRecorder()
  let timer: I8254
  let portB: SystemControlPortB

  init() {
    timer = I8254(clock: clock, irq0: lines.line(0))
    portB = SystemControlPortB(clock: clock, timer: timer)
  }

  func control(_ value: UInt8) { timer.writePort(3, width: .byte, value: UInt32(value)) }
  func write(_ counter: UInt16, _ bytes: UInt8...) {
    for byte in bytes { timer.writePort(counter, width: .byte, value: UInt32(byte)) }
  }
  func read(_ counter: UInt16) -> UInt32 { timer.readPort(counter, width: .byte) }
  func readWord(_ counter: UInt16) -> UInt32 { read(counter) | read(counter) << 8 }
  func status(_ counter: UInt16) -> UInt32 {
    control(0xE0 | 2 << UInt8(counter))
    return read(counter)
  }
  func gate2(_ level: Bool) { portB.writePort(0, width: .byte, value: level ? 1 : 0) }
  /// Turns the clock so that `count` input clocks have passed since its start.
  func run(toClock count: Int64) {
    let time = I8254.nanoseconds(at: count)
    if time > clock.now() { clock.advance(time - clock.now()) }
  }
  /// Lets `count` more input clocks pass.
  func run(_ count: Int64) { run(toClock: I8254.clocks(at: clock.now()) + count) }
  var ticks: Int { lines.risingEdges(0) }
}

@Suite struct I8254Tests {
  @Test func clocksAndNanosecondsAreInverse() {
    for clock in [0, 1, 2, 1_193_181, 1_193_182, 1_193_183, 1 << 40, (1 << 53) - 1] as [Int64] {
      let time = I8254.nanoseconds(at: clock)
      #expect(I8254.clocks(at: time) == clock)
      if clock > 0 { #expect(I8254.clocks(at: time - 1) == clock - 1) }
    }
    #expect(I8254.nanoseconds(at: 1_193_182) == 1_000_000_000)
    #expect(I8254.nanoseconds(at: .max) == .max)
    #expect(I8254.clocks(at: .max) > 0)
  }

  @Test func biosTickComesAtItsRateWithoutDrift() {
    let bench = Bench()
    bench.control(0x36)
    bench.write(0, 0, 0)
    // An hour holds 3600 * 1193182 / 65536 ticks.
    for _ in 0..<3600 { bench.clock.advance(1_000_000_000) }
    #expect(bench.ticks == 65_543)
  }

  @Test func rateGeneratorFallsForOneClock() {
    let bench = Bench()
    bench.control(0xB4)
    bench.gate2(true)
    bench.write(2, 10, 0)
    bench.run(1)
    var levels: [Bool] = []
    for _ in 0..<21 {
      levels.append(bench.timer.output2)
      bench.run(1)
    }
    let low = levels.indices.filter { !levels[$0] }
    #expect(low == [9, 19])
  }

  @Test func squareWaveOfOddCountIsHighLonger() {
    let bench = Bench()
    bench.control(0xB6)
    bench.gate2(true)
    bench.write(2, 5, 0)
    bench.run(1)
    var levels = ""
    var values: [UInt32] = []
    for _ in 0..<10 {
      levels += bench.timer.output2 ? "H" : "L"
      bench.control(0x80)
      values.append(bench.readWord(2))
      bench.run(1)
    }
    #expect(levels == "HHHLLHHHLL")
    #expect(values == [4, 2, 0, 4, 2, 4, 2, 0, 4, 2])
  }

  @Test func newSquareWaveCountTakesOverAtHalfPeriod() {
    let bench = Bench()
    bench.control(0xB6)
    bench.gate2(true)
    bench.write(2, 8, 0)
    bench.run(2)
    bench.write(2, 4, 0)
    var levels = ""
    for _ in 0..<11 {
      levels += bench.timer.output2 ? "H" : "L"
      bench.run(1)
    }
    // One clock of the old high half is over; three are left.
    #expect(levels == "HHHLLHHLLHH")
  }

  @Test func newRateTakesOverAtEndOfPeriod() {
    let bench = Bench()
    bench.control(0x34)
    bench.write(0, 0xE8, 0x03)
    bench.run(500)
    bench.write(0, 0xD0, 0x07)
    bench.run(toClock: 1000)
    #expect(bench.ticks == 0)
    bench.run(toClock: 1001)
    #expect(bench.ticks == 1)
    bench.run(toClock: 3000)
    #expect(bench.ticks == 1)
    bench.run(toClock: 3001)
    #expect(bench.ticks == 2)
  }

  @Test func terminalCountRaisesOnce() {
    let bench = Bench()
    bench.control(0x30)
    bench.write(0, 100, 0)
    bench.run(toClock: 100)
    #expect(bench.ticks == 0)
    #expect(bench.status(0) & 0x80 == 0)
    bench.run(toClock: 101)
    #expect(bench.ticks == 1)
    #expect(bench.status(0) & 0x80 != 0)
    bench.clock.advance(1_000_000_000)
    #expect(bench.ticks == 1)
    // A new count lowers OUT and starts again.
    bench.write(0, 100, 0)
    #expect(!bench.lines.level(0))
    bench.run(101)
    #expect(bench.ticks == 2)
  }

  @Test func firstByteOfTwoStopsTerminalCount() {
    let bench = Bench()
    bench.control(0x30)
    bench.write(0, 100, 0)
    bench.run(50)
    bench.write(0, 20)
    bench.run(200)
    #expect(bench.ticks == 0)
    bench.write(0, 0)
    bench.run(21)
    #expect(bench.ticks == 1)
  }

  @Test func countGoesOnBelowZeroAfterTerminalCount() {
    let bench = Bench()
    bench.control(0xB0)
    bench.gate2(true)
    bench.write(2, 10, 0)
    bench.run(13)
    bench.control(0x80)
    #expect(bench.readWord(2) == 0xFFFE)
  }

  @Test func gateStopsTerminalCount() {
    let bench = Bench()
    bench.control(0xB0)
    bench.gate2(true)
    bench.write(2, 100, 0)
    bench.run(41)
    bench.gate2(false)
    bench.run(500)
    bench.control(0x80)
    #expect(bench.readWord(2) == 60)
    #expect(!bench.timer.output2)
    bench.gate2(true)
    bench.run(59)
    #expect(!bench.timer.output2)
    bench.run(1)
    #expect(bench.timer.output2)
  }

  @Test func gateTriggersOneShot() {
    let bench = Bench()
    bench.control(0xB2)
    bench.write(2, 10, 0)
    bench.run(50)
    #expect(bench.timer.output2)
    bench.gate2(true)
    bench.run(1)
    #expect(!bench.timer.output2)
    bench.run(9)
    #expect(!bench.timer.output2)
    bench.run(1)
    #expect(bench.timer.output2)
    // A second trigger in the pulse makes it longer.
    bench.gate2(false)
    bench.gate2(true)
    bench.run(5)
    bench.gate2(false)
    bench.gate2(true)
    bench.run(10)
    #expect(!bench.timer.output2)
    bench.run(1)
    #expect(bench.timer.output2)
  }

  @Test func lowGateHoldsSquareWaveHigh() {
    let bench = Bench()
    bench.control(0xB6)
    bench.gate2(true)
    bench.write(2, 10, 0)
    bench.run(7)
    #expect(!bench.timer.output2)
    bench.gate2(false)
    #expect(bench.timer.output2)
    bench.run(100)
    bench.gate2(true)
    bench.run(6)
    #expect(!bench.timer.output2)
  }

  @Test func softwareStrobeFallsOnce() {
    let bench = Bench()
    bench.control(0xB8)
    bench.gate2(true)
    bench.write(2, 5, 0)
    var levels = ""
    for _ in 0..<9 {
      levels += bench.timer.output2 ? "H" : "L"
      bench.run(1)
    }
    #expect(levels == "HHHHHHLHH")
  }

  @Test func hardwareStrobeWaitsForGate() {
    let bench = Bench()
    bench.control(0xBA)
    bench.write(2, 3, 0)
    bench.run(10)
    bench.gate2(true)
    var levels = ""
    for _ in 0..<6 {
      levels += bench.timer.output2 ? "H" : "L"
      bench.run(1)
    }
    #expect(levels == "HHHHLH")
  }

  @Test func strobeInterruptsOnceItRises() {
    let bench = Bench()
    bench.control(0x38)
    bench.write(0, 0xE8, 0x03)
    bench.run(toClock: 1001)
    #expect(bench.ticks == 0)
    bench.run(toClock: 1002)
    #expect(bench.ticks == 1)
    bench.clock.advance(1_000_000_000)
    #expect(bench.ticks == 1)
  }

  @Test func decimalCountIsReadInDecimal() {
    let bench = Bench()
    bench.control(0xB5)
    bench.gate2(true)
    bench.write(2, 0x00, 0x10)
    bench.run(2)
    bench.control(0x80)
    #expect(bench.readWord(2) == 0x0999)
    bench.control(0xB5)
    bench.write(2, 0, 0)
    bench.run(2)
    bench.control(0x80)
    #expect(bench.readWord(2) == 0x9999)
  }

  @Test func latchHoldsCountUntilItIsRead() {
    let bench = Bench()
    bench.control(0x34)
    bench.write(0, 0, 0)
    bench.run(101)
    bench.control(0x00)
    bench.run(100)
    bench.control(0x00)
    #expect(bench.readWord(0) == 65_536 - 100)
    #expect(bench.readWord(0) == 65_536 - 200)
  }

  @Test func singleByteAccessesReadTheirByte() {
    let bench = Bench()
    bench.control(0x24)
    bench.write(0, 0x12)
    bench.run(1)
    #expect(bench.read(0) == 0x12)
    #expect(bench.read(0) == 0x12)
    bench.control(0x14)
    bench.write(0, 0x77)
    bench.run(1)
    #expect(bench.read(0) == 0x77)
  }

  @Test func readBackLatchesStatusThenCount() {
    let bench = Bench()
    bench.control(0x34)
    bench.control(0xE2)
    // Mode 2, two bytes, OUT high, nothing loaded.
    #expect(bench.read(0) == 0xF4)
    bench.write(0, 0x34, 0x12)
    bench.run(1)
    bench.control(0xC2)
    #expect(bench.read(0) == 0xB4)
    #expect(bench.readWord(0) == 0x1234)
  }

  @Test func readBackNamesSeveralCounters() {
    let bench = Bench()
    bench.control(0x34)
    bench.control(0x54)
    bench.control(0xEE)
    #expect(bench.read(0) == 0xF4)
    #expect(bench.read(1) == 0xD4)
    #expect(bench.read(2) != 0xFF)
    #expect(bench.read(3) == 0xFF)
  }

  @Test func sleepsWhenNoTickWillCome() {
    let bench = Bench()
    let counting = CountingClock()
    let timer = I8254(clock: counting, irq0: bench.lines.line(0))
    timer.writePort(3, width: .byte, value: 0x30)
    timer.writePort(0, width: .byte, value: 100)
    timer.writePort(0, width: .byte, value: 0)
    #expect(counting.timer.deadline == I8254.nanoseconds(at: 101))
    counting.time = 1_000_000
    counting.timer.fire()
    #expect(counting.timer.deadline == nil)
    #expect(bench.ticks == 1)
  }

  @Test func missedTicksAreMadeUpAtTwiceTheRate() {
    let lines = LineRecorder()
    let clock = CountingClock()
    let timer = I8254(clock: clock, irq0: lines.line(0))
    timer.writePort(3, width: .byte, value: 0x34)
    timer.writePort(0, width: .byte, value: 0xA9)  // 1193: a millisecond
    timer.writePort(0, width: .byte, value: 0x04)
    clock.time = 10_500_000
    clock.timer.fire()
    #expect(lines.risingEdges(0) == 1)
    clock.run(until: 15_200_000)
    #expect(lines.risingEdges(0) < 12)
    clock.run(until: 40_500_000)
    #expect(lines.risingEdges(0) == 40)
  }

  @Test func longDelayIsNotMadeUpWholly() {
    let lines = LineRecorder()
    let clock = CountingClock()
    let timer = I8254(clock: clock, irq0: lines.line(0))
    timer.writePort(3, width: .byte, value: 0x34)
    timer.writePort(0, width: .byte, value: 0xA9)
    timer.writePort(0, width: .byte, value: 0x04)
    clock.time = 10_000_000_000
    clock.timer.fire()
    clock.run(until: 10_100_000_000)
    #expect(lines.risingEdges(0) <= 100 + Int(I8254.maximumOwed))
    #expect(lines.risingEdges(0) >= 100)
  }

  @Test func fastestRateDoesNotFlood() {
    let bench = Bench()
    bench.control(0x34)
    bench.write(0, 2, 0)
    bench.clock.advance(100_000_000)
    #expect(bench.ticks <= 1001)
    #expect(bench.ticks >= 990)
  }

  @Test func restoredTimerGoesOnTicking() throws {
    let bench = Bench()
    bench.control(0x34)
    bench.write(0, 0xA9, 0x04)
    bench.clock.advance(5_500_000)
    let lines = LineRecorder()
    let copy = I8254(clock: bench.clock, irq0: lines.line(0))
    try copy.restore(bench.timer.save())
    bench.clock.advance(10_000_000)
    #expect(bench.ticks == 15)
    #expect(lines.risingEdges(0) == 11 || lines.risingEdges(0) == 10)
  }

  @Test func conforms() {
    let clock = ManualClock()
    let lines = LineRecorder()
    var suite = DeviceConformance(
      make: { I8254(clock: clock, irq0: lines.line(0)) }, ports: { [($0, 0x40...0x43)] })
    suite.between = { timer in
      timer.setGate2(clock.now() & 1 == 0)
      clock.advance(12_345)
    }
    #expect(suite.violations(seed: 8254) == [])
  }
}

@Suite struct SystemControlPortBTests {
  @Test func showsCounter2AndItsGate() {
    let bench = Bench()
    bench.control(0xB0)
    bench.portB.writePort(0, width: .byte, value: 0xF3)
    #expect(bench.portB.speakerOn)
    #expect(bench.portB.readPort(0, width: .byte) & 0xEF == 0x03)
    bench.write(2, 10, 0)
    bench.run(12)
    #expect(bench.portB.readPort(0, width: .byte) & 0xEF == 0x23)
  }

  @Test func refreshBitToggles() {
    let bench = Bench()
    var toggles = 0
    var last = bench.portB.readPort(0, width: .byte) & 0x10
    for _ in 0..<15_085 {
      bench.clock.advance(1_000)
      let now = bench.portB.readPort(0, width: .byte) & 0x10
      if now != last { toggles += 1 }
      last = now
    }
    #expect(toggles == 1_000)
  }

  @Test func conforms() {
    let clock = ManualClock()
    let lines = LineRecorder()
    let timer = I8254(clock: clock, irq0: lines.line(0))
    var suite = DeviceConformance(
      make: { SystemControlPortB(clock: clock, timer: timer) }, ports: { [($0, 0x61...0x61)] })
    suite.comparesTwins = false  // The gate is the timer's.
    #expect(suite.violations(seed: 61) == [])
  }
}

/// A clock whose one timer a test fires late.
private final class CountingClock: Clock, @unchecked Sendable {
  // SAFETY: one test thread uses it.
  final class Timer: DeviceTimer, @unchecked Sendable {
    var deadline: UInt64?
    var handler: @Sendable () -> Void = {}
    func arm(at deadline: UInt64) { self.deadline = deadline }
    func cancel() { deadline = nil }
    func fire() {
      deadline = nil
      handler()
    }
  }

  let timer = Timer()
  var time: UInt64 = 0

  func now() -> UInt64 { time }

  func makeTimer(_ name: String, handler: @escaping @Sendable () -> Void) -> any DeviceTimer {
    timer.handler = handler
    return timer
  }

  func run(until end: UInt64) {
    while let deadline = timer.deadline, deadline <= end {
      time = max(time, deadline)
      timer.fire()
    }
    time = end
  }
}

import DeviceTestKit
import Testing

@testable import KVMEngine

/// A bench whose timer entry is `entry` and whose divider is one.
private func timerBench(_ entry: UInt32) -> LocalAPICBench {
  let bench = LocalAPICBench()
  bench.write(0x3E0, 0xB)
  bench.write(0x320, entry)
  return bench
}

@Suite struct LocalAPICTimerTests {
  @Test func oneShotFiresOnceAndStopsAtZero() {
    let bench = timerBench(0x40)
    bench.write(0x380, 1000)
    #expect(bench.read(0x390) == 1000)
    bench.clock.advance(999)
    #expect(bench.read(0x390) == 1 && !bench.chip.hasPending)
    bench.clock.advance(1)
    #expect(bench.chip.nextInterrupt() == 0x40 && bench.wakeCount() == 1)
    bench.endInterrupt()
    bench.clock.advance(100_000)
    #expect(bench.read(0x390) == 0 && bench.read(0x380) == 1000 && !bench.chip.hasPending)
    #expect(bench.endedVectors.isEmpty)
  }

  @Test(arguments: [(0, 2), (1, 4), (2, 8), (3, 16), (8, 32), (9, 64), (10, 128), (11, 1)])
  func dividesTheBusClock(_ configuration: UInt32, _ divisor: UInt64) {
    let bench = timerBench(0x40)
    bench.write(0x3E0, configuration)
    bench.write(0x380, 100)
    bench.clock.advance(40 * divisor - 1)
    #expect(bench.read(0x390) == 61)
    bench.clock.advance(1)
    #expect(bench.read(0x390) == 60 && bench.read(0x3E0) == configuration)
    bench.clock.advance(60 * divisor)
    #expect(bench.chip.nextInterrupt() == 0x40)
  }

  @Test func longestCountDoesNotOverflow() {
    let bench = timerBench(0x40)
    bench.write(0x3E0, 0xA)
    bench.write(0x380, 0xFFFF_FFFF)
    bench.clock.advance(128)
    #expect(bench.read(0x390) == 0xFFFF_FFFE)
    bench.clock.advance(0xFFFF_FFFE * 128)
    #expect(bench.chip.nextInterrupt() == 0x40)
  }

  @Test func periodicDoesNotDrift() {
    let bench = timerBench(0x40 | Entry.periodic)
    bench.write(0x380, 1_000_003)
    for turn in 1...50 as ClosedRange<UInt64> {
      bench.clock.advance(turn * 1_000_003 - bench.clock.now() - 1)
      #expect(!bench.chip.hasPending && bench.read(0x390) == 1)
      bench.clock.advance(1)
      #expect(bench.chip.nextInterrupt() == 0x40)
      #expect(bench.read(0x390) == 1_000_003)
      bench.endInterrupt()
    }
  }

  @Test func missedPeriodsAreOneInterrupt() {
    let bench = timerBench(0x40 | Entry.periodic | Entry.masked)
    bench.write(0x380, 100_000)
    bench.clock.advance(750_000)
    bench.write(0x320, 0x40 | Entry.periodic)
    #expect(!bench.chip.hasPending && bench.read(0x390) == 50_000)
    bench.clock.advance(50_000)
    #expect(bench.chip.nextInterrupt() == 0x40)
  }

  @Test func veryShortPeriodsDoNotFloodTheHost() {
    let bench = timerBench(0x40 | Entry.periodic)
    bench.write(0x380, 7)
    bench.clock.advance(1_000_000)
    #expect(bench.wakeCount() == 1)
    var taken = 0
    for _ in 0..<1000 {
      bench.clock.advance(1000)
      if bench.chip.nextInterrupt() != nil {
        taken += 1
        bench.endInterrupt()
      }
      #expect((1...7).contains(bench.read(0x390)))
    }
    #expect((15...21).contains(taken))
  }

  @Test func maskedTimerCountsWithoutInterrupting() {
    let bench = timerBench(0x40 | Entry.masked)
    bench.write(0x380, 1000)
    bench.clock.advance(400)
    #expect(bench.read(0x390) == 600)
    bench.clock.advance(700)
    #expect(bench.read(0x390) == 0 && !bench.chip.hasPending)
    bench.write(0x320, 0x40)
    bench.clock.advance(10_000)
    #expect(!bench.chip.hasPending)
  }

  @Test func unmaskedInTimeItInterrupts() {
    let bench = timerBench(0x40 | Entry.masked)
    bench.write(0x380, 1000)
    bench.clock.advance(999)
    bench.write(0x320, 0x41)
    bench.clock.advance(1)
    #expect(bench.chip.nextInterrupt() == 0x41)
  }

  @Test func zeroStopsTheCount() {
    let bench = timerBench(0x40)
    bench.write(0x380, 1000)
    bench.clock.advance(500)
    bench.write(0x380, 0)
    #expect(bench.read(0x390) == 0)
    bench.clock.advance(10_000)
    #expect(!bench.chip.hasPending)
  }

  @Test func armedAnewItForgetsTheOldDeadline() {
    let bench = timerBench(0x40)
    bench.write(0x380, 1000)
    bench.clock.advance(999)
    bench.write(0x380, 5000)
    bench.clock.advance(4999)
    #expect(!bench.chip.hasPending && bench.read(0x390) == 1)
    bench.clock.advance(1)
    #expect(bench.chip.nextInterrupt() == 0x40)
  }

  @Test func lateHandlerOfAnOldDeadlineDoesNothing() {
    let clock = LateClock()
    let bus = APICBus()
    let chip = LocalAPIC(
      identifier: 0, isBootstrap: true, clock: clock,
      timestampCounter: .init(frequency: 1_000_000_000) { 0 }, bus: bus)
    chip.writeMemory(0xF0, width: .dword, value: 0x1FF)
    chip.writeMemory(0x3E0, width: .dword, value: 0xB)
    chip.writeMemory(0x320, width: .dword, value: 0x40)
    chip.writeMemory(0x380, width: .dword, value: 1000)
    #expect(clock.timer.deadline == 1000)
    // The clock's thread has taken the timer that was due; the guest stores before the handler runs.
    clock.time = 999
    clock.timer.deadline = nil
    chip.writeMemory(0x380, width: .dword, value: 1000)
    clock.time = 1000
    clock.timer.fire()
    #expect(!chip.hasPending && clock.timer.deadline == 1999)
    clock.time = 1999
    clock.timer.fire()
    clock.timer.fire()
    #expect(chip.nextInterrupt() == 0x40 && !chip.hasPending && clock.timer.deadline == nil)
  }

  @Test func changingTheDividerKeepsTheCount() {
    let bench = timerBench(0x40)
    bench.write(0x380, 1000)
    bench.clock.advance(400)
    bench.write(0x3E0, 0x0)
    #expect(bench.read(0x390) == 600)
    bench.clock.advance(1199)
    #expect(bench.read(0x390) == 1 && !bench.chip.hasPending)
    bench.clock.advance(1)
    #expect(bench.chip.nextInterrupt() == 0x40)
  }

  @Test func readingTheCountServesALateExpiry() {
    let clock = LateClock()
    let bus = APICBus()
    let chip = LocalAPIC(
      identifier: 0, isBootstrap: true, clock: clock,
      timestampCounter: .init(frequency: 1_000_000_000) { 0 }, bus: bus)
    chip.writeMemory(0xF0, width: .dword, value: 0x1FF)
    chip.writeMemory(0x3E0, width: .dword, value: 0xB)
    chip.writeMemory(0x320, width: .dword, value: 0x40)
    chip.writeMemory(0x380, width: .dword, value: 1000)
    clock.time = 5000
    #expect(chip.readMemory(0x390, width: .dword) == 0 && chip.hasPending)
    clock.timer.fire()
    #expect(chip.nextInterrupt() == 0x40 && !chip.hasPending)
  }

  @Test func deadlineFiresWhenTheCounterReachesIt() {
    let bench = timerBench(0x40 | Entry.deadline)
    bench.clock.advance(1000)
    #expect(bench.chip.writeMSR(0x6E0, value: 2 * 6000 + 1))
    #expect(bench.chip.readMSR(0x6E0) == 12_001)
    bench.clock.advance(5000)
    #expect(!bench.chip.hasPending)
    bench.clock.advance(1)
    #expect(bench.chip.nextInterrupt() == 0x40 && bench.chip.readMSR(0x6E0) == 0)
  }

  @Test func deadlineInThePastFiresAtOnce() {
    let bench = timerBench(0x40 | Entry.deadline)
    bench.clock.advance(1000)
    #expect(bench.chip.writeMSR(0x6E0, value: 1))
    bench.clock.advance(0)
    #expect(bench.chip.nextInterrupt() == 0x40)
  }

  @Test func zeroDisarmsTheDeadline() {
    let bench = timerBench(0x40 | Entry.deadline)
    #expect(bench.chip.writeMSR(0x6E0, value: 5000))
    #expect(bench.chip.writeMSR(0x6E0, value: 0))
    bench.clock.advance(100_000)
    #expect(!bench.chip.hasPending)
  }

  @Test func deadlineBeyondTheAgesNeverFires() {
    let bench = timerBench(0x40 | Entry.deadline)
    #expect(bench.chip.writeMSR(0x6E0, value: .max))
    bench.clock.advance(1 << 50)
    #expect(!bench.chip.hasPending && bench.chip.readMSR(0x6E0) == .max)
  }

  @Test func modesOfTheTimerExcludeEachOther() {
    let bench = timerBench(0x40)
    #expect(bench.chip.writeMSR(0x6E0, value: 5000) && bench.chip.readMSR(0x6E0) == 0)
    bench.write(0x380, 1000)
    bench.write(0x320, 0x40 | Entry.deadline)
    #expect(bench.read(0x380) == 0 && bench.read(0x390) == 0)
    bench.write(0x380, 1000)
    #expect(bench.read(0x380) == 0)
    #expect(bench.chip.writeMSR(0x6E0, value: 5000))
    bench.write(0x320, 0x40)
    #expect(bench.chip.readMSR(0x6E0) == 0)
    bench.clock.advance(100_000)
    #expect(!bench.chip.hasPending)
  }

  @Test func deadlineWaitsForACounterThatLags() {
    let clock = LateClock()
    let bus = APICBus()
    let chip = LocalAPIC(
      identifier: 0, isBootstrap: true, clock: clock,
      timestampCounter: .init(frequency: 1_000_000_000) { clock.time &- min(clock.time, 100) },
      bus: bus)
    chip.writeMemory(0xF0, width: .dword, value: 0x1FF)
    chip.writeMemory(0x320, width: .dword, value: 0x4_0040)
    #expect(chip.writeMSR(0x6E0, value: 1000) && clock.timer.deadline == 1000)
    clock.time = 1000
    clock.timer.fire()
    #expect(!chip.hasPending && clock.timer.deadline == 1100)
    clock.time = 1100
    clock.timer.fire()
    #expect(chip.nextInterrupt() == 0x40)
  }

  @Test func softwareDisableSilencesTheTimer() {
    let bench = timerBench(0x40 | Entry.periodic)
    bench.write(0x380, 100_000)
    bench.write(0xF0, 0xFF)
    bench.clock.advance(1_000_000)
    #expect(!bench.chip.hasPending && bench.wakeCount() == 0)
  }
}

/// A clock whose one timer fires when the test says so, due or not.
private final class LateClock: Clock, @unchecked Sendable {
  // SAFETY: used by one thread.
  final class Timer: DeviceTimer, @unchecked Sendable {
    // SAFETY: used by one thread.
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
  func makeTimer(
    _ name: String, handler: @escaping @Sendable () -> Void
  ) -> any DeviceTimer {
    timer.handler = handler
    return timer
  }
}

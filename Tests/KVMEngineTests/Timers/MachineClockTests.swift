import KVMEngine
import Synchronization
import Testing

/// What timers did, and a way to wait for it.
private final class Log: Sendable {
  private let monitor = Monitor()
  private let events = Mutex<[(String, UInt64)]>([])

  func add(_ name: String, _ time: UInt64) {
    events.withLock { $0.append((name, time)) }
    monitor.withLock { monitor.broadcast() }
  }

  var names: [String] { events.withLock { $0.map(\.0) } }
  var times: [UInt64] { events.withLock { $0.map(\.1) } }

  /// Waits until there are `count` events; false after five seconds.
  func wait(for count: Int) -> Bool {
    let end = Monitor.monotonic() + 5_000_000_000
    return monitor.withLock {
      while names.count < count {
        if !monitor.wait(until: end), Monitor.monotonic() >= end { return false }
      }
      return true
    }
  }
}

private let millisecond: UInt64 = 1_000_000

private func sleep(_ milliseconds: UInt64) {
  let monitor = Monitor()
  let end = Monitor.monotonic() + milliseconds * millisecond
  monitor.withLock { while Monitor.monotonic() < end { monitor.wait(until: end) } }
}

@Suite struct MachineClockTests {
  @Test func timersFireInOrderAndNotEarly() throws {
    let clock = MachineClock()
    let log = Log()
    let timers = ["late", "early", "middle"].map { name in
      clock.makeTimer(name) { [unowned clock] in log.add(name, clock.now()) }
    }
    let start = clock.now()
    for (timer, delay) in zip(timers, [30, 10, 20] as [UInt64]) {
      timer.arm(at: start + delay * millisecond)
    }
    try clock.start()
    #expect(log.wait(for: 3))
    clock.stop()
    #expect(log.names == ["early", "middle", "late"])
    for (time, delay) in zip(log.times, [10, 20, 30] as [UInt64]) {
      #expect(time >= start + delay * millisecond)
    }
  }

  @Test func earlierDeadlineWakesASleepingThread() throws {
    let clock = MachineClock()
    let log = Log()
    let timer = clock.makeTimer("timer") { [unowned clock] in log.add("fired", clock.now()) }
    timer.arm(at: clock.now() + 60_000 * millisecond)
    try clock.start()
    sleep(20)
    let deadline = clock.now() + millisecond
    timer.arm(at: deadline)
    #expect(log.wait(for: 1))
    clock.stop()
    #expect(log.times.allSatisfy { $0 >= deadline })
  }

  @Test func pastDeadlineFiresAtOnceAndOnce() throws {
    let clock = MachineClock()
    let log = Log()
    let timer = clock.makeTimer("timer") { log.add("fired", 0) }
    try clock.start()
    timer.arm(at: 0)
    #expect(log.wait(for: 1))
    sleep(20)
    clock.stop()
    #expect(log.names.count == 1)
  }

  @Test func cancelledTimerStaysSilent() throws {
    let clock = MachineClock()
    let log = Log()
    let timer = clock.makeTimer("timer") { log.add("fired", 0) }
    try clock.start()
    timer.arm(at: clock.now() + 30 * millisecond)
    timer.cancel()
    sleep(60)
    clock.stop()
    #expect(log.names.isEmpty)
  }

  @Test func handlerMayArmItsOwnTimer() throws {
    let clock = MachineClock()
    let log = Log()
    let box = TimerBox()
    let timer = clock.makeTimer("timer") { [unowned clock] in
      log.add("fired", clock.now())
      box.timer?.arm(at: clock.now() + millisecond)
    }
    box.timer = timer
    try clock.start()
    timer.arm(at: clock.now())
    #expect(log.wait(for: 5))
    clock.stop()
  }

  @Test func pausedClockStandsStill() throws {
    let clock = MachineClock()
    let log = Log()
    let timer = clock.makeTimer("timer") { [unowned clock] in log.add("fired", clock.now()) }
    try clock.start()
    clock.pause()
    let paused = clock.now()
    timer.arm(at: paused + 10 * millisecond)
    sleep(50)
    clock.pause()
    #expect(clock.now() == paused)
    #expect(log.names.isEmpty)
    clock.resume()
    #expect(clock.now() < paused + 10_000 * millisecond)
    #expect(log.wait(for: 1))
    clock.stop()
    #expect(log.times.allSatisfy { $0 >= paused + 10 * millisecond })
  }

  @Test func pauseCatchesATimerThatIsArmed() throws {
    let clock = MachineClock()
    let log = Log()
    let timer = clock.makeTimer("timer") { log.add("fired", 0) }
    try clock.start()
    clock.pause()
    timer.arm(at: clock.now() + 20 * millisecond)
    clock.resume()
    clock.pause()
    sleep(60)
    let early = log.names.count
    clock.resume()
    #expect(log.wait(for: 1))
    clock.stop()
    #expect(early == 0)
  }

  @Test func restoredClockGoesOnFromWhereItWas() {
    let clock = MachineClock(elapsed: 5_000_000_000)
    #expect(clock.now() >= 5_000_000_000)
    #expect(clock.now() < 3_600_000_000_000)
  }

  @Test func stoppedClockCallsNobody() throws {
    let clock = MachineClock()
    let log = Log()
    let timer = clock.makeTimer("timer") { log.add("fired", 0) }
    try clock.start()
    clock.stop()
    timer.arm(at: 0)
    sleep(10)
    #expect(log.names.isEmpty)
  }
}

/// A timer that its own handler can reach.
private final class TimerBox: Sendable {
  private let held = Mutex<(any DeviceTimer)?>(nil)
  var timer: (any DeviceTimer)? {
    get { held.withLock { $0 } }
    set { held.withLock { $0 = newValue } }
  }
}

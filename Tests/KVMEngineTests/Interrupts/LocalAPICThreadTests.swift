import DeviceTestKit
import Glibc
import Synchronization
import Testing

@testable import KVMEngine

/// A processor of the thread tests: serves its local APIC's interrupts, and sleeps like HLT.
private final class SleepyProcessor: @unchecked Sendable {
  // SAFETY: `woken` is read and written with `monitor` held; the counts are used on one thread.
  let chip: LocalAPIC
  private let monitor = Monitor()
  private var woken = false

  init(_ chip: LocalAPIC) {
    self.chip = chip
    chip.connect { [weak self] in self?.wake() }
  }

  private func wake() {
    monitor.withLock {
      woken = true
      monitor.broadcast()
    }
  }

  /// Sleeps until the local APIC has something, or `deadline`.
  /// - Returns: false where the deadline ended the sleep.
  func sleep(until deadline: UInt64) -> Bool {
    monitor.withLock {
      while !chip.hasPending && !woken {
        if !monitor.wait(until: deadline) { return chip.hasPending }
      }
      woken = false
      return true
    }
  }

  func send(_ vector: UInt32, to identifier: UInt32) {
    chip.writeMemory(0x310, width: .dword, value: UInt64(identifier) << 24)
    chip.writeMemory(0x300, width: .dword, value: UInt64(vector))
  }

  func endInterrupt() { chip.writeMemory(0xB0, width: .dword, value: 0) }
}

private let requestBase: UInt32 = 0x40
private let answerBase: UInt32 = 0x60
private let stopVector: UInt32 = 0x31

@Suite struct LocalAPICThreadTests {
  /// Each of four processors asks the others in turn and waits for the answer, asleep: one message
  /// or one wake that is lost stops everything.
  @Test func noMessageAmongFourThreadsIsLost() throws {
    let clock = MachineClock()
    let bus = APICBus()
    let processors = (0..<4).map { index in
      let chip = LocalAPIC(
        identifier: UInt32(index), isBootstrap: index == 0, clock: clock,
        timestampCounter: .init(frequency: 1_000_000_000) { clock.now() }, bus: bus)
      chip.writeMemory(0xF0, width: .dword, value: 0x1FF)
      return SleepyProcessor(chip)
    }
    let deadline = Monitor.monotonic() + 60_000_000_000
    let rounds = 4000
    let answered = Atomic<Int>(0)
    let finished = Atomic<Int>(0)
    let timedOut = Atomic<Bool>(false)
    let threads = try processors.enumerated().map { own, processor in
      try Thread(name: "lapic\(own)") {
        var left = rounds
        var waiting = false
        while true {
          if !waiting && left > 0 {
            waiting = true
            let target = (own + 1 + left % 3) % 4
            processor.send(requestBase + UInt32(own), to: UInt32(target))
          }
          while let vector = processor.chip.nextInterrupt() {
            processor.endInterrupt()
            switch UInt32(vector) {
            case requestBase..<requestBase + 4:
              processor.send(answerBase + UInt32(own), to: UInt32(vector) - requestBase)
            case answerBase..<answerBase + 4:
              waiting = false
              left -= 1
              answered.wrappingAdd(1, ordering: .relaxed)
              if left == 0, finished.wrappingAdd(1, ordering: .relaxed).newValue == 4 {
                processor.chip.writeMemory(
                  0x300, width: .dword, value: UInt64(stopVector | 2 << 18))
              }
            default: return
            }
          }
          if waiting || left == 0, !processor.sleep(until: deadline) {
            timedOut.store(true, ordering: .relaxed)
            return
          }
        }
      }
    }
    for thread in threads { thread.join() }
    let (late, answers) = (timedOut.load(ordering: .relaxed), answered.load(ordering: .relaxed))
    #expect(!late && answers == 4 * rounds)
  }

  /// Devices and processors interrupt one processor, each with its own vector and not before its
  /// last was served, while it raises and lowers its priority.
  @Test func noInterruptIsLostWhileThePriorityMoves() throws {
    let clock = MachineClock()
    let bus = APICBus()
    let chip = LocalAPIC(
      identifier: 0, isBootstrap: true, clock: clock,
      timestampCounter: .init(frequency: 1_000_000_000) { clock.now() }, bus: bus)
    chip.writeMemory(0xF0, width: .dword, value: 0x1FF)
    let processor = SleepyProcessor(chip)
    let served = Mutex([Int](repeating: 0, count: 4))
    let rounds = 3000
    let deadline = Monitor.monotonic() + 60_000_000_000
    let stuck = Atomic<Bool>(false)
    let devices = try (0..<4).map { index in
      try Thread(name: "device\(index)") {
        for round in 1...rounds {
          bus.deliver(
            MessageSignalledInterrupt(
              address: 0xFEE0_0000, data: UInt32(0x40 + 0x20 * index) | (index == 3 ? 0x100 : 0)))
          while served.withLock({ $0[index] }) < round {
            if Monitor.monotonic() > deadline {
              stuck.store(true, ordering: .relaxed)
              return
            }
            sched_yield()
          }
        }
      }
    }
    var total = 0
    var priority: UInt8 = 0
    while total < 4 * rounds, processor.sleep(until: deadline) || priority != 0 {
      while let vector = chip.nextInterrupt() {
        processor.endInterrupt()
        served.withLock { $0[Int(vector - 0x40) / 0x20] += 1 }
        total += 1
        priority = (priority + 3) & 7
        chip.taskPriorityClass = priority
      }
      priority = 0
      chip.taskPriorityClass = 0
    }
    for device in devices { device.join() }
    let isStuck = stuck.load(ordering: .relaxed)
    #expect(total == 4 * rounds && !isStuck)
  }

  /// A running clock's thread fires the timer while the processor arms it again and again.
  @Test func timerFiresForTheLastDeadlineOnARunningClock() throws {
    let clock = MachineClock()
    try clock.start()
    defer { clock.stop() }
    let bus = APICBus()
    let chip = LocalAPIC(
      identifier: 0, isBootstrap: true, clock: clock,
      timestampCounter: .init(frequency: 1_000_000_000) { clock.now() }, bus: bus)
    let processor = SleepyProcessor(chip)
    chip.writeMemory(0xF0, width: .dword, value: 0x1FF)
    chip.writeMemory(0x3E0, width: .dword, value: 0xB)
    chip.writeMemory(0x320, width: .dword, value: 0x40)
    let deadline = Monitor.monotonic() + 30_000_000_000
    for round in 0..<200 {
      for step in 0..<10 as Range<UInt64> {
        chip.writeMemory(0x380, width: .dword, value: 20_000 + step * 1000)
        if step % 3 == 0 { sched_yield() }
      }
      #expect(processor.sleep(until: deadline), "round \(round)")
      while chip.nextInterrupt() == nil, processor.sleep(until: deadline) {}
      processor.endInterrupt()
      while chip.nextInterrupt() != nil { processor.endInterrupt() }
    }
    chip.writeMemory(0x380, width: .dword, value: 0)
    #expect(chip.readMemory(0x390, width: .dword) == 0)
  }
}

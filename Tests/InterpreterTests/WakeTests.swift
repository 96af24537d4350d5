import Glibc
import KVMEngine
import Synchronization
import Testing

@testable import Interpreter

/// A halted processor and those who wake it from other threads, at every moment of falling asleep.
@Suite(.serialized) struct WakeTests {
  /// A processor that sleeps by itself on a thread of its own, and one more local APIC that sends.
  private final class Sleeper: @unchecked Sendable {
    // SAFETY: the guest's memory is read with plain loads of one dword; all else is made before the
    // thread runs.
    let rig: Rig
    let bus = APICBus()
    let sender: LocalAPIC
    private let isDone = Atomic<Bool>(false)
    private var thread: Thread?

    static let counter: UInt64 = 0x600

    init() throws {
      rig = try Rig()
      let (clock, bus) = (MachineClock(), bus)
      func makeAPIC(_ identifier: UInt32, isBootstrap: Bool) -> LocalAPIC {
        LocalAPIC(
          identifier: identifier, isBootstrap: isBootstrap, clock: clock,
          timestampCounter: .init(frequency: 1_000_000_000) { clock.now() }, bus: bus)
      }
      sender = makeAPIC(0, isBootstrap: true)
      rig.processor.localAPIC = makeAPIC(1, isBootstrap: false)
      rig.processor.sleepsWhenHalted = true
    }

    func start() throws {
      try KVMProcessor.installKickHandler()
      thread = try Thread(name: "sleeper") { [self] in
        rig.processor.attachToCurrentThread()
        while !isDone.load(ordering: .sequentiallyConsistent) {
          rig.processor.beginRun()
          if isDone.load(ordering: .sequentiallyConsistent) { break }
          if case .shutdown = rig.processor.run() { break }
        }
      }
    }

    func stop() {
      isDone.store(true, ordering: .sequentiallyConsistent)
      rig.processor.requestExit()
      thread?.join()
    }

    /// Writes the interrupt command register, for processor 1.
    func send(_ command: UInt64) {
      sender.writeMemory(0x310, width: .dword, value: 1 << 24)
      sender.writeMemory(0x300, width: .dword, value: command)
    }

    var count: UInt32 { rig.space.load(Self.counter, as: UInt32.self) }

    /// Waits until the guest has counted to `value`; false: it did not within two seconds.
    func waits(for value: UInt32) -> Bool {
      let end = Monitor.monotonic() + 2_000_000_000
      while count != value { if Monitor.monotonic() > end { return false } }
      return true
    }
  }

  /// Passes a time of no great length, another one each round.
  private func pause(_ dice: inout Dice) {
    let end = Monitor.monotonic() + UInt64.random(in: 0..<3_000, using: &dice)
    while Monitor.monotonic() < end {}
  }

  @Test func everyInterruptEndsTheSleepThatItMeets() throws {
    let sleeper = try Sleeper()
    let rig = sleeper.rig
    // mov ecx, 1Bh; mov eax, FEE00C00h; xor edx, edx; wrmsr
    // mov ecx, 80Fh; mov eax, 1FFh; xor edx, edx; wrmsr; 1: sti; hlt; jmp 1b
    rig.long([
      0xB9, 0x1B, 0, 0, 0, 0xB8, 0x00, 0x0C, 0xE0, 0xFE, 0x31, 0xD2, 0x0F, 0x30,
      0xB9, 0x0F, 0x08, 0, 0, 0xB8, 0xFF, 0x01, 0, 0, 0x31, 0xD2, 0x0F, 0x30, 0xFB, 0xF4, 0xEB,
      0xFC,
    ])
    // jmp 9000h; there: lock inc dword [600h]; mov ecx, 80Bh; xor eax, eax; xor edx, edx; wrmsr; iretq
    rig.space.write(
      Rig.handlers + 0x400, bytes: [0x68, 0x00, 0x90, 0, 0, 0xC3])
    rig.space.write(
      0x9000,
      bytes: [
        0xF0, 0xFF, 0x04, 0x25, 0, 6, 0, 0, 0xB9, 0x0B, 0x08, 0, 0, 0x31, 0xC0, 0x31, 0xD2, 0x0F,
        0x30, 0x48, 0xCF,
      ])
    rig.processor.activity = .running
    let activity = GuestActivity(processors: 1)
    rig.processor.guestActivity = activity
    try sleeper.start()
    defer { sleeper.stop() }
    var dice = Dice(state: 77)
    usleep(20_000)
    for round in UInt32(1)...30_000 {
      sleeper.send(0x40)
      guard sleeper.waits(for: round) else {
        Issue.record("interrupt \(round) did not wake the processor; it has seen \(sleeper.count)")
        return
      }
      pause(&dice)
    }
    let end = Monitor.monotonic() + 2_000_000_000
    while !activity.moment.isAtRest && Monitor.monotonic() < end {}
    #expect(activity.moment.isAtRest)
    #expect((1...30_001).contains(activity.moment.beginnings))
  }

  @Test func everyStartUpMessageStartsTheProcessor() throws {
    let sleeper = try Sleeper()
    // lock inc word [600h]; cli; hlt
    sleeper.rig.space.write(0x8000, bytes: [0xF0, 0xFF, 0x06, 0, 6, 0xFA, 0xF4, 0xEB, 0xFD])
    sleeper.rig.processor.reset()
    try sleeper.start()
    defer { sleeper.stop() }
    var dice = Dice(state: 78)
    for round in UInt32(1)...3_000 {
      sleeper.send(0x4500)
      pause(&dice)
      sleeper.send(0x4608)
      guard sleeper.waits(for: round) else {
        Issue.record("start-up \(round) did not start the processor")
        return
      }
      pause(&dice)
    }
  }
}

import DeviceTestKit
import Synchronization
import Testing

@testable import KVMEngine

/// Local APICs on one bus under a clock that stands still, with what they told the I/O APIC and how
/// often each woke its processor. Their time-stamp counter runs at 2 GHz.
final class LocalAPICBench: Sendable {
  let clock = ManualClock()
  let bus = APICBus()
  let chips: [LocalAPIC]
  private let ended = Mutex<[UInt8]>([])
  private let wakes: Mutex<[Int]>

  static let tscFrequency: UInt64 = 2_000_000_000

  init(_ count: Int = 1, enabled: Bool = true) {
    let (clock, bus) = (clock, bus)
    chips = (0..<count).map { Self.chip(UInt32($0), clock, bus) }
    wakes = Mutex([Int](repeating: 0, count: count))
    bus.connect { [weak self] vector in self?.ended.withLock { $0.append(vector) } }
    for (index, chip) in chips.enumerated() {
      chip.connect { [weak self] in self?.wakes.withLock { $0[index] += 1 } }
      if enabled { write(0xF0, 0x1FF, on: index) }
    }
  }

  static func chip(_ identifier: UInt32, _ clock: ManualClock, _ bus: APICBus) -> LocalAPIC {
    LocalAPIC(
      identifier: identifier, isBootstrap: identifier == 0, clock: clock,
      timestampCounter: .init(frequency: tscFrequency) { clock.now() &* 2 }, bus: bus)
  }

  var chip: LocalAPIC { chips[0] }
  /// Vectors whose end the I/O APIC heard of.
  var endedVectors: [UInt8] { ended.withLock { $0 } }
  /// How often processor `index` was woken.
  func wakeCount(_ index: Int = 0) -> Int { wakes.withLock { $0[index] } }

  func read(_ offset: UInt64, on index: Int = 0) -> UInt32 {
    UInt32(truncatingIfNeeded: chips[index].readMemory(offset, width: .dword))
  }

  func write(_ offset: UInt64, _ value: UInt32, on index: Int = 0) {
    chips[index].writeMemory(offset, width: .dword, value: UInt64(value))
  }

  /// A write of both halves of ICR in xAPIC mode.
  func command(_ low: UInt32, to destination: UInt32 = 0, on index: Int = 0) {
    write(0x310, destination << 24, on: index)
    write(0x300, low, on: index)
  }

  /// A message of the I/O APIC.
  @discardableResult
  func message(
    _ vector: UInt32, to destination: UInt64 = 0, mode: UInt32 = 0, logical: Bool = false,
    level: Bool = false, redirected: Bool = false
  ) -> Bool {
    let flags: UInt64 = (logical ? 4 : 0) | (redirected ? 8 : 0)
    return bus.deliver(
      MessageSignalledInterrupt(
        address: 0xFEE0_0000 | destination << 12 | flags,
        data: vector | mode << 8 | (level ? 0xC000 : 0)))
  }

  func endInterrupt(on index: Int = 0) { write(0xB0, 0, on: index) }

  func enterX2APIC(on index: Int = 0) -> Bool {
    let base = chips[index].readMSR(0x1B) ?? 0
    return chips[index].writeMSR(0x1B, value: base | 1 << 10)
  }

  /// Indices of the processors to which `vector` was requested.
  func requested(_ vector: UInt8) -> [Int] {
    chips.indices.filter { chips[$0].save().requests[vector] }
  }
}

/// Entries of the vector table.
enum Entry {
  static let masked: UInt32 = 1 << 16
  static let periodic: UInt32 = 1 << 17
  static let deadline: UInt32 = 1 << 18
  static let level: UInt32 = 1 << 15
}

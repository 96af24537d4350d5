import DeviceTestKit
import Synchronization
import Testing

@testable import KVMEngine

/// The local APIC behind adapters whose every byte is a register, so that random accesses reach it.
private final class RegisterFile: MemoryDevice {
  private let chip: LocalAPIC
  private let asMSRs: Bool

  init(_ chip: LocalAPIC, asMSRs: Bool) {
    self.chip = chip
    self.asMSRs = asMSRs
  }

  private func msr(_ offset: UInt64) -> UInt32 {
    switch offset {
    case 0x40: 0x1B
    case 0x41: 0x6E0
    default: 0x800 + UInt32(truncatingIfNeeded: offset)
    }
  }

  func readMemory(_ offset: UInt64, width: AccessWidth) -> UInt64 {
    asMSRs ? chip.readMSR(msr(offset)) ?? .max : chip.readMemory(offset << 4, width: .dword)
  }

  func writeMemory(_ offset: UInt64, width: AccessWidth, value: UInt64) {
    if asMSRs {
      // A random base would leave the local APIC disabled for ever.
      let base = 0xFEE0_0000 | value & 0xD00 | (value & 7 == 0 ? 0 : 0x800)
      _ = chip.writeMSR(msr(offset), value: offset == 0x40 ? base : value)
    } else {
      chip.writeMemory(offset << 4, width: .dword, value: value &* 0x0101_0101)
    }
  }
}

/// The page, and every register as one byte of it and as one MSR.
private func entries(_ chip: LocalAPIC) -> [(any MemoryDevice, UInt64)] {
  [
    (chip, 0x1000), (RegisterFile(chip, asMSRs: false), 0x40),
    (RegisterFile(chip, asMSRs: true), 0x42),
  ]
}

/// Everything that a guest could tell apart, from one local APIC into another.
private func moved(_ bench: LocalAPICBench) throws -> LocalAPIC {
  let copy = LocalAPICBench.chip(0, bench.clock, bench.bus)
  try copy.restore(bench.chip.save())
  return copy
}

@Suite struct LocalAPICConformanceTests {
  @Test(arguments: [1, 2, 3] as [UInt64])
  func conforms(seed: UInt64) {
    let clock = ManualClock()
    let buses = Mutex<[APICBus]>([])
    var conformance = DeviceConformance(
      make: { () -> LocalAPIC in
        let bus = APICBus()
        buses.withLock { $0.append(bus) }
        return LocalAPICBench.chip(seed == 2 ? 1 : 0, clock, bus)
      },
      memories: entries)
    conformance.between = { (chip: LocalAPIC) in
      clock.advance(977)
      chip.bus.deliver(
        MessageSignalledInterrupt(
          address: 0xFEEF_F000, data: UInt32(truncatingIfNeeded: clock.now() & 0x45FF)))
      chip.setLINT0(clock.now() & 1 == 0)
      chip.setLINT1(clock.now() & 2 == 0)
      if clock.now() & 4 != 0 { _ = chip.nextInterrupt() }
      if clock.now() & 0x30 == 0 { _ = chip.takeInit() }
      _ = chip.takeStartup()
      _ = chip.takeNMI()
    }
    #expect(conformance.violations(seed: seed) == [])
  }

  @Test func restoredTimerGoesOn() throws {
    let bench = LocalAPICBench()
    bench.write(0x3E0, 0xB)
    bench.write(0x320, 0x40 | Entry.periodic)
    bench.write(0x380, 100_000)
    bench.clock.advance(130_000)
    #expect(bench.chip.nextInterrupt() == 0x40)
    let copy = try moved(bench)
    #expect(copy.readMemory(0x390, width: .dword) == 70_000)
    copy.writeMemory(0xB0, width: .dword, value: 0)
    bench.clock.advance(70_000)
    #expect(copy.nextInterrupt() == 0x40)
  }

  @Test func restoredDeadlineGoesOn() throws {
    let bench = LocalAPICBench()
    bench.write(0x320, 0x40 | Entry.deadline)
    #expect(bench.chip.writeMSR(0x6E0, value: 20_000))
    let copy = try moved(bench)
    bench.clock.advance(10_000)
    #expect(copy.nextInterrupt() == 0x40)
  }

  @Test func restoreKeepsWhatWaitsForTheProcessor() throws {
    let bench = LocalAPICBench()
    bench.message(0x41)
    bench.message(0, mode: 4)
    bench.chip.setLINT0(true)
    let copy = try moved(bench)
    #expect(copy.pendingEvents == [.interrupt, .nonMaskable, .external])
    #expect(copy.nextInterrupt() == 0x41 && copy.takeNMI())
  }

  @Test func restoreWakesTheProcessorForWhatWaits() throws {
    let bench = LocalAPICBench()
    bench.message(0x41)
    let state = bench.chip.save()
    let before = bench.wakeCount()
    try bench.chip.restore(state)
    #expect(bench.wakeCount() == before + 1)
  }

  @Test func refusesStatesThatCannotBe() {
    let bench = LocalAPICBench(2)
    let good = bench.chip.save()
    #expect(throws: RestoreError.self) { try bench.chip.restore(bench.chips[1].save()) }
    let spoilers: [@Sendable (inout LocalAPICState) -> Void] = [
      { $0.base = 0xFEE0_0500 }, { $0.base = 0xFEE0_0801 }, { $0.requests[3] = true },
      { $0.inService[15] = true }, { $0.destinationFormat = 16 }, { $0.spurious = 0x2000 },
      { $0.errorStatus = 1 }, { $0.command = 1 << 12 }, { $0.command = 1 << 40 },
      { $0.table.timer.rawValue = 0x400 }, { $0.table.lint1.rawValue = 1 << 14 },
      { $0.divideConfiguration = 4 }, { $0.expiry = 5 }, { $0.tscDeadline = 5 },
      { $0.waitsForStartup = true }, { $0.startupVector = 1 },
    ]
    for spoil in spoilers {
      var bad = good
      spoil(&bad)
      #expect(throws: RestoreError.self) { try bench.chip.restore(bad) }
      #expect(bench.chip.save() == good)
    }
  }

  @Test func restoresAnyDeadlineWithoutTrapping() throws {
    let bench = LocalAPICBench()
    bench.clock.advance(1_000_000)
    for expiry in [0, 1, 999_999, 1_000_000, UInt64.max / 2, .max] as [UInt64] {
      for mode in [0, Entry.periodic] as [UInt32] {
        var state = bench.chip.save()
        state.table.timer.rawValue = 0x40 | mode
        state.initialCount = 3
        state.divideConfiguration = 0xA
        state.expiry = expiry
        try bench.chip.restore(state)
        bench.clock.advance(1000)
        _ = bench.read(0x390)
        bench.write(0x3E0, 0xB)
        bench.write(0x380, 0)
      }
    }
  }
}

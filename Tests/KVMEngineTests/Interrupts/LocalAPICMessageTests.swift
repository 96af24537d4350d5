import DeviceTestKit
import Testing

@testable import KVMEngine

/// IPIs, message-signalled interrupts and their destinations.
@Suite struct LocalAPICMessageTests {
  @Test func physicalDestinationIsAnID() {
    let bench = LocalAPICBench(4)
    bench.command(0x41, to: 2)
    #expect(bench.requested(0x41) == [2] && bench.wakeCount(2) == 1)
    #expect(bench.read(0x300) == 0x41 && bench.read(0x310) == 0x0200_0000)
    #expect(!bench.message(0x42, to: 9))
    #expect(bench.message(0x43, to: 3) && bench.requested(0x43) == [3])
  }

  @Test func allOnesReachesEveryone() {
    let bench = LocalAPICBench(3)
    bench.command(0x41, to: 0xFF)
    #expect(bench.requested(0x41) == [0, 1, 2])
    bench.message(0x42, to: 0xFF, logical: true)
    #expect(bench.requested(0x42) == [0, 1, 2])
  }

  @Test func shorthandsNameTheSenderAndTheOthers() {
    let bench = LocalAPICBench(3)
    bench.command(0x41 | 1 << 18, to: 2, on: 1)
    #expect(bench.requested(0x41) == [1])
    bench.command(0x42 | 2 << 18, on: 1)
    #expect(bench.requested(0x42) == [0, 1, 2])
    bench.command(0x43 | 3 << 18, on: 1)
    #expect(bench.requested(0x43) == [0, 2])
    #expect(bench.wakeCount(1) == 0 && bench.chips[1].hasPending)
  }

  @Test func flatLogicalDestinationIsASet() {
    let bench = LocalAPICBench(4)
    for index in 0..<4 { bench.write(0xD0, 1 << UInt32(24 + index), on: index) }
    bench.command(0x41 | 1 << 11, to: 0b1010)
    #expect(bench.requested(0x41) == [1, 3])
    bench.message(0x42, to: 0b0101, logical: true)
    #expect(bench.requested(0x42) == [0, 2])
    #expect(!bench.message(0x43, to: 0b1_0000, logical: true))
  }

  @Test func clusterLogicalDestinationNeedsTheCluster() {
    let bench = LocalAPICBench(4)
    for index in 0..<4 {
      bench.write(0xE0, 0x0FFF_FFFF, on: index)
      let cluster: UInt32 = index < 2 ? 0x1 : 0x2
      bench.write(0xD0, (cluster << 4 | 1 << UInt32(index & 1)) << 24, on: index)
    }
    #expect(bench.read(0xE0) == 0x0FFF_FFFF && bench.read(0xD0) == 0x1100_0000)
    bench.message(0x41, to: 0x13, logical: true)
    #expect(bench.requested(0x41) == [0, 1])
    bench.message(0x42, to: 0x22, logical: true)
    #expect(bench.requested(0x42) == [3])
    #expect(!bench.message(0x43, to: 0x31, logical: true))
    bench.message(0x44, to: 0xFF, logical: true)
    #expect(bench.requested(0x44) == [0, 1, 2, 3])
  }

  @Test func lowestPriorityGoesToTheIdlestAndTakesTurns() {
    let bench = LocalAPICBench(4)
    for index in 0..<4 { bench.write(0xD0, 1 << UInt32(24 + index), on: index) }
    bench.write(0x80, 0x20, on: 0)
    bench.write(0x80, 0x10, on: 1)
    bench.write(0x80, 0x10, on: 2)
    bench.write(0x80, 0x30, on: 3)
    var taken: Set<Int> = []
    for _ in 0..<8 {
      bench.message(0x41, to: 0xFF, mode: 1, logical: true)
      let owners = bench.requested(0x41)
      #expect(owners.count == 1)
      taken.formUnion(owners)
      for owner in owners {
        #expect(bench.chips[owner].nextInterrupt() == 0x41)
        bench.endInterrupt(on: owner)
      }
    }
    #expect(taken == [1, 2])
    bench.message(0x42, to: 0b1001, logical: true, redirected: true)
    #expect(bench.requested(0x42) == [0])
    bench.command(0x43 | 1 << 8 | 1 << 11, to: 0b1100)
    #expect(bench.requested(0x43) == [2])
  }

  @Test func lowestPrioritySkipsDisabledProcessors() {
    let bench = LocalAPICBench(2)
    bench.write(0x80, 0xF0, on: 1)
    bench.write(0xF0, 0xFF, on: 0)
    #expect(bench.message(0x41, to: 0xFF, mode: 1) && bench.requested(0x41) == [1])
    bench.write(0xF0, 0xFF, on: 1)
    #expect(!bench.message(0x42, to: 0xFF, mode: 1))
    #expect(!bench.message(0x05, to: 0xFF, mode: 1))
  }

  @Test func nonMaskableInterruptIgnoresTheVector() {
    let bench = LocalAPICBench(2)
    bench.command(0x402, to: 1)
    #expect(bench.chips[1].pendingEvents == .nonMaskable && bench.wakeCount(1) == 1)
    #expect(bench.chips[1].takeNMI() && !bench.chips[1].hasPending)
    bench.write(0x280, 0, on: 0)
    #expect(bench.read(0x280) == 0)
  }

  @Test func initAndStartupWakeAnApplicationProcessor() {
    let bench = LocalAPICBench(2)
    let other = bench.chips[1]
    #expect(other.waitsForStartup && !bench.chip.waitsForStartup)
    bench.message(0x90, to: 1)
    bench.command(0xC500, to: 1)
    bench.command(0x8500, to: 1)
    bench.command(0x0608, to: 1)
    bench.command(0x0609, to: 1)
    #expect(other.pendingEvents.contains(.initialize) && !other.pendingEvents.contains(.startup))
    #expect(other.takeStartup() == nil)
    #expect(other.takeInit() && !other.takeInit())
    #expect(other.pendingEvents == .startup && bench.read(0xF0, on: 1) == 0xFF)
    #expect(other.takeStartup() == 0x08 && other.takeStartup() == nil)
    #expect(!other.waitsForStartup && !other.hasPending)
    bench.command(0x0610, to: 1)
    #expect(!other.hasPending)
  }

  @Test func initVoidsAnEarlierStartup() {
    let bench = LocalAPICBench(2)
    bench.command(0x0608, to: 1)
    bench.command(0xC500, to: 1)
    #expect(bench.chips[1].takeInit() && !bench.chips[1].hasPending)
    bench.command(0x0655, to: 1)
    #expect(bench.chips[1].takeStartup() == 0x55)
  }

  @Test func initOfTheBootProcessorNeedsNoStartup() {
    let bench = LocalAPICBench(2)
    bench.command(0xC500, to: 0, on: 1)
    #expect(bench.chip.takeInit() && !bench.chip.waitsForStartup)
    #expect(bench.chip.externalInterruptAllowed && bench.read(0xF0) == 0xFF)
  }

  @Test func initLevelDeassertAndSMIDoNothing() {
    let bench = LocalAPICBench(2)
    bench.command(0x8500, to: 1)
    bench.command(0x8500 | 2 << 18)
    bench.command(0x200, to: 1)
    bench.command(0x700, to: 1)
    bench.command(0x300, to: 1)
    #expect(!bench.chips[1].hasPending && !bench.chip.hasPending)
  }

  @Test func interprocessorInterruptsAreEdges() {
    let bench = LocalAPICBench(2)
    bench.command(0xC041, to: 1)
    #expect(bench.chips[1].nextInterrupt() == 0x41)
    bench.endInterrupt(on: 1)
    #expect(bench.endedVectors.isEmpty)
  }

  @Test func messagesOutsideTheirFormAreLost() {
    let bench = LocalAPICBench()
    #expect(!bench.bus.deliver(MessageSignalledInterrupt(address: 0xFED0_0000, data: 0x41)))
    #expect(!bench.bus.deliver(MessageSignalledInterrupt(address: 0x1_FEE0_0000, data: 0x41)))
    #expect(!bench.bus.deliver(MessageSignalledInterrupt(address: 0xFEE0_0000, data: 0x8041)))
    #expect(!bench.message(0x41, mode: 3) && !bench.message(0x41, mode: 7))
    #expect(!bench.message(0x05))
    #expect(!bench.chip.hasPending)
    bench.write(0x280, 0)
    #expect(bench.read(0x280) == 0x40)
  }

  @Test func disabledLocalAPICCanStillSend() {
    let bench = LocalAPICBench(2)
    bench.write(0xF0, 0xFF, on: 0)
    bench.command(0x41, to: 1)
    #expect(bench.requested(0x41) == [1])
  }

  @Test func ioapicServesALevelUntilItFalls() {
    let bench = LocalAPICBench()
    let bus = bench.bus
    let ioapic = IOAPIC(deliver: { bus.deliver($0) }, routesChanged: { _ in })
    bus.connect { ioapic.endOfInterrupt(vector: $0) }
    ioapic.writeMemory(0, width: .dword, value: 0x10 + 2 * 11)
    ioapic.writeMemory(0x10, width: .dword, value: 0x8051)
    ioapic.setLine(11, asserted: true)
    #expect(bench.chip.nextInterrupt() == 0x51)
    bench.endInterrupt()
    #expect(bench.chip.nextInterrupt() == 0x51)
    ioapic.setLine(11, asserted: false)
    bench.endInterrupt()
    #expect(!bench.chip.hasPending)
    bus.connect { _ in }
  }
}

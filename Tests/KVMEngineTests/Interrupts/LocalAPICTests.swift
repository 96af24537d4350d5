import DeviceTestKit
import Testing

@testable import KVMEngine

@Suite struct LocalAPICTests {
  @Test func resetLeavesRegistersAsTheManualSays() {
    let bench = LocalAPICBench(2, enabled: false)
    #expect(bench.read(0x20, on: 1) == 0x0100_0000)
    #expect(bench.read(0x30) == 0x0105_0014)
    #expect(bench.read(0xE0) == 0xFFFF_FFFF)
    #expect(bench.read(0xF0) == 0xFF)
    for offset in stride(from: UInt64(0x320), through: 0x370, by: 0x10) {
      #expect(bench.read(offset, on: 1) == 0x1_0000)
    }
    for offset in stride(from: UInt64(0x100), through: 0x270, by: 0x10) {
      #expect(bench.read(offset) == 0)
    }
    for offset in [0x80, 0x90, 0xA0, 0xD0, 0x280, 0x300, 0x310, 0x380, 0x390, 0x3E0] as [UInt64] {
      #expect(bench.read(offset) == 0)
    }
    #expect(bench.chip.readMSR(0x1B) == 0xFEE0_0900)
    #expect(bench.chips[1].readMSR(0x1B) == 0xFEE0_0800)
    #expect(!bench.chip.hasPending && bench.chip.registerPage == 0xFEE0_0000)
  }

  @Test func bootProcessorComesUpInVirtualWireMode() {
    let bench = LocalAPICBench(2, enabled: false)
    #expect(bench.read(0x350) == 0x700 && bench.read(0x360) == 0x400)
    #expect(bench.chip.externalInterruptAllowed && !bench.chips[1].externalInterruptAllowed)
    bench.chip.setLINT0(true)
    bench.chips[1].setLINT0(true)
    #expect(bench.chip.pendingEvents == .external && bench.wakeCount() == 1)
    #expect(!bench.chips[1].hasPending)
    bench.chip.setLINT0(false)
    #expect(!bench.chip.hasPending)
  }

  @Test func maskingLINT0HidesTheOldControllers() {
    let bench = LocalAPICBench()
    bench.chip.setLINT0(true)
    #expect(bench.chip.pendingEvents == .external)
    bench.write(0x350, 0x700 | Entry.masked)
    #expect(!bench.chip.hasPending && !bench.chip.externalInterruptAllowed)
    bench.write(0x350, 0x700)
    #expect(bench.chip.pendingEvents == .external)
  }

  @Test func highestVectorComesFirst() {
    let bench = LocalAPICBench()
    for vector in [0x31, 0xEF, 0x51, 0x52] as [UInt32] { #expect(bench.message(vector)) }
    #expect(bench.wakeCount() == 1)
    #expect(bench.chip.nextInterrupt() == 0xEF)
    #expect(bench.chip.nextInterrupt() == nil && !bench.chip.hasPending)
    bench.endInterrupt()
    #expect(bench.chip.nextInterrupt() == 0x52)
    bench.endInterrupt()
    #expect(bench.chip.nextInterrupt() == 0x51)
    bench.endInterrupt()
    #expect(bench.chip.nextInterrupt() == 0x31)
  }

  @Test func higherClassNestsAndSameClassWaits() {
    let bench = LocalAPICBench()
    bench.message(0x41)
    #expect(bench.chip.nextInterrupt() == 0x41)
    #expect(bench.read(0xA0) == 0x40)
    bench.message(0x4F)
    #expect(!bench.chip.hasPending && bench.chip.nextInterrupt() == nil)
    bench.message(0x50)
    #expect(bench.chip.nextInterrupt() == 0x50)
    #expect(bench.read(0xA0) == 0x50)
    #expect(bench.read(0x120) == 1 << 1 | 1 << 16 && bench.read(0x220) == 1 << 15)
    bench.endInterrupt()
    #expect(bench.chip.nextInterrupt() == nil)
    bench.endInterrupt()
    #expect(bench.chip.nextInterrupt() == 0x4F)
  }

  @Test func endOfInterruptEndsTheHighestInService() {
    let bench = LocalAPICBench()
    bench.message(0x30, level: true)
    #expect(bench.chip.nextInterrupt() == 0x30)
    bench.message(0x90)
    #expect(bench.chip.nextInterrupt() == 0x90)
    bench.endInterrupt()
    #expect(bench.endedVectors.isEmpty)
    bench.endInterrupt()
    #expect(bench.endedVectors == [0x30])
    bench.endInterrupt()
    #expect(bench.endedVectors == [0x30])
  }

  @Test func registersShowRequestServiceAndTrigger() {
    let bench = LocalAPICBench()
    bench.message(0x65, level: true)
    #expect(bench.read(0x230) == 1 << 5 && bench.read(0x1B0) == 1 << 5)
    _ = bench.chip.nextInterrupt()
    #expect(bench.read(0x230) == 0 && bench.read(0x130) == 1 << 5)
    bench.message(0x65)
    #expect(bench.read(0x230) == 1 << 5 && bench.read(0x1B0) == 0)
    bench.message(0xFF)
    #expect(bench.read(0x270) == 1 << 31)
  }

  @Test func endOfInterruptBroadcastCanBeSuppressed() {
    let bench = LocalAPICBench()
    bench.write(0xF0, 0x11FF)
    bench.message(0x30, level: true)
    #expect(bench.chip.nextInterrupt() == 0x30)
    bench.endInterrupt()
    #expect(bench.endedVectors.isEmpty && bench.read(0x110) == 0)
  }

  @Test func taskPriorityHoldsInterruptsBack() {
    let bench = LocalAPICBench()
    bench.message(0x55)
    #expect(bench.chip.hasPending)
    bench.chip.taskPriorityClass = 5
    #expect(!bench.chip.hasPending && bench.chip.nextInterrupt() == nil)
    #expect(bench.read(0x80) == 0x50 && bench.read(0xA0) == 0x50)
    bench.write(0x80, 0x4F)
    #expect(bench.chip.taskPriorityClass == 4 && bench.chip.taskPriority == 0x4F)
    #expect(bench.read(0xA0) == 0x4F)
    #expect(bench.chip.nextInterrupt() == 0x55)
    #expect(bench.chip.nextInterrupt() == nil)
  }

  @Test func arbitrationPriorityFollowsTheManual() {
    let bench = LocalAPICBench()
    bench.write(0x80, 0x35)
    #expect(bench.read(0x90) == 0x35)
    bench.message(0x62)
    #expect(bench.read(0x90) == 0x60)
    _ = bench.chip.nextInterrupt()
    #expect(bench.read(0x90) == 0x60 && bench.read(0xA0) == 0x60)
    bench.write(0x80, 0x77)
    #expect(bench.read(0x90) == 0x77 && bench.read(0xA0) == 0x77)
  }

  @Test func softwareDisableKeepsRequestsAndMasksTheTable() {
    let bench = LocalAPICBench()
    bench.write(0x320, 0x40)
    bench.message(0x70)
    bench.write(0xF0, 0xFF)
    #expect(bench.read(0x320) == 0x1_0040 && bench.read(0x350) == 0x1_0700)
    bench.write(0x320, 0x41)
    #expect(bench.read(0x320) == 0x1_0041)
    #expect(!bench.message(0x80))
    #expect(bench.message(0, mode: 4) && bench.chip.takeNMI())
    #expect(bench.chip.nextInterrupt() == 0x70)
    bench.write(0xF0, 0x1FF)
    #expect(bench.read(0x320) == 0x1_0041 && bench.message(0x80))
  }

  @Test func errorsShowAfterAWriteOfESR() {
    let bench = LocalAPICBench()
    bench.write(0x370, 0xFE)
    bench.command(0x0F)
    #expect(bench.read(0x280) == 0)
    #expect(bench.chip.nextInterrupt() == 0xFE)
    bench.endInterrupt()
    bench.message(0x0A)
    _ = bench.read(0x2F0)
    #expect(!bench.chip.hasPending)
    bench.write(0x280, 0)
    #expect(bench.read(0x280) == 0xE0)
    bench.write(0x280, 0)
    #expect(bench.read(0x280) == 0)
    bench.write(0x3F0, 1)
    #expect(bench.chip.nextInterrupt() == 0xFE)
    bench.write(0x280, 0)
    #expect(bench.read(0x280) == 0x80)
  }

  @Test func errorEntryWithAnIllegalVectorIsAnErrorItself() {
    let bench = LocalAPICBench()
    bench.write(0x370, 0x05)
    bench.command(0x01)
    bench.write(0x280, 0)
    #expect(bench.read(0x280) == 0x60 && !bench.chip.hasPending)
  }

  @Test func readOnlyRegistersKeepTheirValue() {
    let bench = LocalAPICBench()
    for offset in [0x20, 0x30, 0x90, 0xA0, 0xC0, 0x100, 0x180, 0x200, 0x390] as [UInt64] {
      let before = bench.read(offset)
      bench.write(offset, 0xFFFF_FFFF)
      #expect(bench.read(offset) == before)
    }
    bench.write(0x280, 0)
    #expect(bench.read(0x280) == 0)
  }

  @Test func partsOfRegistersCanBeReadButNotWritten() {
    let bench = LocalAPICBench()
    #expect(bench.chip.readMemory(0x32, width: .byte) & 0xFF == 0x05)
    #expect(bench.chip.readMemory(0x34, width: .dword) == 0)
    bench.chip.writeMemory(0x80, width: .byte, value: 0x40)
    bench.chip.writeMemory(0x84, width: .dword, value: 0x40)
    #expect(bench.chip.taskPriority == 0)
    #expect(bench.chip.readMemory(0x1000, width: .dword) == 0xFFFF_FFFF)
  }

  @Test func lint1IsAnNMIEdge() {
    let bench = LocalAPICBench()
    bench.chip.setLINT1(true)
    #expect(bench.chip.pendingNMI && bench.chip.takeNMI() && !bench.chip.takeNMI())
    bench.chip.setLINT1(true)
    #expect(!bench.chip.pendingNMI)
    bench.chip.setLINT1(false)
    bench.chip.setLINT1(true)
    #expect(bench.chip.takeNMI())
    bench.write(0x360, 0x400 | Entry.masked)
    bench.chip.setLINT1(false)
    bench.chip.setLINT1(true)
    #expect(!bench.chip.pendingNMI)
  }

  @Test func lint0DeliversFixedEdges() {
    let bench = LocalAPICBench()
    bench.write(0x350, 0x31)
    bench.chip.setLINT0(true)
    bench.chip.setLINT0(true)
    #expect(bench.chip.nextInterrupt() == 0x31 && !bench.chip.externalInterruptAllowed)
    bench.endInterrupt()
    #expect(!bench.chip.hasPending && bench.endedVectors.isEmpty)
    bench.chip.setLINT0(false)
    bench.chip.setLINT0(true)
    #expect(bench.chip.nextInterrupt() == 0x31)
  }

  @Test func lint0LevelInterruptsUntilItFalls() {
    let bench = LocalAPICBench()
    bench.chip.setLINT0(true)
    bench.write(0x350, 0x31 | Entry.level | Entry.masked)
    #expect(!bench.chip.hasPending)
    bench.write(0x350, 0x31 | Entry.level)
    #expect(bench.read(0x350) == 0xC031)
    #expect(bench.chip.nextInterrupt() == 0x31 && !bench.chip.hasPending)
    bench.endInterrupt()
    #expect(bench.chip.nextInterrupt() == 0x31)
    bench.chip.setLINT0(false)
    bench.endInterrupt()
    #expect(!bench.chip.hasPending && bench.read(0x350) == 0x8031)
  }

  @Test func globalDisableMakesAProcessorWithoutALocalAPIC() {
    let bench = LocalAPICBench()
    bench.write(0x350, 0x1_0700)
    bench.write(0x80, 0x20)
    bench.message(0x90)
    #expect(bench.chip.writeMSR(0x1B, value: 0xFEE0_0000))
    #expect(bench.chip.readMSR(0x1B) == 0xFEE0_0100)
    #expect(bench.chip.registerPage == .max && bench.read(0x30) == 0xFFFF_FFFF)
    #expect(!bench.chip.hasPending && bench.chip.externalInterruptAllowed)
    #expect(!bench.message(0x91) && !bench.message(0, mode: 4))
    bench.chip.setLINT0(true)
    #expect(bench.chip.pendingEvents == .external)
    bench.chip.setLINT1(true)
    #expect(bench.chip.takeNMI())
    #expect(bench.chip.writeMSR(0x1B, value: 0xFEE0_0800))
    #expect(bench.read(0xF0) == 0xFF && bench.read(0x80) == 0 && bench.read(0x350) == 0x1_0000)
  }

  @Test func registersCanMove() {
    let bench = LocalAPICBench()
    #expect(bench.chip.writeMSR(0x1B, value: 0x1_2345_6800))
    #expect(bench.chip.registerPage == 0x1_2345_6000)
    #expect(bench.chip.readMSR(0x1B) == 0x1_2345_6900)
    #expect(!bench.chip.writeMSR(0x1B, value: 0xFEE0_0801))
    #expect(!bench.chip.writeMSR(0x1B, value: 1 << 48 | 0x800))
  }

  @Test func resetForgetsEverythingButThePins() {
    let bench = LocalAPICBench()
    bench.chip.setLINT0(true)
    bench.write(0x350, 0x1_0700)
    bench.write(0x320, 0x40)
    bench.write(0x380, 1000)
    bench.message(0x90)
    bench.message(0, mode: 4)
    #expect(bench.enterX2APIC())
    bench.chip.reset()
    #expect(bench.chip.pendingEvents == .external)
    #expect(bench.chip.readMSR(0x1B) == 0xFEE0_0900 && bench.read(0xF0) == 0xFF)
    bench.clock.advance(10_000)
    #expect(bench.chip.pendingEvents == .external && bench.read(0x390) == 0)
  }

  @Test func withdrawnAnnouncementIsNoInterrupt() {
    let bench = LocalAPICBench()
    bench.message(0x45)
    #expect(bench.chip.hasPending)
    bench.write(0x80, 0xF0)
    #expect(bench.chip.nextInterrupt() == nil)
    #expect(bench.read(0x120) == 0 && bench.read(0x220) == 1 << 5)
    bench.write(0x80, 0)
    #expect(bench.chip.nextInterrupt() == 0x45 && bench.chip.nextInterrupt() == nil)
  }
}

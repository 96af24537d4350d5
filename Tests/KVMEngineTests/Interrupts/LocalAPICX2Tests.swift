import DeviceTestKit
import Testing

@testable import KVMEngine

@Suite struct LocalAPICX2Tests {
  @Test func modesChangeOnlyAlongTheManualsArrows() {
    let bench = LocalAPICBench()
    let chip = bench.chip
    let (off, invalid, xAPIC, x2APIC): (UInt64, UInt64, UInt64, UInt64) = (
      0xFEE0_0000, 0xFEE0_0400, 0xFEE0_0800, 0xFEE0_0C00
    )
    #expect(!chip.writeMSR(0x1B, value: invalid))
    #expect(chip.writeMSR(0x1B, value: x2APIC) && chip.registerPage == .max)
    #expect(!chip.writeMSR(0x1B, value: xAPIC) && !chip.writeMSR(0x1B, value: invalid))
    #expect(chip.writeMSR(0x1B, value: off))
    #expect(!chip.writeMSR(0x1B, value: x2APIC) && !chip.writeMSR(0x1B, value: invalid))
    #expect(chip.writeMSR(0x1B, value: xAPIC) && chip.registerPage == 0xFEE0_0000)
  }

  @Test func registersAreMSRsOnlyInX2APICMode() {
    let bench = LocalAPICBench(2)
    let chip = bench.chips[1]
    #expect(chip.readMSR(0x802) == nil && !chip.writeMSR(0x808, value: 0))
    #expect(bench.enterX2APIC(on: 1))
    #expect(chip.readMSR(0x802) == 1 && chip.readMSR(0x803) == 0x0105_0014)
    #expect(chip.writeMSR(0x808, value: 0x30) && chip.readMSR(0x80A) == 0x30)
    #expect(bench.read(0x30, on: 1) == 0xFFFF_FFFF)
    #expect(LocalAPIC.ownsMSR(0x1B) && LocalAPIC.ownsMSR(0x6E0) && LocalAPIC.ownsMSR(0x8FF))
    #expect(!LocalAPIC.ownsMSR(0x900))
  }

  @Test func stateSurvivesTheStepToX2APIC() {
    let bench = LocalAPICBench()
    bench.write(0x320, 0x1_0040)
    bench.message(0x41)
    bench.write(0x310, 0xFF00_0000)
    #expect(bench.enterX2APIC())
    #expect(bench.chip.readMSR(0x830) == 0)
    #expect(bench.chip.readMSR(0x80F) == 0x1FF && bench.chip.readMSR(0x832) == 0x1_0040)
    #expect(bench.chip.nextInterrupt() == 0x41)
    #expect(bench.chip.writeMSR(0x80B, value: 0) && bench.chip.readMSR(0x812) == 0)
  }

  @Test func faultsOnWhatDoesNotExist() {
    let bench = LocalAPICBench()
    #expect(bench.enterX2APIC())
    let absent: [UInt32] = [0x800, 0x809, 0x80B, 0x80C, 0x80E, 0x82F, 0x831, 0x83F, 0x840, 0x8FF]
    for index in absent { #expect(bench.chip.readMSR(index) == nil) }
    let readOnly: [UInt32] = [0x802, 0x803, 0x80A, 0x80D, 0x80E, 0x810, 0x818, 0x820, 0x831, 0x839]
    for index in readOnly { #expect(!bench.chip.writeMSR(index, value: 0)) }
    let reserved: [(UInt32, UInt64)] = [
      (0x808, 0x100), (0x80B, 1), (0x80F, 1 << 13), (0x828, 1), (0x830, 1 << 20),
      (0x832, 1 << 19), (0x833, 1 << 17), (0x835, 1 << 17), (0x837, 1 << 8), (0x838, 1 << 32),
      (0x83E, 4), (0x83F, 0x100),
    ]
    for (index, value) in reserved { #expect(!bench.chip.writeMSR(index, value: value)) }
    #expect(bench.chip.writeMSR(0x835, value: 0x1_5700) && bench.chip.readMSR(0x835) == 0x1_0700)
    #expect(bench.chip.writeMSR(0x828, value: 0) && bench.chip.readMSR(0x828) == 0)
  }

  @Test func commandIsOneWideWrite() {
    let bench = LocalAPICBench(20)
    for index in 0..<20 { #expect(bench.enterX2APIC(on: index)) }
    #expect(bench.chip.writeMSR(0x830, value: 17 << 32 | 0x41))
    #expect(bench.requested(0x41) == [17] && bench.chip.readMSR(0x830) == 17 << 32 | 0x41)
    #expect(bench.chip.writeMSR(0x830, value: 0xFFFF_FFFF << 32 | 0x42))
    #expect(bench.requested(0x42) == Array(0..<20))
    #expect(bench.chip.writeMSR(0x830, value: 0xFF << 32 | 0x43) && bench.requested(0x43).isEmpty)
  }

  @Test func logicalIDComesFromTheID() {
    let bench = LocalAPICBench(20)
    for index in 0..<20 { #expect(bench.enterX2APIC(on: index)) }
    #expect(bench.chips[18].readMSR(0x80D) == 0x0001_0004)
    #expect(bench.chip.writeMSR(0x830, value: 0x0001_0006 << 32 | 0x841))
    #expect(bench.requested(0x41) == [17, 18])
    #expect(bench.chip.writeMSR(0x830, value: 0x0000_8001 << 32 | 0x842))
    #expect(bench.requested(0x42) == [0, 15])
    #expect(bench.message(0x43, to: 0b110, logical: true) && bench.requested(0x43) == [1, 2])
    #expect(bench.message(0x44, to: 19) && bench.requested(0x44) == [19])
    #expect(bench.message(0x45, to: 0xFF) && bench.requested(0x45).count == 20)
  }

  @Test func selfIPIReachesTheSender() {
    let bench = LocalAPICBench(2)
    #expect(!bench.chip.writeMSR(0x83F, value: 0x41))
    #expect(bench.enterX2APIC())
    #expect(bench.chip.writeMSR(0x83F, value: 0x41) && bench.wakeCount() == 0)
    #expect(bench.requested(0x41) == [0] && bench.chip.nextInterrupt() == 0x41)
    #expect(bench.chip.writeMSR(0x83F, value: 0x07))
    #expect(bench.chip.writeMSR(0x828, value: 0) && bench.chip.readMSR(0x828) == 0x40)
  }

  @Test func initKeepsTheMode() {
    let bench = LocalAPICBench(2)
    #expect(bench.enterX2APIC(on: 1))
    bench.command(0xC500, to: 1)
    #expect(bench.chips[1].takeInit())
    #expect(bench.chips[1].readMSR(0x1B) == 0xFEE0_0C00 && bench.chips[1].readMSR(0x80F) == 0xFF)
  }

  @Test func timerCountsInX2APICMode() {
    let bench = LocalAPICBench()
    #expect(bench.enterX2APIC())
    #expect(bench.chip.writeMSR(0x83E, value: 0xB) && bench.chip.writeMSR(0x832, value: 0x2_0040))
    #expect(bench.chip.writeMSR(0x838, value: 100_000))
    bench.clock.advance(130_000)
    #expect(bench.chip.readMSR(0x839) == 70_000 && bench.chip.nextInterrupt() == 0x40)
  }
}

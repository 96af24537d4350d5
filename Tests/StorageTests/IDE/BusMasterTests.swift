import DeviceTestKit
import KVMEngine
import Testing

@testable import Storage

@Suite struct BusMasterTests {
  let image = TestImage(sectors: 1 << 20)

  func pattern(_ range: Range<UInt64>) -> [UInt8] { range.flatMap { TestImage.pattern($0) } }

  /// As libata has it: table, direction, command, start; the interrupt; status, stop.
  @Test func aReadLandsWhereTheTableSays() throws {
    let rig = try IDERig(disk: image)
    rig.describe([(0x8000, 512), (0x9000, 0x0200), (0x20000, 0x0C00)])
    rig.setBusMaster(0, 0x08)
    rig.issueExt(0x25, lba: 123, count: 8)
    #expect(rig.interrupts == 0 && rig.alternate & 0x08 != 0)
    rig.setBusMaster(0, 0x09)
    #expect(rig.interrupts == 1)
    #expect(rig.busMaster(2) & 0x07 == 0x04)
    #expect(rig.status == 0x50)
    rig.setBusMaster(0, 0x08)
    rig.setBusMaster(2, 0x04)
    #expect(rig.busMaster(2) & 0x07 == 0)
    let space = rig.space
    let data =
      space.bytes(at: 0x8000, count: 512) + space.bytes(at: 0x9000, count: 512)
      + space.bytes(at: 0x20000, count: 0xC00)
    #expect(data == pattern(123..<131))
  }

  @Test func aWriteComesFromWhereTheTableSays() throws {
    let rig = try IDERig(disk: image)
    let bytes = (0..<70_000 * 2).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 9) }
    rig.space.write(0x10000, bytes: bytes)
    rig.describe([(0x10000, 0), (0x20000, 0xFE00), (0x2FE00, 0x200)])
    rig.setBusMaster(0, 0x01)
    rig.issue(0xCA, lba: 50, count: 0)
    #expect(rig.interrupts == 1 && rig.status == 0x50)
    #expect((50..<306).flatMap { image.contents($0) } == Array(bytes.prefix(256 * 512)))
  }

  @Test func longCommandsGoThroughTheBufferInPieces() throws {
    let rig = try IDERig(disk: image)
    rig.describe([(0x10000, 0), (0x20000, 0), (0x30000, 0), (0x40000, 0x8000)])
    rig.setBusMaster(0, 0x09)
    rig.issueExt(0x25, lba: 1, count: 3 * 128 + 64)
    #expect(rig.interrupts == 1)
    #expect(rig.space.bytes(at: 0x10000, count: 0x38000) == pattern(1..<(1 + 448)))
  }

  @Test func aTableTooShortNeverInterrupts() throws {
    let rig = try IDERig(disk: image)
    rig.describe([(0x8000, 700)])
    rig.setBusMaster(0, 0x09)
    rig.issue(0xC8, lba: 0, count: 4)
    #expect(rig.interrupts == 0)
    #expect(rig.busMaster(2) & 0x07 == 0)
    #expect(rig.alternate == 0x58)
    // Another table takes the rest.
    rig.setBusMaster(0, 0x08)
    rig.describe([(0x9000, 0x1000)])
    rig.setBusMaster(0, 0x09)
    #expect(rig.interrupts == 1)
    #expect(rig.busMaster(2) & 0x07 == 0x05)
    let data = rig.space.bytes(at: 0x8000, count: 700) + rig.space.bytes(at: 0x9000, count: 1348)
    #expect(data == pattern(0..<4))
  }

  @Test func aTableTooLongStaysActive() throws {
    let rig = try IDERig(disk: image)
    rig.describe([(0x8000, 512), (0x9000, 512)])
    rig.setBusMaster(0, 0x09)
    rig.issue(0xC8, lba: 0, count: 1)
    #expect(rig.interrupts == 1 && rig.busMaster(2) & 0x07 == 0x05)
    rig.setBusMaster(0, 0x00)
    #expect(rig.busMaster(2) & 0x01 == 0)
  }

  @Test func theWrongDirectionMovesNothing() throws {
    let rig = try IDERig(disk: image)
    rig.describe([(0x8000, 512)])
    rig.setBusMaster(0, 0x01)
    rig.issue(0xC8, lba: 5, count: 1)
    #expect(rig.interrupts == 0)
    rig.setControl(4)
    rig.setControl(0)
    #expect(rig.alternate == 0x50)
  }

  @Test func oddAddressesAndCountsLoseTheirLastBit() throws {
    let rig = try IDERig(disk: image)
    rig.describe([(0x8001, 0x0201)])
    rig.setBusMaster(0, 0x09)
    rig.issue(0xC8, lba: 5, count: 1)
    #expect(rig.interrupts == 1)
    #expect(rig.space.bytes(at: 0x8000, count: 512) == TestImage.pattern(5))
  }

  @Test func memoryThatIsNotThereSwallowsAndReadsAsOnes() throws {
    let rig = try IDERig(disk: image)
    rig.describe([(0xF000_0000, 512)])
    rig.setBusMaster(0, 0x09)
    rig.issue(0xC8, lba: 5, count: 1)
    #expect(rig.interrupts == 1)
    rig.setBusMaster(0, 0x00)
    rig.describe([(0xFFFF_FF00, 512)])
    rig.setBusMaster(0, 0x01)
    rig.issue(0xCA, lba: 5, count: 1)
    #expect(image.contents(5) == [UInt8](repeating: 0xFF, count: 512))
  }

  @Test func badSectorsEndATransferWithAnInterrupt() throws {
    image.state.withLock { $0.bad = [12] }
    let rig = try IDERig(disk: image)
    rig.describe([(0x8000, 0x1000)])
    rig.setBusMaster(0, 0x09)
    rig.issue(0xC8, lba: 10, count: 8)
    #expect(rig.interrupts == 1 && rig.busMaster(2) & 0x07 == 0x05)
    #expect(rig.status == 0x51 && rig.input(1) == 0x40 && rig.input(3) == 12)
    #expect(rig.space.bytes(at: 0x8000, count: 1024) == pattern(10..<12))
  }

  @Test func aStopInTheMiddleLeavesTheDiskWaiting() throws {
    let rig = try IDERig(disk: image)
    try rig.worker.start()
    defer { rig.worker.stop() }
    // 32 MiB into one megabyte: time enough to stop it.
    rig.describe((0..<512).map { (address: UInt32(0x10000 + $0 % 8 * 0x10000), count: 0) })
    rig.setBusMaster(0, 0x09)
    rig.issueExt(0x25, lba: 0, count: 0)
    rig.setBusMaster(0, 0x08)
    #expect(rig.busMaster(2) & 0x01 == 0)
    rig.setControl(4)
    rig.setControl(0)
    while rig.alternate & 0x80 != 0 {}
    #expect(rig.alternate == 0x50)
    rig.describe([(0x8000, 512)])
    rig.setBusMaster(0, 0x09)
    rig.issue(0xC8, lba: 5, count: 1)
    while rig.alternate & 0x80 != 0 {}
    #expect(rig.space.bytes(at: 0x8000, count: 512) == TestImage.pattern(5))
  }

  @Test func savesWhileTheDiskWaitsForTheBusMaster() throws {
    let rig = try IDERig(disk: image)
    rig.describe([(0x8000, 700)])
    rig.setBusMaster(0, 0x09)
    rig.issue(0xC8, lba: 0, count: 4)
    let twin = try IDERig(disk: image)
    try twin.channel.restore(rig.channel.save())
    twin.setBusMaster(0, 0x08)
    twin.describe([(0x9000, 1348)])
    twin.setBusMaster(0, 0x09)
    #expect(twin.interrupts == 1)
    #expect(twin.space.bytes(at: 0x9000, count: 1348) == Array(pattern(0..<4).dropFirst(700)))
  }
}

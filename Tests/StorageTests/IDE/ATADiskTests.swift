import DeviceTestKit
import KVMEngine
import Synchronization
import Testing

@testable import Storage

@Suite struct ATADiskTests {
  let image = TestImage(sectors: 1 << 20)

  @Test func resetShowsADiskAndNobodyElse() throws {
    let rig = try IDERig(disk: image)
    #expect(rig.status == 0x50)
    rig.setControl(0x06)
    #expect(rig.alternate & 0x80 != 0)
    rig.setControl(0x02)
    #expect(rig.alternate == 0x50)
    #expect([1, 2, 3, 4, 5].map { rig.input($0) } == [1, 1, 1, 0, 0])
    rig.out(6, 0x10)
    #expect(rig.alternate == 0)
    let nobody = try IDERig(first: nil)
    #expect(nobody.status == 0x7F && nobody.alternate == 0x7F)
  }

  @Test func identifyTellsCapacitiesAndModes() throws {
    let big = TestImage(sectors: 1 << 30)
    let rig = try IDERig(disk: big)
    rig.issue(0xEC)
    #expect(rig.interrupts == 1)
    #expect(rig.status == 0x58)
    let bytes = rig.readWords(256)
    #expect(rig.status == 0x50)
    func word(_ index: Int) -> Int { Int(bytes[index * 2]) | Int(bytes[index * 2 + 1]) << 8 }
    #expect(word(1) == 16383 && word(3) == 16 && word(6) == 63)
    #expect(word(60) | word(61) << 16 == 0x0FFF_FFFF)
    #expect(word(100) | word(101) << 16 == 1 << 30)
    #expect(word(63) == 7 && word(88) == 0x3F)
    #expect(word(83) & 0x0400 != 0)
    #expect(bytes.reduce(UInt8(0)) { $0 &+ $1 } == 0)
    let model = stride(from: 54, to: 94, by: 2).flatMap { [bytes[$0 + 1], bytes[$0]] }
    #expect(String(decoding: model, as: UTF8.self).hasPrefix("PORTHOLE HARDDISK"))
    rig.issue(0xEF, count: 0x45, features: 3)
    rig.issue(0xEC)
    let again = rig.readWords(128, width: .dword)
    #expect(again[177] == 0x20)
  }

  @Test func sectorsComeWithAnInterruptEach() throws {
    let rig = try IDERig(disk: image)
    rig.issue(0x20, lba: 1000, count: 3)
    for sector in 1000..<1003 as Range<UInt64> {
      #expect(rig.interrupts == Int(sector - 999))
      #expect(rig.lines.level(14))
      #expect(rig.status == 0x58)
      #expect(!rig.lines.level(14))
      #expect(rig.readWords(256) == TestImage.pattern(sector))
    }
    #expect(rig.status == 0x50 && rig.interrupts == 3)
    #expect(rig.command.readPort(0, width: .dword) == .max)
  }

  @Test func multipleSectorsShareABlock() throws {
    let rig = try IDERig(disk: image)
    rig.issue(0xC4, lba: 0, count: 40)
    let before = rig.interrupts
    let data = rig.readWords(40 * 128, width: .dword)
    #expect(rig.interrupts == before + 2)
    #expect(data == (0..<40).flatMap { TestImage.pattern($0) })
    rig.issue(0xC6, count: 4)
    #expect(rig.status == 0x50)
    rig.issue(0xC4, lba: 0, count: 8)
    _ = rig.readWords(8 * 128, width: .dword)
    #expect(rig.interrupts == before + 5)
    // A count that is no power of two turns them off.
    rig.issue(0xC6, count: 3)
    #expect(rig.status == 0x51)
    rig.issue(0xC4, lba: 5, count: 2)
    #expect(rig.status == 0x51 && rig.input(1) == 4)
  }

  @Test func writesAskForEachSectorAndInterruptBehindIt() throws {
    let rig = try IDERig(disk: image)
    rig.issue(0x30, lba: 77, count: 2)
    #expect(rig.interrupts == 0 && rig.status == 0x58)
    rig.writeWords([UInt8](repeating: 0xAB, count: 512))
    #expect(rig.interrupts == 1 && rig.status == 0x58)
    rig.writeWords([UInt8](repeating: 0xCD, count: 512))
    #expect(rig.interrupts == 2 && rig.status == 0x50)
    #expect(image.contents(77) == [UInt8](repeating: 0xAB, count: 512))
    #expect(image.contents(78) == [UInt8](repeating: 0xCD, count: 512))
    rig.issue(0xE7)
    #expect(rig.interrupts == 3 && image.state.withLock { $0.flushes } == 1)
  }

  @Test func withoutAWriteCacheEveryWriteIsFlushed() throws {
    let rig = try IDERig(disk: image)
    rig.issue(0xEF, features: 0x82)
    let before = image.state.withLock { $0.flushes }
    rig.issue(0x30, lba: 77, count: 1)
    rig.writeWords([UInt8](repeating: 0xAB, count: 512))
    #expect(image.state.withLock { $0.flushes } == before + 1)
  }

  @Test func cylindersHeadsAndSectorsCount() throws {
    let rig = try IDERig(disk: image)
    rig.out(2, 1)
    rig.out(3, 5)
    rig.out(4, 3)
    rig.out(5, 0)
    rig.out(6, 0xA2)
    rig.out(7, 0x20)
    _ = rig.status
    #expect(rig.readWords(256) == TestImage.pattern((3 * 16 + 2) * 63 + 4))
    rig.out(2, 17)
    rig.out(6, 0xA3)
    rig.out(7, 0x91)
    rig.out(2, 1)
    rig.out(3, 17)
    rig.out(4, 1)
    rig.out(6, 0xA3)
    rig.out(7, 0x20)
    _ = rig.status
    #expect(rig.readWords(256) == TestImage.pattern((1 * 4 + 3) * 17 + 16))
    rig.out(3, 18)
    rig.out(7, 0x20)
    #expect(rig.status == 0x51 && rig.input(1) == 0x10)
  }

  @Test func fortyEightBitsReachBeyondTwentyEight() throws {
    let big = TestImage(sectors: 1 << 40)
    let rig = try IDERig(disk: big)
    rig.issueExt(0x24, lba: 0x12_3456_7890, count: 1)
    #expect(rig.status == 0x58)
    #expect(rig.readWords(256) == TestImage.pattern(0x12_3456_7890))
    rig.issueExt(0x27, lba: 0, count: 0)
    #expect(rig.input(3) == 0xFF)
    rig.setControl(0x80)
    #expect(rig.input(4) == 0xFF && rig.input(5) == 0x00)
    rig.issue(0xF8)
    #expect(rig.input(3) == 0xFE && rig.input(6) & 0x0F == 0x0F)
    rig.issueExt(0x24, lba: (1 << 40) - 1, count: 2)
    #expect(rig.status == 0x51 && rig.input(1) == 0x10)
  }

  @Test func badSectorsAreUncorrectableAndNamed() throws {
    image.state.withLock { $0.bad = [503] }
    let rig = try IDERig(disk: image)
    rig.issue(0x20, lba: 500, count: 8)
    for sector in 500..<503 as Range<UInt64> {
      #expect(rig.readWords(256) == TestImage.pattern(sector))
    }
    #expect(rig.status == 0x51 && rig.input(1) == 0x40)
    #expect(rig.input(3) == 0xF7 && rig.input(4) == 1)
    rig.issue(0x40, lba: 500, count: 3)
    #expect(rig.status == 0x50)
    rig.issue(0x40, lba: 500, count: 4)
    #expect(rig.status == 0x51 && rig.input(1) == 0x40)
  }

  @Test func aFullHostIsADeviceFaultAndAReadOnlyImageWriteProtected() throws {
    image.state.withLock { $0.isFull = true }
    let rig = try IDERig(disk: image)
    rig.issue(0x30, lba: 1, count: 1)
    rig.writeWords([UInt8](repeating: 1, count: 512))
    #expect(rig.status == 0x71)
    let fixed = try IDERig(disk: TestImage(sectors: 1000, readOnly: true))
    fixed.issue(0x30, lba: 1, count: 1)
    #expect(fixed.status == 0x51 && fixed.input(1) == 0x44)
  }

  @Test func aWriteWaitsForRoomAndIsThenDone() throws {
    image.state.withLock { $0.isFull = true }
    let room = HostRoom()
    let waits = Mutex(0)
    let image = self.image
    room.observe { [weak room] change in
      guard case .waits = change else { return waits.withLock { $0 += 10 } }
      waits.withLock { $0 += 1 }
      image.state.withLock { $0.isFull = false }
      room?.retry()
    }
    let rig = try IDERig(first: IDERig.drive(image), room: room)
    rig.issue(0x30, lba: 1, count: 1)
    rig.writeWords([UInt8](repeating: 7, count: 512))
    #expect(rig.status == 0x50 && room.shortage == nil)
    #expect(image.state.withLock { $0.written[1] } == [UInt8](repeating: 7, count: 512))
    #expect(waits.withLock { $0 } == 11)
  }

  @Test func aMachineThatStopsWaitsForNoRoom() throws {
    image.state.withLock { $0.isFull = true }
    let room = HostRoom()
    room.end()
    let rig = try IDERig(first: IDERig.drive(image), room: room)
    rig.issue(0x30, lba: 1, count: 1)
    rig.writeWords([UInt8](repeating: 1, count: 512))
    #expect(rig.status == 0x71)
  }

  @Test func nothingIsSaidWhileInterruptsAreOff() throws {
    let rig = try IDERig(disk: image)
    rig.setControl(0x02)
    rig.issue(0x20, lba: 1, count: 1)
    #expect(rig.interrupts == 0 && rig.alternate == 0x58)
    rig.setControl(0)
    #expect(rig.lines.level(14))
  }

  @Test func smallCommandsAnswer() throws {
    let rig = try IDERig(disk: image)
    rig.issue(0x90)
    #expect(rig.input(1) == 1 && rig.interrupts == 1)
    rig.issue(0x00)
    #expect(rig.status == 0x51 && rig.input(1) == 4)
    rig.issue(0xE5)
    #expect(rig.input(2) == 0xFF)
    rig.issue(0xE0)
    rig.issue(0x98)
    #expect(rig.input(2) == 0)
    rig.issue(0xB0, lba: 0xC24F00, features: 0xDA)
    #expect(rig.status == 0x50 && rig.input(4) == 0x4F && rig.input(5) == 0xC2)
    rig.issue(0xB0, lba: 0xC24F00, features: 0xD0)
    #expect(rig.status == 0x58)
    #expect(rig.readWords(256).reduce(UInt8(0)) { $0 &+ $1 } == 0)
    rig.issue(0xB0, lba: 0, features: 0xD0)
    #expect(rig.status == 0x51)
    rig.issue(0xEF, count: 0x47, features: 3)
    #expect(rig.status == 0x51)
    rig.issue(0x70, lba: 1 << 21)
    #expect(rig.status == 0x51 && rig.input(1) == 0x10)
  }

  @Test func aCableHasTwoDisks() throws {
    let other = TestImage(sectors: 2000)
    other.state.withLock { $0.written[9] = [UInt8](repeating: 0x99, count: 512) }
    let rig = try IDERig(first: IDERig.drive(image), second: IDERig.drive(other))
    rig.issue(0x20, lba: 9, count: 1, device: 1)
    #expect(rig.status == 0x58 && rig.interrupts == 1)
    #expect(rig.readWords(256) == [UInt8](repeating: 0x99, count: 512))
    rig.out(6, 0)
    #expect(rig.status == 0x50)
    rig.issue(0x20, lba: 9, count: 1)
    #expect(rig.readWords(256) == TestImage.pattern(9))
  }

  @Test func conforms() throws {
    #expect(try IDEConformance.violations(first: image, second: nil).isEmpty)
  }

  @Test func savesInTheMiddleOfABlock() throws {
    let rig = try IDERig(disk: image)
    rig.issue(0x20, lba: 300, count: 5)
    let begun = rig.readWords(256 + 100)
    let twin = try IDERig(disk: image)
    try twin.channel.restore(rig.channel.save())
    let rest = twin.readWords(256 * 4 - 100)
    #expect(begun + rest == (300..<305).flatMap { TestImage.pattern($0) })
    #expect(twin.status == 0x50)
  }

  /// The thread of a started worker: the device is busy until it is done, then interrupts.
  @Test func aThreadServesTheDisk() throws {
    let rig = try IDERig(disk: image)
    try rig.worker.start()
    defer { rig.worker.stop() }
    for round in 0..<200 as Range<UInt64> {
      rig.issue(0x20, lba: round * 10, count: 4)
      var data: [UInt8] = []
      for _ in 0..<4 {
        while rig.alternate & 0x88 != 0x08 {}
        data += rig.readWords(256)
      }
      #expect(data == (0..<4).flatMap { TestImage.pattern(round * 10 + $0) })
      if round % 7 == 0 {
        rig.issue(0x20, lba: round, count: 200)
        rig.setControl(4)
        rig.setControl(0)
        while rig.alternate & 0x80 != 0 {}
        #expect(rig.alternate == 0x50 && rig.input(1) == 1)
      }
    }
    #expect(rig.channel.save().channel.transfer.direction == .none)
  }
}

/// The conformance run over all ports of a channel.
enum IDEConformance {
  static func violations(
    first: TestImage, second: TestImage?, seed: UInt64 = 1
  ) throws -> [String] {
    let lines = LineRecorder()
    let space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    let ram = try MemoryBlock(name: "test", size: 1 << 20)
    try space.map(ram, size: 1 << 20, at: 0)
    var conformance = DeviceConformance(
      make: {
        IDEChannel(
          name: "ide0", first: IDERig.drive(first),
          second: second.map { IDERig.drive($0, kind: .cdrom) }, irq: lines.line(14), space: space,
          worker: DiskWorker(name: "disk-test"))
      },
      ports: { channel in
        [
          (channel.commandPorts, 0x1F0...0x1F7), (channel.commandPorts, 0x1F0...0x1F0),
          (channel.controlPort, 0x3F6...0x3F6),
          (BusMasterPorts(channel, channel), 0xC000...0xC00F),
        ]
      })
    conformance.accesses = 60_000
    return conformance.violations(seed: seed)
  }
}

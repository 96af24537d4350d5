import KVMEngine
import Storage
import Testing

@testable import Machine

@Suite struct DiskBIOSExtensionTests {
  let images = DiskImages()

  func cd() throws -> Drive {
    try Drive(DriveDescription(kind: .cdrom, path: images.make("c.iso", numberedSectors(400))))
  }

  @Test func saysWhichExtensionsThereAre() throws {
    let rig = try DiskBIOSRig([
      images.drive(.floppy, sectors: 2880), images.drive(.hardDisk, sectors: 100, name: "b"), cd(),
    ])
    for dl in [0x80, 0xE0] as [UInt8] {
      let call = rig.call(0x4100, dl: dl) { $0.bx = 0x55AA }
      #expect(!call.carry && call.bx == 0xAA55 && call.ah == 0x30 && call.cx == 7)
    }
    #expect(rig.call(0x4100, dl: 0) { $0.bx = 0x55AA }.ah == 1)
    #expect(rig.call(0x4100, dl: 0x80) { $0.bx = 0x55AB }.carry)
  }

  @Test func readsAndWritesBlocks() throws {
    let rig = try DiskBIOSRig([images.drive(.hardDisk, sectors: 1000)])
    let read = rig.extended(0x4200, dl: 0x80, count: 200, block: 700)
    #expect(!read.carry && read.ah == 0 && rig.packetCount == 200)
    for index in [0, 127, 128, 199] {
      let at = UInt64(DiskBIOSRig.buffer) + UInt64(index * 512)
      #expect(rig.space.load(at, as: UInt32.self) == UInt32(700 + index))
    }
    rig.space.write(0x20000, bytes: [UInt8](repeating: 0xA5, count: 512))
    for al in 0..<3 as Range<UInt16> {
      let write = rig.extended(
        0x4300 + al, dl: 0x80, count: 1, block: 5 + UInt64(al), segment: 0x2000, offset: 0)
      #expect(write.ah == 0)
    }
    let image = try #require(rig.drives[0].medium?.image)
    #expect(try image.bytes(sector: 5, count: 3) == [UInt8](repeating: 0xA5, count: 1536))
    #expect(rig.extended(0x4303, dl: 0x80, count: 1, block: 9).ah == 1)
    #expect(rig.extended(0x4400, dl: 0x80, count: 1000, block: 0).ah == 0)
    #expect(rig.extended(0x4700, dl: 0x80, count: 0, block: 999).ah == 0)
  }

  @Test func aCDHasBlocksOf2048Bytes() throws {
    let rig = try DiskBIOSRig([cd()])
    #expect(rig.extended(0x4200, dl: 0xE0, count: 2, block: 7).ah == 0)
    let at = UInt64(DiskBIOSRig.buffer)
    #expect(rig.space.load(at, as: UInt32.self) == 28)
    #expect(rig.space.load(at + 7 * 512, as: UInt32.self) == 35)
    #expect(rig.extended(0x4300, dl: 0xE0, count: 1, block: 7).ah == 3)
    #expect(rig.extended(0x4200, dl: 0xE0, count: 4, block: 98).ah == 4)
    #expect(rig.packetCount == 2)
    #expect(rig.chs(0x02, 1, 0, 0, 1, dl: 0xE0).ah == 1)
  }

  @Test func refusesBlocksBeyondTheEnd() throws {
    let rig = try DiskBIOSRig([images.drive(.hardDisk, sectors: 1000), cd()])
    for dl in [0x80, 0xE0] as [UInt8] {
      for block in [1000, 1001, 1 << 32, 1 << 62, .max] as [UInt64] {
        for ax in [0x4200, 0x4300, 0x4400, 0x4700] as [UInt16] {
          let call = rig.extended(ax, dl: dl, count: 1, block: block)
          #expect(call.carry && call.ah == 4)
          #expect(rig.packetCount == 0)
        }
      }
    }
    let part = rig.extended(0x4200, dl: 0x80, count: 10, block: 994)
    #expect(part.ah == 4 && rig.packetCount == 6)
  }

  @Test func aCountOfZeroMovesNothing() throws {
    let rig = try DiskBIOSRig([images.drive(.hardDisk, sectors: 10)])
    rig.space.store(UInt32(0xDEAD_BEEF), at: UInt64(DiskBIOSRig.buffer))
    #expect(rig.extended(0x4200, dl: 0x80, count: 0, block: 3).ah == 0)
    #expect(rig.space.load(UInt64(DiskBIOSRig.buffer), as: UInt32.self) == 0xDEAD_BEEF)
  }

  @Test func refusesPacketsThatAreTooSmall() throws {
    let rig = try DiskBIOSRig([images.drive(.hardDisk, sectors: 10)])
    #expect(rig.extended(0x4200, dl: 0x80, size: 0x0F, count: 1, block: 3).ah == 1)
    #expect(rig.extended(0x4200, dl: 0x80, size: 0, count: 1, block: 3).ah == 1)
  }

  @Test func takesFlatAddresses() throws {
    let rig = try DiskBIOSRig([images.drive(.hardDisk, sectors: 1000)])
    let call = rig.extended(
      0x4200, dl: 0x80, size: 0x18, count: 3, block: 500, segment: 0xFFFF, offset: 0xFFFF,
      flat: 0x20_0000)
    #expect(call.ah == 0)
    #expect(rig.space.load(0x20_0400, as: UInt32.self) == 502)
    // Without room for one, FFFF:FFFF is an address like any other.
    #expect(
      rig.extended(
        0x4200, dl: 0x80, count: 1, block: 77, segment: 0xFFFF, offset: 0xFFFF
      ).ah == 0)
    #expect(rig.space.load(0x10_FFEF, as: UInt32.self) == 77)
  }

  @Test func countsByTheDoublewordWhereAsked() throws {
    let rig = try DiskBIOSRig([images.drive(.hardDisk, sectors: 1000)])
    rig.space.store(UInt32(2), at: UInt64(DiskBIOSRig.packet) + 0x18)
    let call = rig.extended(0x4200, dl: 0x80, size: 0x20, count: 0xFF, block: 999)
    #expect(call.ah == 4)
    #expect(rig.space.load(UInt64(DiskBIOSRig.packet) + 0x18, as: UInt32.self) == 1)
    #expect(rig.packetCount == 0xFF)
    rig.space.store(UInt32.max, at: UInt64(DiskBIOSRig.packet) + 0x18)
    #expect(rig.extended(0x4200, dl: 0x80, size: 0x20, count: 0xFF, block: 0).ah == 1)
  }

  @Test(arguments: [(25, 0), (26, 26), (29, 26), (30, 30), (65, 30), (66, 66), (74, 74), (200, 74)])
  func fillsAsMuchOfTheParametersAsThereIsRoom(room: Int, size: Int) throws {
    let rig = try DiskBIOSRig([images.drive(.hardDisk, sectors: 20 * 16 * 63)])
    let at = UInt64(DiskBIOSRig.packet)
    rig.space.write(at, bytes: [UInt8](repeating: 0xCC, count: 256))
    rig.space.store(UInt16(room), at: at)
    let call = rig.call(0x4800, dl: 0x80) { $0.si = DiskBIOSRig.packet }
    #expect(call.carry == (size == 0))
    guard size > 0 else { return }
    #expect(rig.space.load(at, as: UInt16.self) == UInt16(size))
    #expect(rig.space.load(at + 4, as: UInt32.self) == 20)
    #expect(rig.space.load(at + 8, as: UInt32.self) == 16)
    #expect(rig.space.load(at + 12, as: UInt32.self) == 63)
    #expect(rig.space.load(at + 16, as: UInt64.self) == 20 * 16 * 63)
    #expect(rig.space.load(at + 24, as: UInt16.self) == 512)
    #expect(rig.bytes(at + UInt64(size), 1) == [0xCC])
    if size >= 66 {
      let path = rig.bytes(at + 30, size - 30)
      #expect(path[0] == 0xDD && path[1] == 0xBE && Int(path[2]) == size - 30)
      #expect(path.reduce(0, &+) == 0)
      #expect(String(decoding: path[6..<14], as: UTF8.self) == "ISA ATA ")
    }
  }

  @Test func tellsOfACDsBlocks() throws {
    let rig = try DiskBIOSRig([cd()])
    let at = UInt64(DiskBIOSRig.packet)
    rig.space.store(UInt16(26), at: at)
    let call = rig.call(0x4800, dl: 0xE0) { $0.si = DiskBIOSRig.packet }
    #expect(!call.carry)
    #expect(rig.space.load(at + 16, as: UInt64.self) == 100)
    #expect(rig.space.load(at + 24, as: UInt16.self) == 2048)
    #expect(rig.space.load(at + 2, as: UInt16.self) & 0b100 != 0)
  }

  @Test func locksAndEjectsWhatCanBeTakenOut() throws {
    let rig = try DiskBIOSRig([cd(), images.drive(.hardDisk, sectors: 10)])
    #expect(rig.call(0x4501, dl: 0xE0).ah == 0xB0)
    #expect(rig.call(0x4500, dl: 0xE0).al == 1)
    #expect(rig.call(0x4502, dl: 0xE0).al == 1)
    #expect(rig.call(0x4600, dl: 0xE0).ah == 0xB1)
    #expect(rig.call(0x4501, dl: 0xE0).al == 0)
    #expect(rig.call(0x4900, dl: 0xE0).ah == 0)
    #expect(rig.call(0x4600, dl: 0xE0).ah == 0)
    #expect(rig.call(0x4600, dl: 0xE0).ah == 0x31)
    #expect(rig.call(0x4900, dl: 0xE0).ah == 0x06)
    #expect(rig.call(0x4900, dl: 0xE0).ah == 0)
    #expect(rig.extended(0x4200, dl: 0xE0, count: 1, block: 0).ah == 0x31)
    #expect(rig.call(0x4500, dl: 0x80).ah == 0xB2)
    #expect(rig.call(0x4600, dl: 0x80).ah == 0xB2)
    rig.drives[0].lockCount = .max
    try rig.drives[0].insert(path: images.make("d.iso", numberedSectors(40)), force: true)
    #expect(rig.drives[0].lockCount == 0)
    rig.drives[0].lockCount = .max
    #expect(rig.call(0x4500, dl: 0xE0).ah == 0xB4)
  }

  @Test func takesHardwareConfigurations() throws {
    let rig = try DiskBIOSRig([images.drive(.hardDisk, sectors: 10)])
    #expect(rig.call(0x4E06, dl: 0x80).ah == 0)
    #expect(rig.call(0x4E07, dl: 0x80).ah == 1)
  }
}

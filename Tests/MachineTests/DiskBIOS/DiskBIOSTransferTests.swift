import KVMEngine
import Storage
import Testing

@testable import Machine

@Suite struct DiskBIOSTransferTests {
  let images = DiskImages()

  @Test func readsSectorsByCylinderHeadAndSector() throws {
    let rig = try DiskBIOSRig([images.drive(.floppy, sectors: 2880)])
    let call = rig.chs(0x02, 3, 2, 1, 5, dl: 0)
    #expect(!call.carry && call.ah == 0 && call.al == 3)
    let first = (2 * 2 + 1) * 18 + 4
    for index in 0..<3 {
      let at = UInt64(DiskBIOSRig.buffer) + UInt64(index * 512)
      #expect(rig.space.load(at, as: UInt32.self) == UInt32(first + index))
      #expect(rig.bytes(at + 511, 1) == [0xEE])
    }
    #expect(rig.space.load(0x441, as: UInt8.self) == 0)
    #expect(rig.space.load(0x43F, as: UInt8.self) & 1 == 1)
    #expect(rig.space.load(0x440, as: UInt8.self) == 0x25)
    #expect(rig.space.load(0x494, as: UInt8.self) == 2)
  }

  @Test func goesOnAtTheNextHeadAndCylinder() throws {
    let rig = try DiskBIOSRig([images.drive(.floppy, sectors: 2880)])
    let call = rig.chs(0x02, 40, 0, 0, 18, dl: 0)
    #expect(call.al == 40 && !call.carry)
    for index in 0..<40 {
      let at = UInt64(DiskBIOSRig.buffer) + UInt64(index * 512)
      #expect(rig.space.load(at, as: UInt32.self) == UInt32(17 + index))
    }
  }

  @Test func obeysTheGuestsOwnDisketteTable() throws {
    let rig = try DiskBIOSRig([images.drive(.floppy, sectors: 2880)])
    var table = DisketteTable.template
    table[DisketteTable.trackLength] = 9
    rig.space.write(0x522, bytes: table)
    rig.space.store(UInt32(0x522), at: 0x78)
    #expect(rig.chs(0x02, 4, 0, 0, 8, dl: 0).al == 4)
    let read = (0..<4).map {
      rig.space.load(UInt64(DiskBIOSRig.buffer) + UInt64($0 * 512), as: UInt32.self)
    }
    #expect(read == [7, 8, 18, 19])
  }

  @Test func writesAndVerifies() throws {
    let rig = try DiskBIOSRig([images.drive(.hardDisk, sectors: 3000)])
    rig.space.write(UInt64(DiskBIOSRig.buffer), bytes: [UInt8](repeating: 0x5A, count: 1024))
    let call = rig.chs(0x03, 2, 0, 1, 1, dl: 0x80)
    #expect(!call.carry && call.al == 2)
    let image = try #require(rig.drives[0].medium?.image)
    #expect(try image.bytes(sector: 63, count: 2) == [UInt8](repeating: 0x5A, count: 1024))
    #expect(try image.bytes(sector: 65)[0] == 65)
    #expect(rig.chs(0x04, 200, 0, 0, 1, dl: 0x80).al == 200)
  }

  @Test func aReadOnlyMediumIsWriteProtected() throws {
    let rig = try DiskBIOSRig([images.drive(.floppy, sectors: 720, readOnly: true)])
    let call = rig.chs(0x03, 1, 0, 0, 1, dl: 0)
    #expect(call.carry && call.ah == 0x03 && call.al == 0)
    let status = rig.call(0x0100, dl: 0)
    #expect(status.carry && status.ah == 0x03)
  }

  @Test(
    arguments: [
      (0, 0, 0, 0, 0x01), (0, 1, 0, 0, 0x01), (0, 1, 0, 64, 0x01), (0, 1, 16, 1, 0x01),
      (1023, 1, 0, 1, 0x04), (2, 200, 15, 63, 0x04),
    ] as [(Int, UInt8, UInt8, UInt8, UInt8)])
  func refusesSectorsThatAreNotThere(
    cylinder: Int, count: UInt8, head: UInt8, sector: UInt8, status: UInt8
  ) throws {
    let rig = try DiskBIOSRig([images.drive(.hardDisk, sectors: 3 * 16 * 63)])
    let call = rig.chs(0x02, count, cylinder, head, sector, dl: 0x80)
    #expect(call.carry && call.ah == status)
    #expect(call.al == (count == 200 ? 1 : 0))
    #expect(rig.space.load(0x474, as: UInt8.self) == status)
  }

  @Test func buffersGoBeyondTheirSegmentAsDMADoes() throws {
    let rig = try DiskBIOSRig([images.drive(.hardDisk, sectors: 300)])
    let call = rig.call(0x0202, dl: 0x80) {
      $0.setES(0x2000)
      $0.bx = 0xFF00
      $0.cx = 2
      $0.dh = 0
    }
    #expect(call.al == 2)
    #expect(rig.space.load(0x2FF00, as: UInt32.self) == 1)
    #expect(rig.space.load(0x30100, as: UInt32.self) == 2)
  }

  @Test func formatsADiskettesTrack() throws {
    let rig = try DiskBIOSRig([images.drive(.floppy, sectors: 720)])
    let fields: [UInt8] = (1...9).flatMap { [3, 1, UInt8($0), 2] as [UInt8] }
    rig.space.write(UInt64(DiskBIOSRig.buffer), bytes: fields)
    #expect(rig.chs(0x05, 9, 3, 1, 1, dl: 0).ah == 0)
    let image = try #require(rig.drives[0].medium?.image)
    let track = UInt64((3 * 2 + 1) * 9)
    #expect(
      try image.bytes(sector: track, count: 9) == [UInt8](repeating: 0xF6, count: 9 * 512))
    #expect(try image.bytes(sector: track - 1)[0] == 62)
    #expect(try image.bytes(sector: track + 9)[0] == 72)
    #expect(rig.chs(0x05, 9, 40, 1, 1, dl: 0).ah == 0x04)
    rig.space.write(UInt64(DiskBIOSRig.buffer), bytes: [3, 1, 10, 2])
    #expect(rig.chs(0x05, 9, 3, 1, 1, dl: 0).ah == 0x04)
  }

  @Test func tellsOfAChangedDisketteOnce() throws {
    let rig = try DiskBIOSRig([images.drive(.floppy, sectors: 2880)])
    let other = images.make("other.img", numberedSectors(1440))
    #expect(rig.call(0x1600, dl: 0).ah == 0)
    try rig.drives[0].insert(path: other)
    #expect(rig.call(0x1600, dl: 0).ah == 0x06)
    #expect(rig.chs(0x02, 1, 0, 0, 1, dl: 0).ah == 0x06)
    #expect(rig.chs(0x02, 1, 0, 0, 1, dl: 0).ah == 0)
    #expect(rig.call(0x1600, dl: 0).ah == 0)
    try rig.drives[0].eject()
    #expect(rig.chs(0x02, 1, 0, 0, 1, dl: 0).ah == 0x80)
  }

  @Test func answersForDrivesThatAreNotThere() throws {
    let rig = try DiskBIOSRig([])
    for ah in [0x00, 0x02, 0x03, 0x04, 0x05, 0x08, 0x10, 0x16, 0x41, 0x42, 0x48] as [UInt16] {
      for dl in [0x00, 0x01, 0x7F, 0x80, 0x81, 0xE0, 0xFF] as [UInt8] {
        let call = rig.call(ah << 8 | 1, dl: dl)
        #expect(call.carry && call.ah != 0)
      }
    }
    #expect(rig.call(0x1500, dl: 0x80).ah == 0)
  }

  @Test func theDisketteVectorHasNoHardDisks() throws {
    let rig = try DiskBIOSRig([
      images.drive(.floppy, sectors: 2880), images.drive(.hardDisk, sectors: 100, name: "b.img"),
    ])
    #expect(rig.call(0x0000, dl: 0, on: rig.bios.disketteService).ah == 0)
    #expect(rig.call(0x0000, dl: 0x80, on: rig.bios.disketteService).ah == 1)
  }

  /// Random registers and packets: the services answer, and only memory and images change.
  @Test func survivesAnything() throws {
    var random = UInt64(0x13)
    func next() -> UInt64 {
      random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return random >> 17
    }
    let rig = try DiskBIOSRig([
      images.drive(.floppy, sectors: 2880), images.drive(.hardDisk, sectors: 5000, name: "b.img"),
      Drive(
        DriveDescription(kind: .cdrom, path: images.make("c.iso", bootCD(media: 2)))),
    ])
    for round in 0..<20_000 {
      if round % 64 == 0 { _ = rig.bios.loadBootCode(from: .cdrom) }
      let dl = [0, 0, 1, 0x80, 0x81, 0xE0, UInt8(truncatingIfNeeded: next())][Int(next() % 7)]
      let ah = next() % 4 == 0 ? UInt16(truncatingIfNeeded: next()) & 0xFF : UInt16(next() % 0x50)
      rig.space.store(next() << 30 ^ next(), at: 0x600)
      rig.space.store(next() % 8000, at: 0x608)
      if next() % 2 == 0 { rig.space.store(UInt16(0x1810), at: 0x600) }
      let call = rig.call(ah << 8 | UInt16(next() % 8), dl: dl) {
        $0.cx = UInt16(truncatingIfNeeded: next())
        $0.dh = UInt8(next() % 20)
        $0.bx = 0x9000
        $0.si = 0x600
      }
      #expect(call.carry == (call.ah != 0) || ah == 0x15 || ah == 0x41)
      if round % 500 == 0 { rig.space.store(UInt32(0xF000_EFC7), at: 0x78) }
    }
  }
}

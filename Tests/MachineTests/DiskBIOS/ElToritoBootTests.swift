import KVMEngine
import Storage
import Testing

@testable import Machine

@Suite struct ElToritoBootTests {
  let images = DiskImages()

  func makeRig(_ cd: [UInt8], others: [Drive] = []) throws -> DiskBIOSRig {
    let path = images.make("desk.iso", cd)
    return try DiskBIOSRig(others + [Drive(DriveDescription(kind: .cdrom, path: path))])
  }

  func problem(_ result: BootResult) -> String? {
    guard case .failed(let text) = result else { return nil }
    #expect(text.count <= 76 && text.allSatisfy(\.isASCII))
    return text
  }

  @Test func loadsWithoutEmulation() throws {
    let rig = try makeRig(bootCD(count: 6))
    let result = rig.bios.loadBootCode(from: .cdrom)
    #expect(result == .loaded(drive: 0xE0, segment: 0, offset: 0x7C00))
    #expect(rig.bytes(0x7C00, 512) == haltingBootSector)
    #expect(rig.space.load(0x7C00 + 5 * 512, as: UInt32.self) == 125)
    #expect(rig.space.load(0x7C00 + 6 * 512, as: UInt32.self) == 0)
    let status = rig.call(0x4B01, dl: 0xE0) { $0.si = 0x600 }
    #expect(!status.carry)
    #expect(rig.bytes(0x600, 8) == [0x13, 0, 0xE0, 0] + diskLong(30))
    #expect(rig.call(0x4B01, dl: 0x80) { $0.si = 0x600 }.carry)
    #expect(rig.extended(0x4200, dl: 0xE0, count: 1, block: 30).ah == 0)
  }

  @Test func loadsToTheSegmentThatIsAskedFor() throws {
    let rig = try makeRig(bootCD(segment: 0x1000, count: 0))
    let result = rig.bios.loadBootCode(from: .cdrom)
    #expect(result == .loaded(drive: 0xE0, segment: 0x1000, offset: 0))
    #expect(rig.bytes(0x10000, 512) == haltingBootSector)
    #expect(rig.space.load(0x10600, as: UInt32.self) == 123)
  }

  @Test func refusesCodeThatHasNoRoom() throws {
    for (segment, count) in [(0x9000, 0x7F), (0xFFFF, 4), (0x0001, 4), (0, 0xFFFF)] {
      let result = try makeRig(bootCD(segment: segment, count: count)).bios.loadBootCode(
        from: .cdrom)
      #expect(problem(result)?.contains("too large") == true)
    }
  }

  @Test func anEmulatedDisketteIsDriveA() throws {
    let floppy = try images.drive(.floppy, sectors: 1440)
    let rig = try makeRig(bootCD(media: 2), others: [floppy])
    #expect(rig.bios.loadBootCode(from: .cdrom) == .loaded(drive: 0, segment: 0, offset: 0x7C00))
    #expect(rig.space.load(0x410, as: UInt16.self) & 0xC1 == 0x41)
    let geometry = rig.call(0x0800, dl: 0)
    #expect(geometry.cl == 18 && geometry.dl == 2 && geometry.bl == 4)
    #expect(rig.call(0x0800, dl: 1).cl == 9)
    #expect(rig.chs(0x02, 1, 0, 1, 1, dl: 0).ah == 0)
    #expect(rig.space.load(UInt64(DiskBIOSRig.buffer), as: UInt32.self) == 120 + 18)
    #expect(rig.chs(0x03, 1, 0, 1, 1, dl: 0).ah == 3)
    let end = rig.call(0x4B00, dl: 0) { $0.si = 0x600 }
    #expect(!end.carry && rig.bytes(0x601, 1) == [2])
    #expect(rig.bytes(0x610, 3) == [79, 18, 1])
    #expect(rig.call(0x0800, dl: 0).cl == 9)
    #expect(rig.space.load(0x410, as: UInt16.self) & 0xC1 == 0x01)
  }

  @Test func anEmulatedHardDiskIsTheFirst() throws {
    var image = haltingBootSector
    image.replaceSubrange(
      0x1BE..<0x1CE, with: [0x80, 1, 1, 0, 6, 1, 17, 1] + diskLong(17) + diskLong(51))
    let disk = try images.drive(.hardDisk, sectors: 5000)
    let rig = try makeRig(bootCD(media: 4, image: image), others: [disk])
    #expect(
      rig.bios.loadBootCode(from: .cdrom) == .loaded(drive: 0x80, segment: 0, offset: 0x7C00))
    #expect(rig.space.load(0x475, as: UInt8.self) == 2)
    let geometry = rig.call(0x0800, dl: 0x80)
    #expect(geometry.cl == 17 && geometry.ch == 1 && geometry.dh == 1 && geometry.dl == 2)
    #expect(rig.extended(0x4200, dl: 0x80, count: 1, block: 3).ah == 0)
    #expect(rig.space.load(UInt64(DiskBIOSRig.buffer), as: UInt32.self) == 123)
    #expect(rig.extended(0x4200, dl: 0x81, count: 1, block: 3).ah == 0)
    #expect(rig.space.load(UInt64(DiskBIOSRig.buffer), as: UInt32.self) == 3)
    #expect(rig.call(0x4600, dl: 0x80).ah == 0xB2)
    _ = rig.bios.prepareForBoot()
    #expect(rig.call(0x0800, dl: 0x80).dl == 1)
  }

  @Test func aGuestCanStartAnEmulation() throws {
    let rig = try makeRig(bootCD())
    rig.space.write(
      0x600,
      bytes: [19, 2, 0, 0] + diskLong(30) + diskWord(0) + diskWord(0) + diskWord(0) + diskWord(1)
        + [0, 0, 0])
    #expect(rig.call(0x4A00, dl: 0) { $0.si = 0x600 }.ah == 0)
    #expect(rig.call(0x0800, dl: 0).cl == 18)
    rig.space.store(UInt8(3), at: 0x603)
    #expect(rig.call(0x4A00, dl: 0) { $0.si = 0x600 }.carry)
    rig.space.store(UInt8(0), at: 0x603)
    let boot = rig.call(0x4C00, dl: 0) { $0.si = 0x600 }
    #expect(boot.ah == 0 && boot.dl == 0 && boot.returnIP == 0x7C00 && boot.returnCS == 0)
    #expect(rig.bytes(0x7C00, 512) == haltingBootSector)
  }

  @Test func aGuestCanReadTheCatalog() throws {
    let rig = try makeRig(bootCD())
    _ = rig.bios.loadBootCode(from: .cdrom)
    rig.space.write(0x600, bytes: [8, 1] + diskWord(0x9000) + diskWord(0) + diskWord(0))
    #expect(rig.call(0x4D00, dl: 0xE0) { $0.si = 0x600 }.ah == 0)
    #expect(rig.bytes(0x9020, 2) == [0x88, 0])
  }

  @Test func saysWhyACDDoesNotBoot() throws {
    #expect(try problem(DiskBIOSRig([]).bios.loadBootCode(from: .cdrom)) != nil)
    let noRecord = try makeRig(numberedSectors(400)).bios.loadBootCode(from: .cdrom)
    #expect(problem(noRecord)?.contains("desk.iso is not a CD image") == true)
    let far = try makeRig(bootCD(bootBlock: 5000)).bios.loadBootCode(from: .cdrom)
    #expect(problem(far)?.contains("beyond its end") == true)
    let blank = [UInt8](repeating: 0, count: 512)
    let empty = try makeRig(bootCD(media: 2, image: blank)).bios.loadBootCode(from: .cdrom)
    #expect(problem(empty)?.contains("sector 0 is empty") == true)
    let noTable = try makeRig(bootCD(media: 4)).bios.loadBootCode(from: .cdrom)
    #expect(problem(noTable) != nil)
  }

  @Test func bootsDiskettesAndHardDisks() throws {
    let unsigned: [UInt8] = [0xEB, 0xFE] + [UInt8](repeating: 0, count: 510)
    let rig = try DiskBIOSRig([
      images.drive(.floppy, sectors: 720, first: unsigned),
      images.drive(.hardDisk, sectors: 100, first: haltingBootSector, name: "b.img"),
    ])
    #expect(rig.bios.loadBootCode(from: .floppy) == .loaded(drive: 0, segment: 0, offset: 0x7C00))
    #expect(rig.bytes(0x7C00, 512) == unsigned)
    #expect(
      rig.bios.loadBootCode(from: .hardDisk) == .loaded(drive: 0x80, segment: 0, offset: 0x7C00))
    #expect(rig.bytes(0x7C00, 512) == haltingBootSector)
  }

  @Test func saysWhyADiskDoesNotBoot() throws {
    let name = "a very long name of an image that nobody can read \u{e9}.img"
    var onlyTable = [UInt8](repeating: 0, count: 512)
    onlyTable.replaceSubrange(510..<512, with: [0x55, 0xAA])
    let cases: [([UInt8], DriveKind, String)] = [
      ([UInt8](repeating: 0, count: 512), .floppy, "sector 0 is empty"),
      ([UInt8](repeating: 0xF6, count: 512), .floppy, "fill bytes"),
      ([0xEB, 0xFE] + [UInt8](repeating: 0, count: 510), .hardDisk, "signature 55 AA"),
      (onlyTable, .hardDisk, "no boot code"),
    ]
    for (sector, kind, text) in cases {
      let rig = try DiskBIOSRig([images.drive(kind, sectors: 100, first: sector, name: name)])
      let device: BootDevice = kind == .floppy ? .floppy : .hardDisk
      #expect(problem(rig.bios.loadBootCode(from: device))?.contains(text) == true)
    }
    let none = try DiskBIOSRig([Drive(DriveDescription(kind: .floppy, path: nil))])
    #expect(problem(none.bios.loadBootCode(from: .floppy))?.contains("empty") == true)
    #expect(problem(none.bios.loadBootCode(from: .hardDisk)) != nil)
  }
}

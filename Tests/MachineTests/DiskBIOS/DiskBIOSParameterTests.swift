import DeviceTestKit
import KVMEngine
import Storage
import Testing

@testable import Machine

@Suite struct DiskBIOSParameterTests {
  let images = DiskImages()

  @Test(
    arguments: [
      (320, 39, 0, 8, 1), (360, 39, 0, 9, 1), (640, 39, 1, 8, 1), (720, 39, 1, 9, 1),
      (1440, 79, 1, 9, 3), (2400, 79, 1, 15, 2), (2880, 79, 1, 18, 4), (3360, 79, 1, 21, 4),
      (5760, 79, 1, 36, 5),
    ] as [(Int, UInt8, UInt8, UInt8, UInt8)])
  func tellsADiskettesFormat(
    sectors: Int, cylinder: UInt8, head: UInt8, sector: UInt8, type: UInt8
  ) throws {
    let rig = try DiskBIOSRig([images.drive(.floppy, sectors: sectors)])
    let call = rig.call(0x0800, dl: 0)
    #expect(!call.carry && call.ax == 0)
    #expect(call.ch == cylinder && call.cl == sector && call.dh == head && call.dl == 1)
    #expect(call.bl == type)
    #expect(call.es == 0xF000 && call.di == 0xEFC7)
    #expect(rig.bios.prepareForBoot().floppyTypes == [type])
  }

  @Test func tellsAHardDisksGeometry() throws {
    let rig = try DiskBIOSRig([
      images.drive(.hardDisk, sectors: 20 * 16 * 63),
      images.drive(.hardDisk, sectors: 9, name: "b"),
    ])
    let call = rig.call(0x0800, dl: 0x80)
    #expect(!call.carry && call.ah == 0)
    #expect(call.ch == 19 && call.cl == 63 && call.dh == 15 && call.dl == 2)
    let none = rig.call(0x0800, dl: 0x82)
    #expect(none.carry && none.ah == 0x07 && none.dl == 2)
    let type = rig.call(0x1500, dl: 0x80)
    #expect(type.ah == 3 && !type.carry && type.cx == 0 && type.dx == 20 * 16 * 63)
    let inventory = rig.bios.prepareForBoot()
    #expect(
      inventory.hardDisks.first
        == DriveGeometry(cylinders: 20, heads: 16, sectorsPerTrack: 63))
  }

  @Test func packsCylindersIntoTenBits() throws {
    let path = images.make("large.img", [1], size: 9 << 30)
    let drive = try Drive(DriveDescription(kind: .hardDisk, path: path))
    let rig = try DiskBIOSRig([drive])
    let call = rig.call(0x0800, dl: 0x80)
    #expect(call.ch == 0xFF && call.cl == 0xFF && call.dh == 254)
  }

  @Test func anEmptyDriveIsA1440Drive() throws {
    let rig = try DiskBIOSRig([Drive(DriveDescription(kind: .floppy, path: nil))])
    #expect(rig.bios.prepareForBoot().floppyTypes == [4])
    #expect(rig.call(0x0800, dl: 0).cl == 18)
    #expect(rig.call(0x1500, dl: 0).ah == 2)
    #expect(rig.chs(0x02, 1, 0, 0, 1, dl: 0).ah == 0x80)
  }

  @Test func answersWithTheTableOfAFormat() throws {
    let rig = try DiskBIOSRig([images.drive(.floppy, sectors: 1440)])
    let call = rig.call(0x1800, dl: 0) { $0.cx = 0x4F09 }
    #expect(call.ah == 0 && call.es == 0x9FC0)
    let table = rig.bytes(UInt64(call.es) << 4 + UInt64(call.di), DisketteTable.bytes)
    #expect(table[DisketteTable.trackLength] == 9)
    #expect(rig.call(0x1800, dl: 0) { $0.cx = 0x4F12 }.ah == 0x0C)
    #expect(rig.call(0x1704, dl: 0).ah == 0)
  }

  @Test func standsTheConformanceRun() throws {
    let space = AddressSpace(bus: MemoryBus(), slots: NoSlots())
    let path = images.make("c.iso", bootCD(media: 2))
    let drives = try [
      images.drive(.floppy, sectors: 2880), Drive(DriveDescription(kind: .cdrom, path: path)),
    ]
    let found = conformanceViolations(make: { DiskBIOS(drives: drives, memory: space) })
    #expect(found == [])
  }

  @Test func restoresTheEmulatedDisk() throws {
    let path = images.make("c.iso", bootCD(media: 2))
    let drives = { [images] in
      try [
        images.drive(.floppy, sectors: 2880, readOnly: true),
        Drive(DriveDescription(kind: .cdrom, path: path)),
      ]
    }
    let rig = try DiskBIOSRig(drives())
    _ = rig.bios.loadBootCode(from: .cdrom)
    rig.call(0x4500, dl: 0xE0)
    let state = rig.bios.save()
    let other = try DiskBIOSRig(drives())
    try other.bios.restore(state)
    #expect(other.bios.save() == state)
    #expect(other.chs(0x02, 1, 0, 0, 2, dl: 0).ah == 0)
    #expect(other.space.load(UInt64(DiskBIOSRig.buffer), as: UInt32.self) == 121)
    #expect(other.call(0x4501, dl: 0xE0).ah == 0)
    let empty = try DiskBIOSRig([])
    #expect(throws: RestoreError.self) { try empty.bios.restore(state) }
  }
}

import KVMEngine
import Storage

/// Places in the diskette parameter table (IBM PS/2 and PC BIOS Interface Technical Reference,
/// INT 1Eh).
enum DisketteTable {
  static let bytes = 11
  /// The last sector of a track.
  static let trackLength = 4
  /// The byte that formatting fills sectors with.
  static let fill = 8
  /// Ticks until the motor stops.
  static let motorTicks = 2
  /// Where the extended BIOS data area keeps the table that function 18h answers with.
  static let offset: UInt16 = 0x3F0
  /// The table of a drive, before the track's length is put in.
  static let template: [UInt8] = [0xAF, 0x02, 0x25, 2, 18, 0x1B, 0xFF, 0x6C, 0xF6, 0x0F, 0x08]
}

extension DiskBIOS {
  /// The linear address behind INT 1Eh.
  func disketteTable(_ memory: LinearMemory) -> UInt64 {
    let (segment, offset) = disketteVector(memory)
    return UInt64(segment) << 4 + UInt64(offset)
  }

  private func disketteVector(_ memory: LinearMemory) -> (segment: UInt16, offset: UInt16) {
    (
      memory.load(BIOSData.disketteTable + 2, as: UInt16.self),
      memory.load(BIOSData.disketteTable, as: UInt16.self)
    )
  }

  /// The track length that a guest's own diskette parameter table gives. The table in the ROM is that
  /// of one drive and says nothing of other media; nil there.
  func guestTrackLength(_ memory: LinearMemory) -> UInt8? {
    let (segment, offset) = disketteVector(memory)
    guard segment < 0xC000, segment | offset != 0 else { return nil }
    return memory.load(disketteTable(memory) + UInt64(DisketteTable.trackLength), as: UInt8.self)
  }

  /// A diskette's motor runs from a transfer on until INT 08h has counted it down.
  func noteMotor(_ unit: DiskUnit, cylinder: Int, _ memory: LinearMemory) {
    guard unit.number < 2 else { return }
    let motors = memory.load(BIOSData.motors, as: UInt8.self)
    memory.store(motors & 0xF0 | 1 << unit.number, at: BIOSData.motors)
    let ticks = memory.load(
      disketteTable(memory) + UInt64(DisketteTable.motorTicks), as: UInt8.self)
    memory.store(max(ticks, 1), at: BIOSData.motorTicks)
    memory.store(
      UInt8(clamping: cylinder), at: BIOSData.disketteCylinder + UInt64(unit.number))
  }

  // MARK: Functions 01h, 08h, 15h, 16h, 17h, 18h

  /// Function 01h: how the last call for such a drive ended.
  func readStatus(_ call: inout FirmwareCall) {
    let status = call.memory.load(Self.statusByte(call.dl), as: UInt8.self)
    call.ah = status
    call.carry = status != 0
  }

  /// Function 08h: the last cylinder in CH and CL, sectors in CL, the last head in DH, how many
  /// drives of the kind in DL; for diskettes the drive's type in BL and their table in ES:DI.
  func readParameters(_ call: inout FirmwareCall) {
    let isDiskette = call.dl < DiskUnit.firstHardDisk
    guard let unit = unit(call.dl), unit.kind != .cdrom else {
      let number = call.dl
      finish(isDiskette ? .invalidCommand : .noSuchHardDisk, &call)
      call.al = 0
      if isDiskette { call.bx = 0 }
      call.cx = 0
      call.dx = UInt16(number >= DiskUnit.firstCD ? 0 : count(isDiskette ? .floppy : .hardDisk))
      return
    }
    finish(.success, &call)
    let geometry = unit.geometry
    let last = UInt16(min(geometry.cylinders, DiskGeometry.maximumCylinders) - 1)
    call.al = 0
    call.ch = UInt8(last & 0xFF)
    call.cl = UInt8(last >> 2 & 0xC0) | UInt8(geometry.sectors)
    call.dh = UInt8(geometry.heads - 1)
    call.dl = count(unit.kind)
    guard isDiskette else { return }
    let vector = disketteVector(call.memory)
    call.bx = UInt16(Self.type(geometry).rawValue)
    call.setES(vector.segment)
    call.di = vector.offset
  }

  /// The type of drive for such diskettes.
  static func type(_ chs: CHSGeometry) -> FloppyGeometry.DriveType {
    FloppyGeometry(cylinders: chs.cylinders, heads: chs.heads, sectors: chs.sectors).driveType
  }

  /// Function 15h: AH 0 no drive, 1 and 2 a drive with removable media (2 tells of changes), 3 a
  /// hard disk of CX:DX sectors.
  func readType(_ call: inout FirmwareCall) {
    let unit = unit(call.dl)
    finish(.success, &call)
    guard let unit else { return }
    guard unit.kind == .hardDisk else {
      let isOld = unit.kind == .floppy && Self.type(unit.geometry) == .kilobytes360
      call.ah = isOld ? 1 : 2
      return
    }
    let sectors = UInt32(clamping: unit.geometry.sectorCount)
    call.ah = 3
    call.cx = UInt16(sectors >> 16)
    call.dx = UInt16(truncatingIfNeeded: sectors)
  }

  /// Function 16h: whether the medium was changed since the last transfer.
  func detectChange(_ unit: DiskUnit, _ call: inout FirmwareCall) {
    guard unit.kind == .floppy else { return finish(.invalidCommand, &call) }
    guard unit.image != nil else { return finish(.timeout, &call) }
    finish(unit.isRemovable && unit.drive.mediaChanged ? .mediaChanged : .success, &call)
  }

  /// Functions 17h and 18h: say which format function 05h will make. An image has the one that it
  /// has; 18h answers with its table in ES:DI.
  func setFormat(_ unit: DiskUnit, _ call: inout FirmwareCall) {
    guard unit.kind == .floppy else { return finish(.invalidCommand, &call) }
    guard unit.image != nil else { return finish(.timeout, &call) }
    guard call.ah == 0x18 else {
      return finish((1...5).contains(call.al) ? .success : .invalidCommand, &call)
    }
    let cylinders = Int(call.ch) | Int(call.cl & 0xC0) << 2
    guard cylinders == unit.geometry.cylinders - 1,
      Int(call.cl & 0x3F) == unit.geometry.sectors
    else { return finish(.mediaTypeNotFound, &call) }
    let segment = call.memory.load(BIOSData.extendedSegment, as: UInt16.self)
    var table = DisketteTable.template
    table[DisketteTable.trackLength] = call.cl & 0x3F
    call.memory.write(UInt64(segment) << 4 + UInt64(DisketteTable.offset), bytes: table)
    call.setES(segment)
    call.di = DisketteTable.offset
    finish(.success, &call)
  }
}

import Storage

/// A drive as INT 13h numbers it, with what is in it at this moment.
struct DiskUnit {
  static let firstHardDisk: UInt8 = 0x80
  static let firstCD: UInt8 = 0xE0

  let number: UInt8
  /// What it behaves as: an emulated disk is a diskette or a hard disk.
  let kind: DriveKind
  let drive: Drive
  /// Nil where there is no medium.
  let image: (any BlockImage)?
  let geometry: CHSGeometry

  /// Sectors of 512 bytes in a block as the extensions count them.
  var sectorsPerBlock: UInt64 { kind == .cdrom ? Sector.perCDBlock : 1 }
  /// Blocks of the medium.
  var blockCount: UInt64 { (image?.sectorCount ?? 0) / sectorsPerBlock }
  /// Whether its medium can be taken out: never that of an emulated disk.
  var isRemovable: Bool { drive.isRemovable && drive.kind == kind }
}

/// The CD that was booted and the disk that it emulates.
struct BootedCD: Codable, Equatable, Sendable {
  /// Which of the CD drives.
  let index: Int
  /// Its boot entry, as the specification packet shows it.
  let media: BootCatalog.Media
  let driverFlags: UInt8
  let block: UInt32
  let loadSegment: UInt16
  let sectorCount: UInt16
  /// The emulated disk's; for no emulation without meaning.
  let geometry: CHSGeometry
  /// Whether the emulated disk is there: not without emulation, nor after function 4B00h.
  var isEmulating: Bool

  /// - Parameter geometry: the emulated disk's, nil for no emulation.
  init(index: Int, entry: BootCatalog.Entry, geometry: CHSGeometry?) {
    self.index = index
    media = entry.media
    driverFlags = entry.driverFlags
    block = entry.block
    loadSegment = entry.loadSegment
    sectorCount = entry.sectorCount
    self.geometry = geometry ?? CHSGeometry(cylinders: 1, heads: 1, sectors: 1)
    isEmulating = geometry != nil
  }

  /// Whether a disk can have this geometry; one that was read from a file need not.
  var isValid: Bool {
    geometry
      == CHSGeometry(
        cylinders: geometry.cylinders, heads: geometry.heads, sectors: geometry.sectors)
  }

  /// The number of the drive that was booted.
  var number: UInt8 {
    switch media {
    case .noEmulation: DiskUnit.firstCD &+ UInt8(truncatingIfNeeded: index)
    case .hardDisk: DiskUnit.firstHardDisk
    case .floppy1200, .floppy1440, .floppy2880: 0
    }
  }

  /// Whether an emulated diskette, or hard disk, stands in front of the real ones.
  func emulates(_ kind: DriveKind) -> Bool {
    guard isEmulating else { return false }
    switch media {
    case .noEmulation: return false
    case .hardDisk: return kind == .hardDisk
    case .floppy1200, .floppy1440, .floppy2880: return kind == .floppy
    }
  }
}

extension DiskBIOS {
  /// The drives of one kind, in the order of their numbers.
  func drives(_ kind: DriveKind) -> [Drive] { drives.filter { $0.kind == kind } }

  /// How many drives of one kind INT 13h shows.
  func count(_ kind: DriveKind) -> UInt8 {
    let emulated = bootedCD.withLock { $0?.emulates(kind) ?? false }
    return UInt8(clamping: drives(kind).count + (emulated ? 1 : 0))
  }

  /// The drive with the number `number`, nil where there is none.
  func unit(_ number: UInt8) -> DiskUnit? {
    let (kind, position) = Self.place(number)
    let cd = bootedCD.withLock { $0 }
    guard let cd, cd.emulates(kind) else { return real(kind, position, number) }
    guard position == 0 else { return real(kind, position - 1, number) }
    let drives = drives(.cdrom)
    guard drives.indices.contains(cd.index) else { return nil }
    let drive = drives[cd.index]
    let image = drive.medium.map {
      ImageSlice(
        of: $0.image, first: UInt64(cd.block) * Sector.perCDBlock, count: cd.geometry.sectorCount)
    }
    return DiskUnit(
      number: number, kind: kind, drive: drive, image: image, geometry: cd.geometry)
  }

  private static func place(_ number: UInt8) -> (DriveKind, Int) {
    switch number {
    case ..<DiskUnit.firstHardDisk: (.floppy, Int(number))
    case ..<DiskUnit.firstCD: (.hardDisk, Int(number - DiskUnit.firstHardDisk))
    default: (.cdrom, Int(number - DiskUnit.firstCD))
    }
  }

  private func real(_ kind: DriveKind, _ position: Int, _ number: UInt8) -> DiskUnit? {
    let drives = drives(kind)
    guard drives.indices.contains(position) else { return nil }
    let medium = drives[position].medium
    return DiskUnit(
      number: number, kind: kind, drive: drives[position], image: medium?.image,
      geometry: medium?.geometry ?? FloppyGeometry.usual.chs)
  }

  /// Writes how many drives there are into the BIOS data area, after an emulated one came or went.
  func publishCounts() {
    let floppies = min(count(.floppy), 4)
    var equipment = memory.load(BIOSData.equipment, as: UInt16.self) & ~0xC1
    if floppies > 0 { equipment |= 1 | UInt16(floppies - 1) << 6 }
    memory.store(equipment, at: BIOSData.equipment)
    memory.store(count(.hardDisk), at: BIOSData.hardDiskCount)
  }
}

/// What hangs on one end of an IDE cable.
enum IDESlot: Sendable {
  case empty
  case disk(ATADisk)
  case disc(Drive)

  var isEmpty: Bool { if case .empty = self { true } else { false } }
  var isPacketDevice: Bool { if case .disc = self { true } else { false } }
  var disk: ATADisk? { if case .disk(let disk) = self { disk } else { nil } }
  var disc: Drive? { if case .disc(let drive) = self { drive } else { nil } }

  /// What its data is on now; nil for a drive without a medium.
  var image: (any BlockImage)? {
    switch self {
    case .empty: nil
    case .disk(let disk): disk.image
    case .disc(let drive): drive.medium?.image
    }
  }
}

/// A hard disk as ATA shows it.
struct ATADisk: Sendable {
  let image: any BlockImage
  /// The image where what the guest trims is given back; nil where there is no TRIM.
  let trimmed: (any StoredImage)?
  /// Sectors of 512 bytes; at most as many as 48 bits address.
  let sectorCount: UInt64
  /// The geometry that the drive has by itself: heads 1 to 16, sectors 1 to 63.
  let heads: UInt8
  let sectors: UInt8
  /// Up to 20 ASCII characters.
  let serial: String

  /// - Parameter geometry: as INT 13h shows it; the drive shares it where it has 16 heads or fewer.
  init(
    image: any BlockImage, trimmed: (any StoredImage)?, geometry: CHSGeometry, serial: String
  ) {
    self.image = image
    self.trimmed = trimmed
    self.serial = serial
    sectorCount = min(image.sectorCount, 1 << 48)
    let fits = geometry.heads <= 16
    heads = fits ? UInt8(clamping: geometry.heads) : 16
    sectors = fits ? UInt8(clamping: geometry.sectors) : 63
  }

  /// Sectors that 28 bits reach.
  var sectorCount28: UInt64 { min(sectorCount, 0x0FFF_FFFF) }

  /// The cylinders of a geometry, as many as IDENTIFY DEVICE may tell.
  func cylinders(heads: UInt8, sectors: UInt8) -> UInt16 {
    let cylinder = max(1, UInt64(heads) * UInt64(sectors))
    return UInt16(min(sectorCount28 / cylinder, 16383))
  }
}

/// The geometry by which a disk's CHS addresses count.
struct ATATranslation {
  let cylinders: UInt16
  let heads: UInt8
  let sectors: UInt8

  /// What the host set, or where it did not, what the drive has by itself.
  init(_ state: IDEDeviceState, _ disk: ATADisk) {
    heads = state.sectors == 0 ? disk.heads : max(1, min(state.heads, 16))
    sectors = state.sectors == 0 ? disk.sectors : state.sectors
    // The whole 16 bits of the register, where INITIALIZE DEVICE PARAMETERS asked for few heads.
    let cylinder = max(1, UInt64(heads) * UInt64(sectors))
    cylinders = UInt16(min(disk.sectorCount28 / cylinder, 65535))
  }

  /// The sector that the registers name; nil where there is none.
  func sector(_ file: ATATaskFile) -> UInt64? {
    let head = file.device & ATADevice.headMask
    let number = file.lbaLow.low
    guard number >= 1, number <= sectors, head < heads, file.word < cylinders else { return nil }
    return (UInt64(file.word) * UInt64(heads) + UInt64(head)) * UInt64(sectors)
      + UInt64(number - 1)
  }

  /// Names `sector` in the registers.
  func show(_ sector: UInt64, in file: inout ATATaskFile) {
    let track = sector / UInt64(max(1, sectors))
    file.lbaLow.low = UInt8(truncatingIfNeeded: sector % UInt64(max(1, sectors)) + 1)
    file.word = UInt16(truncatingIfNeeded: track / UInt64(max(1, heads)))
    file.device =
      file.device & ~ATADevice.headMask | UInt8(truncatingIfNeeded: track % UInt64(max(1, heads)))
  }
}

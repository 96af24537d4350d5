/// A diskette's format.
public struct FloppyGeometry: Sendable, Equatable, Codable {
  public let chs: CHSGeometry

  public init(cylinders: Int, heads: Int, sectors: Int) {
    chs = CHSGeometry(cylinders: cylinders, heads: heads, sectors: sectors)
  }

  /// The drive that such a diskette needs, as INT 13h function 08h numbers it in BL and the CMOS
  /// RAM in byte 10h.
  public enum DriveType: UInt8, Sendable, Codable {
    case kilobytes360 = 1
    case kilobytes1200 = 2
    case kilobytes720 = 3
    case kilobytes1440 = 4
    case kilobytes2880 = 5
  }

  /// The smallest drive that takes it.
  public var driveType: DriveType {
    switch chs.sectors {
    case ...9: chs.cylinders <= 43 ? .kilobytes360 : .kilobytes720
    case ...17: .kilobytes1200
    case ...24: .kilobytes1440
    default: .kilobytes2880
    }
  }

  /// What a drive without a diskette is taken for: 1.44 MB.
  public static let usual = FloppyGeometry(cylinders: 80, heads: 2, sectors: 18)

  /// The formats that DOS and its successors made, smallest first: 160, 180, 320, 360, 720, 1200,
  /// 1440, 1680, 1722, 1743 and 2880 KiB.
  public static let formats: [FloppyGeometry] = [
    FloppyGeometry(cylinders: 40, heads: 1, sectors: 8),
    FloppyGeometry(cylinders: 40, heads: 1, sectors: 9),
    FloppyGeometry(cylinders: 40, heads: 2, sectors: 8),
    FloppyGeometry(cylinders: 40, heads: 2, sectors: 9),
    FloppyGeometry(cylinders: 80, heads: 2, sectors: 9),
    FloppyGeometry(cylinders: 80, heads: 2, sectors: 15),
    usual,
    FloppyGeometry(cylinders: 80, heads: 2, sectors: 21),
    FloppyGeometry(cylinders: 82, heads: 2, sectors: 21),
    FloppyGeometry(cylinders: 83, heads: 2, sectors: 21),
    FloppyGeometry(cylinders: 80, heads: 2, sectors: 36),
  ]

  /// The most sectors that a diskette has: 83 cylinders of 2.88 MB density.
  public static let maximumSectors: UInt64 = 83 * 2 * 36

  /// The format of an image of `sectorCount` sectors whose first one is `firstSector`: by its FAT
  /// volume where that says something sensible, else by its size. An image of no format's size is
  /// the beginning of a 1.44 MB diskette, as those of boot code alone are, or of a larger one.
  /// - Returns: nil where no diskette is that large.
  public init?(sectorCount: UInt64, firstSector: [UInt8]) {
    guard sectorCount <= Self.maximumSectors else { return nil }
    let exact = Self.formats.first { $0.chs.sectorCount == sectorCount }
    let isExact = exact != nil
    let least = max(sectorCount, Self.usual.chs.sectorCount)
    let bySize = exact ?? Self.formats.first { $0.chs.sectorCount >= least }
    if let said = Self(volume: firstSector, holding: isExact ? 0 : sectorCount),
      !isExact || said.chs.sectorCount >= sectorCount
    {
      self = said
    } else {
      self = bySize ?? Self(cylinders: 83, heads: 2, sectors: 36)
    }
  }

  /// What the FAT volume says, with as many cylinders as `sectorCount` sectors need at least.
  private init?(volume firstSector: [UInt8], holding sectorCount: UInt64) {
    guard let block = BIOSParameterBlock(firstSector), block.heads <= 2, block.sectorsPerTrack <= 36
    else { return nil }
    let cylinder = UInt64(block.heads * block.sectorsPerTrack)
    let total = UInt64(block.totalSectors)
    guard total % cylinder == 0, total <= Self.maximumSectors else { return nil }
    let cylinders = max(total / cylinder, (sectorCount + cylinder - 1) / cylinder)
    guard cylinders <= 86 else { return nil }
    self.init(
      cylinders: Int(cylinders), heads: block.heads, sectors: block.sectorsPerTrack)
  }
}

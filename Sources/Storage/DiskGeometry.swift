/// The geometry that INT 13h shows of a hard disk.
public enum DiskGeometry {
  /// The geometry of a disk of `sectorCount` sectors whose first sector is `firstSector`.
  ///
  /// It is the one that the disk was partitioned with, where the partition table's addresses agree
  /// with one geometry; the FAT volume's own, where the disk has no partitions; else the usual
  /// LBA-assisted translation: 63 sectors, and as few heads of 16, 32, 64, 128, 255 as keep the
  /// cylinders within 1024.
  public static func of(sectorCount: UInt64, firstSector: [UInt8]) -> CHSGeometry {
    let usual = assisted(sectorCount)
    if let table = PartitionTable(firstSector) {
      return candidates(table, usual: (usual.heads, usual.sectors)).lazy
        .map { shape($0.0, $0.1, of: sectorCount) }
        .first { table.agrees(with: $0) } ?? usual
    }
    if let block = BIOSParameterBlock(firstSector) {
      return shape(block.heads, block.sectorsPerTrack, of: sectorCount)
    }
    return usual
  }

  /// The most cylinders that INT 13h can name.
  public static let maximumCylinders = 1024

  private static func assisted(_ sectorCount: UInt64) -> CHSGeometry {
    let heads = [16, 32, 64, 128].first { sectorCount <= UInt64($0 * 63 * maximumCylinders) }
    return shape(heads ?? 255, 63, of: sectorCount)
  }

  private static func shape(_ heads: Int, _ sectors: Int, of sectorCount: UInt64) -> CHSGeometry {
    let cylinder = UInt64(max(1, heads) * max(1, sectors))
    return CHSGeometry(
      cylinders: Int(min(sectorCount / cylinder, UInt64(maximumCylinders))), heads: heads,
      sectors: sectors)
  }

  private static func candidates(
    _ table: PartitionTable, usual: (Int, Int)
  ) -> [(Int, Int)] {
    let ends = table.entries.filter { $0.end.sector != 0 && $0.end.head < 255 }
      .map { ($0.end.head + 1, $0.end.sector) }
    return [usual] + ends + [255, 240, 128, 64, 32, 16].map { ($0, 63) } + [(64, 32), (16, 32)]
  }

  /// The geometry of the hard disk in an El Torito image, which its first partition's last address
  /// tells (El Torito 1.0, section 2.2).
  /// - Returns: nil where `firstSector` has no partition table.
  static func emulated(firstSector: [UInt8]) -> CHSGeometry? {
    guard let entry = PartitionTable(firstSector)?.entries.first, entry.end.sector != 0 else {
      return nil
    }
    return CHSGeometry(
      cylinders: entry.end.cylinder + 1, heads: entry.end.head + 1, sectors: entry.end.sector)
  }
}

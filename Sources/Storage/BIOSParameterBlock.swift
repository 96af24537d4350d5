/// The BIOS parameter block in the first sector of a FAT volume (Microsoft, "FAT: General Overview
/// of On-Disk Format", 1.03, page 9), as far as it tells a medium's geometry.
struct BIOSParameterBlock: Equatable {
  let totalSectors: UInt32
  let sectorsPerTrack: Int
  let heads: Int

  /// Nil where `sector` holds no block that makes sense.
  init?(_ sector: [UInt8]) {
    guard sector.count >= 512, sector[0] == 0xEB || sector[0] == 0xE9 else { return nil }
    let perCluster = sector[13]
    let total16 = sector.little16(19)
    let total = total16 != 0 ? UInt32(total16) : sector.little32(32)
    let track = Int(sector.little16(24))
    let sides = Int(sector.little16(26))
    guard sector.little16(11) == 512, perCluster != 0, perCluster & (perCluster &- 1) == 0,
      sector.little16(14) != 0, (1...4).contains(sector[16]), total != 0, sector[21] >= 0xF0,
      (1...63).contains(track), (1...255).contains(sides)
    else { return nil }
    totalSectors = total
    sectorsPerTrack = track
    heads = sides
  }
}

extension [UInt8] {
  /// The little-endian word at `offset`; 0 beyond the end.
  func little16(_ offset: Int) -> UInt16 {
    guard offset >= 0, offset <= count - 2 else { return 0 }
    return UInt16(self[offset]) | UInt16(self[offset + 1]) << 8
  }

  /// The little-endian doubleword at `offset`; 0 beyond the end.
  func little32(_ offset: Int) -> UInt32 {
    UInt32(little16(offset)) | UInt32(little16(offset + 2)) << 16
  }
}

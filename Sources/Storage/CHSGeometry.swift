/// How a disk counts: cylinders, heads and sectors, as INT 13h addresses them.
public struct CHSGeometry: Sendable, Equatable, Codable {
  /// 1 to 16383.
  public var cylinders: Int
  /// 1 to 255.
  public var heads: Int
  /// Sectors per track, 1 to 63.
  public var sectors: Int

  /// Values outside of what INT 13h can say are brought to the nearest that it can.
  public init(cylinders: Int, heads: Int, sectors: Int) {
    self.cylinders = min(max(1, cylinders), 16383)
    self.heads = min(max(1, heads), 255)
    self.sectors = min(max(1, sectors), 63)
  }

  /// All sectors that the geometry names.
  public var sectorCount: UInt64 { UInt64(cylinders) * UInt64(heads) * UInt64(sectors) }

  /// The sector's number from 0 on, or nil where there is no such head or sector.
  /// - Parameter sector: from 1 on.
  public func block(cylinder: Int, head: Int, sector: Int) -> UInt64? {
    guard cylinder >= 0, head >= 0, head < heads, sector >= 1, sector <= sectors else { return nil }
    return (UInt64(cylinder) * UInt64(heads) + UInt64(head)) * UInt64(sectors) + UInt64(sector - 1)
  }
}

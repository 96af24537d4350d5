/// What a run of sectors is, looked up through all images that lie over each other.
public struct ResolvedExtent: Sendable, Equatable {
  /// ``ImageExtent/Kind/data``, ``ImageExtent/Kind/compressed`` or ``ImageExtent/Kind/zero``.
  public let kind: ImageExtent.Kind
  public let sector: UInt64
  /// Sectors of 512 bytes, at least 1.
  public let count: UInt64
  /// How many images lie above the one that holds it.
  public let depth: Int
  /// The byte of that image's file at which the data lies, where it is not compressed.
  public let fileOffset: UInt64?
}

extension StoredImage {
  /// What is at `sector`, here or below, and for how many sectors, `limit` at most.
  public func resolve(sector: UInt64, limit: UInt64) throws(ImageError) -> ResolvedExtent {
    var image: any StoredImage = self
    var count = limit
    var depth = 0
    while true {
      let extent = try image.extent(sector: sector, limit: count)
      count = min(count, extent.count)
      guard extent.kind == .absent else {
        return ResolvedExtent(
          kind: extent.kind, sector: sector, count: count, depth: depth,
          fileOffset: extent.fileOffset)
      }
      guard let below = image.backing, sector < below.sectorCount else {
        return ResolvedExtent(
          kind: .zero, sector: sector, count: count, depth: depth, fileOffset: nil)
      }
      count = min(count, below.sectorCount - sector)
      image = below
      depth += 1
    }
  }

  /// Calls `body` with every extent of the image, in order.
  public func eachExtent(
    _ body: (ResolvedExtent) throws(ImageError) -> Void
  ) throws(ImageError) {
    var sector: UInt64 = 0
    let end = sectorCount
    while sector < end {
      let extent = try resolve(sector: sector, limit: end - sector)
      try body(extent)
      sector += extent.count
    }
  }
}

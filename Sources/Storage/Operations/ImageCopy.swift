/// Copies of images, and what is done from one to another. Progress is told in bytes of the medium:
/// done, and in all.
public enum ImageCopy {
  public typealias Progress = (UInt64, UInt64) -> Void

  /// How a copy is to be.
  public struct Options: Sendable {
    public var format: ImageFormat = .qcow2
    /// For qcow2; its size is the original's.
    public var qcow2 = QCOW2Options(size: 512)
    /// Clusters are compressed.
    public var compresses = false
    /// The copy is on the storage when it is there.
    public var isDurable = true

    public init() {}
  }

  /// What is no longer than this is not looked for among zeroes of raw images, in bytes.
  private static let hole = 4096
  /// Bytes of a piece, where clusters are not larger, and pieces that are under way at a time.
  private static let pieceBytes = 512 << 10
  private static let pieceCount = 6

  /// Makes a copy of `image`, as a whole, at `path`. What is zero takes no room.
  /// - Throws: ``ImageError``; nothing is left at `path` then.
  public static func copy(
    _ image: any StoredImage, to path: String, _ options: Options, _ progress: Progress
  ) throws(ImageError) {
    let new = try NewFile(path)
    var qcow2 = options.qcow2
    qcow2.size = image.sectorCount * 512
    switch options.format {
    case .raw:
      if let raw = image as? RawImage, raw.share(with: new.file) { break }
      let code = new.file.setSize(image.byteCount)
      guard code == 0 else { throw ImageError.handling("make", path, code: code) }
      let target = CopyTarget(try RawImage(new.file), in: new.file, isDurable: options.isDurable)
      try copy(image, into: target, blockBytes: hole, packer: nil, progress)
    case .qcow2:
      let header = try QCOW2Header(qcow2, path: path)
      try header.create(in: new.file)
      let made = try QCOW2Image(new.file, header, backing: nil)
      let target = CopyTarget(made, in: new.file, isDurable: options.isDurable)
      try copy(
        image, into: target, blockBytes: header.clusterBytes,
        packer: options.compresses ? ClusterPacker(header) : nil, progress)
    }
    try new.keep(isDurable: options.isDurable)
  }

  /// Copies what is not zero into an image of zeroes.
  private static func copy(
    _ image: any StoredImage, into target: CopyTarget, blockBytes: Int, packer: ClusterPacker?,
    _ progress: Progress
  ) throws(ImageError) {
    let threads = packer == nil ? 0 : ClusterPacker.threads
    let pieces = (0..<(pieceCount + 2 * threads)).map { _ in
      CopyPiece(byteCount: max(pieceBytes, blockBytes), packs: packer != nil)
    }
    let belt = CopyBelt(pieces, preparers: threads) { piece in
      if let packer { packer.pack(piece) } else { piece.findData(blockBytes: blockBytes) }
    } write: { piece throws(ImageError) in
      try target.write(piece)
    }
    do throws(ImageError) {
      try load(image, onto: belt, blockBytes: blockBytes, wholeBlocks: packer != nil, progress)
      try belt.finish()
    } catch {
      belt.stop()
      throw error
    }
    try target.image.flush()
    progress(image.sectorCount * 512, image.sectorCount * 512)
  }

  /// Reads what is not known to be zero.
  /// - Parameter wholeBlocks: always whole blocks of `blockBytes`, zeroes behind the image's end.
  private static func load(
    _ image: any StoredImage, onto belt: CopyBelt, blockBytes: Int, wholeBlocks: Bool,
    _ progress: Progress
  ) throws(ImageError) {
    let block = UInt64(blockBytes / Sector.bytes)
    let total = image.sectorCount
    var sector: UInt64 = 0
    while sector < total {
      let extent = try image.resolve(sector: sector, limit: total - sector)
      var end = sector + extent.count
      if extent.kind == .zero && (!wholeBlocks || extent.count >= block) {
        sector = wholeBlocks ? end / block * block : end
        continue
      }
      if wholeBlocks { end = (end + block - 1) / block * block }
      while sector < end {
        let count = part(of: sector..<end, room: belt.piece.room, block: block)
        if count == 0 {
          try belt.send()
          progress(sector * 512, total * 512)
        } else {
          try belt.piece.load(image, sector: sector, count: count)
          sector += count
        }
      }
    }
  }

  /// How many of `sectors` go into a piece with `room`, so that no block is torn that has room in one.
  private static func part(of sectors: Range<UInt64>, room: UInt64, block: UInt64) -> UInt64 {
    let wanted = sectors.upperBound - sectors.lowerBound
    guard wanted > room else { return wanted }
    let end = (sectors.lowerBound + room) / block * block
    return end > sectors.lowerBound ? end - sectors.lowerBound : 0
  }

  /// Compares what two images show.
  /// - Returns: the first sector that differs; nil where none does. What one has beyond the other's
  ///   end counts as equal where it is zero.
  public static func firstDifference(
    _ one: any StoredImage, _ other: any StoredImage, _ progress: Progress
  ) throws(ImageError) -> UInt64? {
    let (first, second) = (ImageBuffer(), ImageBuffer())
    let total = max(one.sectorCount, other.sectorCount)
    var sector: UInt64 = 0
    while sector < total {
      let (oneZero, oneCount) = try zeroes(one, sector, total - sector)
      let (otherZero, otherCount) = try zeroes(other, sector, total - sector)
      var count = min(oneCount, otherCount)
      if !(oneZero && otherZero) {
        count = min(count, ImageBuffer.sectors)
        let a = try first.load(one, sector: sector, count: count)
        let b = try second.load(other, sector: sector, count: count)
        if !a.holdsTheSame(as: b) { return sector + firstDifference(a, b) }
      }
      sector += count
      progress(sector * 512, total * 512)
    }
    return nil
  }

  private static func firstDifference(
    _ a: UnsafeMutableRawBufferPointer, _ b: UnsafeMutableRawBufferPointer
  ) -> UInt64 {
    for (index, byte) in a.enumerated() where byte != b[index] { return UInt64(index / 512) }
    return 0
  }

  /// Whether `image` is known to be zeroes at `sector`, and for how many sectors that is known.
  private static func zeroes(
    _ image: any StoredImage, _ sector: UInt64, _ limit: UInt64
  ) throws(ImageError) -> (Bool, UInt64) {
    guard sector < image.sectorCount else { return (true, limit) }
    let extent = try image.resolve(
      sector: sector, limit: min(limit, image.sectorCount - sector))
    return (extent.kind == .zero, extent.count)
  }

  /// Writes what `overlay` itself holds into `base`, the image below it, and empties it.
  /// - Parameter overlay: opened without what is below it.
  static func commit(
    _ overlay: QCOW2Image, into base: any StoredImage, _ progress: Progress
  ) throws(ImageError) {
    if base.sectorCount < overlay.sectorCount { try base.resize(to: overlay.sectorCount * 512) }
    let buffer = ImageBuffer()
    var sector: UInt64 = 0
    let total = overlay.sectorCount
    while sector < total {
      let extent = try overlay.extent(sector: sector, limit: total - sector)
      var count = extent.count
      switch extent.kind {
      case .absent: break
      case .zero: try base.zero(sector: sector, count: count)
      case .data, .compressed:
        count = min(count, ImageBuffer.sectors)
        let bytes = try buffer.load(overlay, sector: sector, count: count)
        try base.write(sector: sector, count: Int(count), from: UnsafeRawBufferPointer(bytes))
      }
      sector += count
      progress(sector * 512, total * 512)
    }
    try base.flush()
    try overlay.locked { volume throws(ImageError) in try volume.makeEmpty() }
  }

  /// Copies into `overlay` what shows from below and would not if `base` were there instead.
  static func keepApart(
    _ overlay: QCOW2Image, from base: (any StoredImage)?, _ progress: Progress
  ) throws(ImageError) {
    let (old, new) = (ImageBuffer(), ImageBuffer())
    let block = try overlay.locked { volume throws(ImageError) in volume.clusterBytes / 512 }
    var sector: UInt64 = 0
    let total = overlay.sectorCount
    while sector < total {
      let extent = try overlay.extent(sector: sector, limit: total - sector)
      var count = extent.count
      if extent.kind == .absent {
        // A piece ends where a cluster does, since writing part of one brings the rest along.
        count = min(count, ImageBuffer.sectors)
        if sector + count < total && count > UInt64(block) {
          count -= (sector + count) % UInt64(block)
        }
        let shown = try old.load(overlay, sector: sector, count: count)
        let other = try new.load(base, sector: sector, count: count)
        for at in stride(from: 0, to: shown.count, by: block * 512) {
          let range = at..<min(at + block * 512, shown.count)
          let part = UnsafeMutableRawBufferPointer(rebasing: shown[range])
          guard !part.holdsTheSame(as: UnsafeMutableRawBufferPointer(rebasing: other[range]))
          else { continue }
          try overlay.write(
            sector: sector + UInt64(at / 512), count: range.count / 512,
            from: UnsafeRawBufferPointer(part))
        }
      }
      sector += count
      progress(sector * 512, total * 512)
    }
  }
}

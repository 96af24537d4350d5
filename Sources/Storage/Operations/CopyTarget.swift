/// The image that a copy becomes. Confined to the thread that writes it.
final class CopyTarget: @unchecked Sendable {
  // SAFETY: the reader uses it before the writer begins and after it has ended.
  let image: any StoredImage
  private let file: ImageFile
  private let isDurable: Bool
  /// Bytes that were written since the host was told to begin with them.
  private var waiting = 0

  /// Bytes that the host does not keep to itself: the disk is at work while the rest is read.
  private static let limit = 8 << 20

  /// - Parameter isDurable: the copy is to be on the storage in the end.
  init(_ image: any StoredImage, in file: ImageFile, isDurable: Bool) {
    self.image = image
    self.file = file
    self.isDurable = isDurable
  }

  /// Writes what is not zero in `piece`.
  func write(_ piece: CopyPiece) throws(ImageError) {
    for run in piece.found {
      let bytes = piece.bytes(of: run)
      waiting += bytes.count
      if run.isPacked, let packed = image as? QCOW2Image {
        try packed.locked { volume throws(ImageError) in
          try volume.writeCompressed(bytes, cluster: volume.cluster(at: run.sector * 512))
        }
      } else {
        // The last cluster may be part of the medium only in part.
        let left = image.sectorCount - min(run.sector, image.sectorCount)
        let count = min(UInt64(bytes.count / Sector.bytes), left)
        try image.write(sector: run.sector, count: Int(count), from: bytes)
      }
    }
    guard isDurable, waiting >= Self.limit else { return }
    waiting = 0
    file.startWriting()
  }
}

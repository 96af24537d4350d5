import Glibc
import Synchronization

/// A raw image: a file or a block device whose bytes are the medium's, from its first sector on.
///
/// While it is open for writing nobody else can open it, and while it is open for reading nobody
/// can open it for writing (``ImageLock``).
///
/// A file that does not end on a sector's border is padded: the rest of its last sector reads as
/// zeroes, and the first write there makes the file longer. Nothing of such a file is lost that way.
public final class RawImage: StoredImage {
  /// The image as it was named.
  public let path: String
  public let isReadOnly: Bool
  public var format: ImageFormat { .raw }
  public var backing: (any StoredImage)? { nil }
  private let sectors: Atomic<UInt64>
  private let bytes: Atomic<UInt64>
  private let file: any HostFile
  /// Nobody said that the image is raw: its guest must not make another format of it.
  private let wasGuessed: Bool

  /// Opens and locks `path`.
  /// - Throws: ``ImageError`` where there is no image, or none that can be used as asked.
  public convenience init(
    path: String, readOnly: Bool, cache: CacheMode = .writeback
  ) throws(ImageError) {
    let file = try ImageFile(path: path, readOnly: readOnly, cache: cache)
    _ = try Self.checkedSize(of: file)
    try ImageLock.take(file)
    try self.init(file)
  }

  /// An image in a file that is open and locked.
  /// - Parameter wasGuessed: nobody said that it is raw.
  init(_ file: any HostFile, wasGuessed: Bool = false) throws(ImageError) {
    let size = try Self.checkedSize(of: file)
    path = file.path
    self.file = file
    self.wasGuessed = wasGuessed
    isReadOnly = file.isReadOnly
    bytes = Atomic(size)
    sectors = Atomic((size + 511) / 512)
  }

  static func checkedSize(of file: any HostFile) throws(ImageError) -> UInt64 {
    let path = file.path
    let size = try file.size()
    guard size > 0 else { throw ImageError(path, .empty, "\(path) is empty: there is no image") }
    guard size <= Sector.maximumBytes else {
      throw ImageError(path, .oversized, "\(path) is larger than any disk can be")
    }
    return size
  }

  /// Makes the medium at least `count` sectors long: those beyond the file's end read as zeroes, and
  /// writing them makes the file longer.
  func pad(to count: UInt64) {
    if count > sectorCount { sectors.store(count, ordering: .relaxed) }
  }

  public var sectorCount: UInt64 { sectors.load(ordering: .relaxed) }
  /// The file's own length when it was opened or resized, in bytes.
  public var byteCount: UInt64 { bytes.load(ordering: .relaxed) }

  public func read(
    sector: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ImageError) {
    let length = count &* Sector.bytes
    guard holds(sector: sector, count: count), buffer.count >= length else {
      throw ImageError.outOfRange(path, sector: sector, count: count)
    }
    try file.load(UnsafeMutableRawBufferPointer(rebasing: buffer[..<length]), at: sector * 512)
  }

  public func write(
    sector: UInt64, count: Int, from buffer: UnsafeRawBufferPointer
  ) throws(ImageError) {
    guard !isReadOnly else { throw ImageError.readOnly(path) }
    let length = count &* Sector.bytes
    guard holds(sector: sector, count: count), buffer.count >= length else {
      throw ImageError.outOfRange(path, sector: sector, count: count)
    }
    let source = UnsafeRawBufferPointer(rebasing: buffer[..<length])
    if wasGuessed && sector == 0 && source.starts(with: QCOW2Header.magic) {
      throw ImageError(
        path, .readOnly,
        "the guest wants to make a qcow2 image of its disk \(path), whose format was guessed; "
          + "say format=raw where that is meant")
    }
    try file.store(source, at: sector * 512)
  }

  public func flush() throws(ImageError) {
    guard !isReadOnly else { return }
    try file.sync()
  }

  public var givesRoomBack: Bool { !isReadOnly && file.punches }

  public func zero(sector: UInt64, count: UInt64) throws(ImageError) {
    guard !isReadOnly else { throw ImageError.readOnly(path) }
    guard sector <= sectorCount, count <= sectorCount - sector else {
      throw ImageError.outOfRange(path, sector: sector, count: Int(clamping: count))
    }
    guard count > 0 else { return }
    if file.punch((sector * 512)..<((sector + count) * 512)) == 0 { return }
    let zeroes = [UInt8](repeating: 0, count: Int(min(count * 512, 1 << 20)))
    var at = sector
    while at < sector + count {
      let piece = min(sector + count - at, UInt64(zeroes.count / 512))
      try file.storeBytes(Array(zeroes[..<Int(piece * 512)]), at: at * 512)
      at += piece
    }
  }

  public func resize(to byteCount: UInt64) throws(ImageError) {
    guard !isReadOnly else { throw ImageError.readOnly(path) }
    guard byteCount > 0, byteCount <= Sector.maximumBytes else {
      throw ImageError(path, .oversized, "no disk has \(byteCount) bytes")
    }
    let code = file.setSize(byteCount)
    guard code == 0 else { throw ImageError.handling("resize", path, code: code) }
    bytes.store(byteCount, ordering: .relaxed)
    sectors.store((byteCount + 511) / 512, ordering: .relaxed)
  }

  /// Has `other`, an empty file, share all storage with this one.
  /// - Returns: false where the file system can't.
  func share(with other: ImageFile) -> Bool {
    guard let own = file as? ImageFile else { return false }
    return other.share(own)
  }

  public func extent(sector: UInt64, limit: UInt64) throws(ImageError) -> ImageExtent {
    guard sector < sectorCount else {
      throw ImageError.outOfRange(path, sector: sector, count: Int(clamping: limit))
    }
    let most = max(1, min(limit, sectorCount - sector))
    guard let run = file.run(at: sector * 512) else { return ImageExtent(kind: .zero, count: most) }
    // A sector of which part is data is data.
    let end = run.isData ? (run.end + 511) / 512 : run.end / 512
    if !run.isData && end > sector {
      return ImageExtent(kind: .zero, count: min(most, end - sector))
    }
    return ImageExtent(
      kind: .data, count: min(most, max(end, sector + 1) - sector), fileOffset: sector * 512)
  }
}

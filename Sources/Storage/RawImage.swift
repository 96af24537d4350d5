import Glibc

/// A raw image: a file or a block device whose bytes are the medium's, from its first sector on.
///
/// While it is open for writing nobody else can open it, and while it is open for reading nobody
/// can open it for writing: an open file description lock (fcntl(2), F_OFD_SETLK) over the whole
/// file. File systems that know no locks get none.
///
/// A file that does not end on a sector's border is padded: the rest of its last sector reads as
/// zeroes, and the first write there makes the file longer. Nothing of such a file is lost that way.
public final class RawImage: BlockImage {
  /// The image as it was named.
  public let path: String
  public let isReadOnly: Bool
  public let sectorCount: UInt64
  /// The file's own length when it was opened, in bytes.
  public let byteCount: UInt64
  private let file: ImageFile

  /// Opens and locks `path`.
  /// - Throws: ``ImageError`` where there is no image, or none that can be used as asked.
  public init(path: String, readOnly: Bool) throws(ImageError) {
    let file = try ImageFile(path: path, readOnly: readOnly)
    let bytes = try file.size()
    guard bytes > 0 else { throw ImageError(path, .empty, "\(path) is empty: there is no image") }
    guard bytes <= Self.maximumBytes else {
      throw ImageError(path, .oversized, "\(path) is larger than any disk can be")
    }
    try file.lock()
    self.path = path
    self.file = file
    isReadOnly = readOnly
    byteCount = bytes
    sectorCount = (bytes + 511) / 512
  }

  /// The image `other` with at least `sectorCount` sectors: those beyond the file's end read as
  /// zeroes, and writing them makes the file longer.
  init(_ other: RawImage, atLeast sectorCount: UInt64) {
    path = other.path
    isReadOnly = other.isReadOnly
    byteCount = other.byteCount
    file = other.file
    self.sectorCount = max(other.sectorCount, sectorCount)
  }

  /// 48-bit sector numbers, as ATA has them.
  private static let maximumBytes: UInt64 = 512 << 48

  public func read(
    sector: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ImageError) {
    let length = count &* Sector.bytes
    guard holds(sector: sector, count: count), buffer.count >= length else {
      throw ImageError.outOfRange(path, sector: sector, count: count)
    }
    var done = 0
    while done < length {
      let target = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<length])
      let got = file.read(target, at: sector * 512 + UInt64(done))
      if got < 0 {
        let at = sector + UInt64(done / 512)
        throw ImageError.transfer("read", path, sector: at, code: Int32(truncatingIfNeeded: -got))
      }
      if got == 0 {
        for index in target.indices { target[index] = 0 }
        return
      }
      done += got
    }
  }

  public func write(
    sector: UInt64, count: Int, from buffer: UnsafeRawBufferPointer
  ) throws(ImageError) {
    guard !isReadOnly else { throw ImageError(path, .readOnly, "\(path) is read-only") }
    let length = count &* Sector.bytes
    guard holds(sector: sector, count: count), buffer.count >= length else {
      throw ImageError.outOfRange(path, sector: sector, count: count)
    }
    var done = 0
    while done < length {
      let source = UnsafeRawBufferPointer(rebasing: buffer[done..<length])
      let put = file.write(source, at: sector * 512 + UInt64(done))
      if put <= 0 {
        let code = put == 0 ? ENOSPC : Int32(truncatingIfNeeded: -put)
        throw ImageError.transfer(
          "write", path, sector: sector + UInt64(done / 512), code: code)
      }
      done += put
    }
  }

  public func flush() throws(ImageError) {
    guard !isReadOnly else { return }
    let code = file.flush()
    guard code == 0 else {
      throw ImageError.transfer("flush", path, sector: 0, code: code)
    }
  }
}

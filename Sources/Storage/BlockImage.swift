/// The contents of a medium in sectors of 512 bytes, whatever the medium's own block size is: a CD's
/// block of 2048 bytes is four of them.
///
/// Requests may come from any thread; overlapping ones end in either order.
public protocol BlockImage: AnyObject, Sendable {
  /// How many sectors of 512 bytes there are.
  var sectorCount: UInt64 { get }
  /// Whether ``write(sector:count:from:)`` always fails.
  var isReadOnly: Bool { get }

  /// Reads `count` sectors from `sector` on.
  /// - Parameter buffer: at least `count` * 512 bytes.
  /// - Throws: ``ImageError``, `.outOfRange` beyond the end (nothing is read then).
  func read(
    sector: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer) throws(ImageError)

  /// Writes `count` sectors from `sector` on.
  /// - Parameter buffer: at least `count` * 512 bytes.
  /// - Throws: ``ImageError``, `.readOnly` or `.outOfRange` (nothing is written then).
  func write(sector: UInt64, count: Int, from buffer: UnsafeRawBufferPointer) throws(ImageError)

  /// Returns when all that was written has reached the host's storage.
  func flush() throws(ImageError)
}

/// Sizes that every image shares.
public enum Sector {
  /// Bytes of a ``BlockImage``'s sector.
  public static let bytes = 512
  /// Sectors of a CD's block of 2048 bytes.
  public static let perCDBlock: UInt64 = 4
  /// Bytes of the largest disk: 48-bit sector numbers, as ATA has them.
  static let maximumBytes: UInt64 = 512 << 48
}

extension BlockImage {
  /// Whether `count` sectors from `sector` on are all there.
  public func holds(sector: UInt64, count: Int) -> Bool {
    count >= 0 && sector <= sectorCount && UInt64(count) <= sectorCount - sector
  }

  /// The bytes of `count` sectors from `sector` on.
  public func bytes(sector: UInt64, count: Int = 1) throws(ImageError) -> [UInt8] {
    guard holds(sector: sector, count: count) else {
      throw ImageError.outOfRange("the image", sector: sector, count: count)
    }
    var result = [UInt8](repeating: 0, count: count * Sector.bytes)
    var failure: ImageError?
    result.withUnsafeMutableBytes { buffer in
      do throws(ImageError) { try read(sector: sector, count: count, into: buffer) } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return result
  }
}

/// A part of an image as an image of its own: the disk inside a CD that El Torito emulates.
/// It is read-only.
public final class ImageSlice: BlockImage {
  private let base: any BlockImage
  private let first: UInt64
  public let sectorCount: UInt64
  public var isReadOnly: Bool { true }

  /// At most `count` sectors of `base` from `first` on; fewer where `base` ends earlier.
  public init(of base: any BlockImage, first: UInt64, count: UInt64) {
    self.base = base
    self.first = min(first, base.sectorCount)
    sectorCount = min(count, base.sectorCount - self.first)
  }

  public func read(
    sector: UInt64, count: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(ImageError) {
    guard holds(sector: sector, count: count) else {
      throw ImageError.outOfRange("the emulated disk", sector: sector, count: count)
    }
    try base.read(sector: first + sector, count: count, into: buffer)
  }

  public func write(
    sector: UInt64, count: Int, from buffer: UnsafeRawBufferPointer
  ) throws(ImageError) {
    throw ImageError("the emulated disk", .readOnly, "a CD's emulated disk is read-only")
  }

  public func flush() throws(ImageError) {}
}

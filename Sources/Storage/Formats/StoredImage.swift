/// How an image lies in its file.
public enum ImageFormat: String, Sendable, Codable, CaseIterable {
  /// The file's bytes are the medium's.
  case raw
  /// QEMU's format with copy on write, versions 2 and 3.
  case qcow2
}

/// What is known about a run of sectors without reading them.
public struct ImageExtent: Sendable, Equatable {
  /// Where the contents come from.
  public enum Kind: String, Sendable, Codable {
    case data
    case compressed
    /// Zeroes, whatever is below.
    case zero
    /// Nothing here: what is below shows, or zeroes.
    case absent
  }

  public let kind: Kind
  /// How many sectors of 512 bytes there are of it, at least 1.
  public let count: UInt64
  /// The byte of the file at which ``Kind/data`` lies.
  public let fileOffset: UInt64?

  public init(kind: Kind, count: UInt64, fileOffset: UInt64? = nil) {
    self.kind = kind
    self.count = count
    self.fileOffset = fileOffset
  }
}

/// An image in a file of the host, in one of the formats.
public protocol StoredImage: BlockImage {
  /// The image as it was named.
  var path: String { get }
  var format: ImageFormat { get }
  /// Bytes of the medium, as the image says; the last sector may be part of them only in part.
  var byteCount: UInt64 { get }
  /// What shows where this image has nothing; nil where that is zeroes.
  var backing: (any StoredImage)? { get }

  /// Whether ``zero(sector:count:)`` gives room back, and takes little time for that.
  var givesRoomBack: Bool { get }

  /// Makes `count` sectors read as zeroes, and gives back what room of the host they took.
  func zero(sector: UInt64, count: UInt64) throws(ImageError)
  /// Changes the medium's size. What is new reads as zeroes.
  func resize(to byteCount: UInt64) throws(ImageError)
  /// What is at `sector`, and for how many sectors, `limit` (at least 1) at most.
  func extent(sector: UInt64, limit: UInt64) throws(ImageError) -> ImageExtent
}

extension StoredImage {
  /// This image, the one below it, and so on.
  public var chain: [any StoredImage] {
    var images: [any StoredImage] = [self]
    while let next = images.last?.backing { images.append(next) }
    return images
  }
}

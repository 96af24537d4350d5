import Glibc

/// What an image says about itself, found out without opening anything below it.
public struct ImageInspection: Sendable, Codable, Equatable {
  public let path: String
  public let format: ImageFormat
  /// Bytes of the medium.
  public let virtualSize: UInt64
  /// Bytes that the file takes on the host.
  public let allocatedSize: UInt64
  /// The backing file as the image names it, and where that is.
  public let backing: String?
  public let backingPath: String?
  public let backingFormat: String?
  /// What follows is qcow2's.
  public let version: UInt32?
  public let clusterBytes: Int?
  public let compression: String?
  public let refcountBits: Int?
  public let snapshotCount: UInt32?
  /// The refcounts were left behind; the next who writes counts anew.
  public let isDirty: Bool?
  /// A program found it damaged.
  public let isMarkedCorrupt: Bool?

  /// - Parameter format: nil where the contents tell.
  public init(path: String, format: ImageFormat? = nil) throws(ImageError) {
    let file = try ImageFile(path: path, readOnly: true)
    let size = try file.size()
    let known: ImageFormat
    if let format { known = format } else { known = try DiskImage.probe(file) }
    var status = stat()
    fstat(file.descriptor, &status)
    allocatedSize = UInt64(max(0, status.st_blocks)) * 512
    self.path = path
    self.format = known
    guard known == .qcow2 else {
      virtualSize = size
      (backing, backingPath, backingFormat, compression) = (nil, nil, nil, nil)
      (version, clusterBytes, refcountBits, snapshotCount) = (nil, nil, nil, nil)
      (isDirty, isMarkedCorrupt) = (nil, nil)
      return
    }
    let header = try QCOW2Header(file)
    virtualSize = header.size
    backing = header.backingName
    backingPath = header.backingName.map { BackingName.resolve($0, beside: path) }
    backingFormat = header.backingFormat
    version = header.version
    clusterBytes = header.clusterBytes
    compression = header.compression == .zstd ? "zstd" : "zlib"
    refcountBits = 1 << header.refcountOrder
    snapshotCount = header.snapshotCount
    isDirty = header.incompatible & QCOW2Feature.dirty != 0
    isMarkedCorrupt = header.incompatible & QCOW2Feature.corrupt != 0
  }
}

extension DiskImage {
  /// The internal snapshots of the image at `path`; none where it is raw.
  public static func snapshots(path: String) throws(ImageError) -> [QCOW2Snapshot] {
    let file = try ImageFile(path: path, readOnly: true)
    guard try probe(file) == .qcow2 else { return [] }
    return try QCOW2Snapshot.all(file, QCOW2Header(file)).snapshots
  }

  /// Opens the image at `path` as its internal snapshot `snapshot`, an identifier or a name, kept it.
  public static func open(
    path: String, snapshot: String
  ) throws(ImageError) -> any StoredImage {
    let image = try open(path: path, readOnly: true)
    guard let image = image as? QCOW2Image else {
      throw ImageError(path, .notAnImage, "\(path) has no snapshots")
    }
    let all = try image.snapshots()
    guard
      let wanted = all.first(where: { $0.id == snapshot })
        ?? all.first(where: { $0.name == snapshot })
    else { throw ImageError(path, .missing, "\(path) has no snapshot \"\(snapshot)\"") }
    try image.locked { volume throws(ImageError) in try volume.show(wanted) }
    return image
  }
}

/// What a new qcow2 image is to be.
public struct QCOW2Options: Sendable {
  /// Bytes of the medium, a multiple of 512.
  public var size: UInt64
  /// 512 bytes to 2 MiB, a power of two.
  public var clusterBytes = 65536
  /// 2 or 3.
  public var version: UInt32 = 3
  /// Compressed clusters are zstd's instead of zlib's.
  public var usesZstd = false
  /// The name of the backing file as the image has it, relative to the image's folder.
  public var backing: String?
  public var backingFormat: ImageFormat?

  public init(size: UInt64) { self.size = size }
}

extension QCOW2Header {
  /// The header of a new image, and where its tables lie.
  init(_ options: QCOW2Options, path: String) throws(ImageError) {
    guard options.size > 0, options.size <= Sector.maximumBytes, options.size % 512 == 0 else {
      throw ImageError(
        path, .oversized, "no disk has \(options.size) bytes: sectors have 512 each")
    }
    guard (512...(2 << 20)).contains(options.clusterBytes),
      options.clusterBytes & (options.clusterBytes - 1) == 0
    else {
      throw ImageError(
        path, .unsupported,
        "clusters have 512 bytes to 2 MiB, a power of two, not "
          + "\(options.clusterBytes)")
    }
    version = options.version
    clusterBits = options.clusterBytes.trailingZeroBitCount
    size = options.size
    compression = options.usesZstd ? .zstd : .deflate
    if options.usesZstd { incompatible |= QCOW2Feature.compressionType }
    backingName = options.backing
    backingFormat = options.backingFormat?.rawValue
    let entries = l1Entries(for: size)
    guard entries * 8 <= Self.maximumL1Bytes else {
      throw ImageError(
        path, .oversized,
        "clusters of \(options.clusterBytes) bytes are too small for \(size) bytes")
    }
    l1Count = UInt32(entries)
    refcountTableClusters = 1
    refcountTableOffset = UInt64(clusterBytes)
    l1Offset = UInt64(clusterBytes) * UInt64(2 + firstBlocks)
  }

  /// Clusters of the L1 table.
  private var l1Clusters: Int { (Int(l1Count) * 8 + clusterBytes - 1) / clusterBytes }

  /// The refcount blocks that a new image needs.
  private var firstBlocks: Int {
    var blocks = 1
    while (2 + blocks + l1Clusters) > blocks << refcountBlockBits { blocks += 1 }
    return blocks
  }

  /// Writes a new image with this header into `file`, which is empty.
  func create(in file: any HostFile) throws(ImageError) {
    let bytes = encoded()
    guard bytes.count <= clusterBytes, (backingName?.utf8.count ?? 0) <= Self.maximumBackingName
    else {
      throw ImageError(
        file.path, .badBacking, "the name of the backing file is too long for \(file.path)")
    }
    let clusters = 2 + firstBlocks + l1Clusters
    guard firstBlocks * 8 <= clusterBytes else {
      throw ImageError(
        file.path, .oversized,
        "clusters of \(clusterBytes) bytes are too small for \(size) bytes")
    }
    var table = [UInt8](repeating: 0, count: firstBlocks * 8)
    for block in 0..<firstBlocks {
      table.setBig(UInt64((2 + block) << clusterBits), at: block * 8)
      let first = block << refcountBlockBits
      let used = min(max(0, clusters - first), 1 << refcountBlockBits)
      // Entries of 16 bits, as every new image has them.
      let counts = (0..<used).flatMap { _ in [0, 1] as [UInt8] }
      try file.storeBytes(counts, at: UInt64((2 + block) << clusterBits))
    }
    try file.storeBytes(table, at: refcountTableOffset)
    try file.storeBytes(bytes, at: 0)
    let code = file.setSize(UInt64(clusters << clusterBits))
    guard code == 0 else { throw ImageError.handling("make", file.path, code: code) }
  }
}

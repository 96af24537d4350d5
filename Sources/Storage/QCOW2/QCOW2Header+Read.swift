extension QCOW2Header {
  /// Reads and checks the header of `file`.
  /// - Throws: ``ImageError``: what is wrong, and where.
  init(_ file: any HostFile) throws(ImageError) {
    let path = file.path
    let fileBytes = try file.size()
    let bytes = try file.loadBytes(4096, at: 0)
    guard bytes.starts(with: Self.magic) else {
      throw ImageError(path, .notAnImage, "\(path) is no qcow2 image")
    }
    version = bytes.big32(QCOW2Field.version)
    guard version == 2 || version == 3 else {
      throw ImageError.unsupported(path, "is qcow2 version \(version); versions 2 and 3 are read")
    }
    guard fileBytes >= UInt64(Self.version2Bytes) else {
      throw ImageError.damaged(path, "it ends within its header")
    }
    readCommon(bytes)
    if version == 3 { try readVersion3(bytes, path) } else { headerBytes = 72 }
    try check(path, fileBytes, clusterBits: bytes.big32(QCOW2Field.clusterBits))
    clusterBits = Int(bytes.big32(QCOW2Field.clusterBits))
    let whole = try file.loadBytes(clusterBytes, at: 0)
    try readExtensions(whole, path)
    try checkFeatures(path)
    try checkTables(path, fileBytes)
    try readBackingName(whole, path)
  }

  private mutating func readCommon(_ bytes: [UInt8]) {
    backingOffset = bytes.big64(QCOW2Field.backingOffset)
    size = bytes.big64(QCOW2Field.size)
    encryption = bytes.big32(QCOW2Field.encryption)
    l1Count = bytes.big32(QCOW2Field.l1Count)
    l1Offset = bytes.big64(QCOW2Field.l1Offset)
    refcountTableOffset = bytes.big64(QCOW2Field.refcountTableOffset)
    refcountTableClusters = bytes.big32(QCOW2Field.refcountTableClusters)
    snapshotCount = bytes.big32(QCOW2Field.snapshotCount)
    snapshotsOffset = bytes.big64(QCOW2Field.snapshotsOffset)
  }

  private mutating func readVersion3(_ bytes: [UInt8], _ path: String) throws(ImageError) {
    incompatible = bytes.big64(QCOW2Field.incompatible)
    compatible = bytes.big64(QCOW2Field.compatible)
    autoclear = bytes.big64(QCOW2Field.autoclear)
    headerBytes = bytes.big32(QCOW2Field.headerBytes)
    let order = bytes.big32(QCOW2Field.refcountOrder)
    guard order <= 6 else {
      throw ImageError.damaged(path, "its refcount order is \(order), which may be 0 to 6")
    }
    refcountOrder = Int(order)
    guard headerBytes >= UInt32(Self.version3Bytes), headerBytes % 8 == 0 else {
      throw ImageError.damaged(path, "its header says that it has \(headerBytes) bytes")
    }
    guard headerBytes > UInt32(QCOW2Field.compression) else { return }
    let type = bytes[QCOW2Field.compression]
    guard let known = Compression(rawValue: type) else {
      throw ImageError.unsupported(path, "has compression type \(type), which is not read here")
    }
    compression = known
  }

  private func check(
    _ path: String, _ fileBytes: UInt64, clusterBits: UInt32
  ) throws(ImageError) {
    guard (9...21).contains(clusterBits) else {
      throw ImageError.damaged(
        path, "its clusters have 2^\(clusterBits) bytes; 2^9 to 2^21 are possible")
    }
    guard headerBytes <= UInt32(1) << clusterBits else {
      throw ImageError.damaged(
        path, "its header says that it has \(headerBytes) bytes, more than a cluster")
    }
    guard size <= Sector.maximumBytes else {
      throw ImageError(
        path, .oversized, "\(path) says that its disk has \(size) bytes, more than any disk can")
    }
    guard encryption == 0 else {
      let method = encryption == 1 ? "AES" : encryption == 2 ? "LUKS" : "method \(encryption)"
      throw ImageError.unsupported(path, "is encrypted (\(method)), which is not read here")
    }
  }

  private func checkFeatures(_ path: String) throws(ImageError) {
    let unknown = incompatible & ~QCOW2Feature.supported
    guard unknown == 0 else {
      let names = QCOW2Feature.names(unknown, table: featureNames).joined(separator: ", ")
      throw ImageError.unsupported(
        path, "needs the qcow2 feature \(names), which is not supported here")
    }
    let differs = incompatible & QCOW2Feature.compressionType != 0
    guard differs == (compression != .deflate) else {
      throw ImageError.damaged(
        path, "its compression type and the feature bit for it contradict each other")
    }
  }

  private func checkTables(_ path: String, _ fileBytes: UInt64) throws(ImageError) {
    func table(_ name: String, _ offset: UInt64, bytes: UInt64, limit: UInt64) throws(ImageError) {
      guard bytes <= limit else {
        throw ImageError.damaged(path, "its \(name) has \(bytes) bytes, more than \(limit)")
      }
      guard offset % UInt64(clusterBytes) == 0 else {
        throw ImageError.damaged(path, "its \(name) at byte \(offset) is within a cluster")
      }
      guard bytes == 0 || (offset > 0 && offset < fileBytes && bytes <= fileBytes &+ (1 << 21))
      else {
        throw ImageError.damaged(
          path, "its \(name) at byte \(offset) lies beyond its end at \(fileBytes)")
      }
    }
    try table("L1 table", l1Offset, bytes: UInt64(l1Count) * 8, limit: Self.maximumL1Bytes)
    try table(
      "refcount table", refcountTableOffset,
      bytes: UInt64(refcountTableClusters) << UInt64(clusterBits),
      limit: Self.maximumRefcountTableBytes)
    guard refcountTableClusters > 0 else {
      throw ImageError.damaged(path, "it has no refcount table")
    }
    guard l1Entries(for: size) <= UInt64(l1Count) else {
      throw ImageError.damaged(
        path, "its L1 table has \(l1Count) entries where its size needs \(l1Entries(for: size))")
    }
    guard snapshotCount <= Self.maximumSnapshots else {
      throw ImageError.damaged(path, "it says that it has \(snapshotCount) snapshots")
    }
    guard
      snapshotCount == 0
        || (snapshotsOffset % UInt64(clusterBytes) == 0 && snapshotsOffset > 0
          && snapshotsOffset < fileBytes)
    else {
      throw ImageError.damaged(path, "its snapshots at byte \(snapshotsOffset) can't be there")
    }
  }

  private mutating func readExtensions(_ bytes: [UInt8], _ path: String) throws(ImageError) {
    var at = Int(headerBytes)
    let end = backingOffset != 0 ? min(bytes.count, Int(clamping: backingOffset)) : bytes.count
    while at <= end - 8 {
      let type = bytes.big32(at)
      let length = Int(bytes.big32(at + 4))
      at += 8
      if type == QCOW2Extension.end { return }
      guard length <= end - at else {
        throw ImageError.damaged(
          path,
          "its header extension \(String(type, radix: 16)) at byte \(at - 8) has \(length) "
            + "bytes, more than there are")
      }
      let data = Array(bytes[at..<(at + length)])
      switch type {
      case QCOW2Extension.backingFormat: backingFormat = String(decoding: data, as: UTF8.self)
      case QCOW2Extension.featureNames: featureNames = Self.names(data)
      case QCOW2Extension.bitmaps: bitmaps = QCOW2Bitmaps(data)
      default: break
      }
      at += (length + 7) / 8 * 8
    }
  }

  /// A table of features: 48 bytes each, kind, bit, name with zeroes behind.
  private static func names(_ data: [UInt8]) -> [QCOW2Feature] {
    stride(from: 0, to: data.count - 47, by: 48).compactMap { at in
      guard let kind = QCOW2Feature.Kind(rawValue: data[at]) else { return nil }
      let letters = data[(at + 2)..<(at + 48)].prefix { $0 != 0 }
      // The name goes into messages.
      let printable = letters.map { (0x20..<0x7F).contains($0) ? $0 : 0x3F }
      return QCOW2Feature(
        kind: kind, bit: data[at + 1], name: String(decoding: printable, as: UTF8.self))
    }
  }

  private mutating func readBackingName(_ bytes: [UInt8], _ path: String) throws(ImageError) {
    guard backingOffset != 0 else { return }
    let length = bytes.big32(QCOW2Field.backingSize)
    guard length > 0, length <= UInt32(Self.maximumBackingName),
      backingOffset <= UInt64(bytes.count) - UInt64(length)
    else {
      throw ImageError.damaged(
        path,
        "the name of its backing file, \(length) bytes at byte \(backingOffset), is not "
          + "within its first cluster")
    }
    let start = Int(backingOffset)
    let name = bytes[start..<(start + Int(length))]
    guard !name.contains(0) else {
      throw ImageError.damaged(path, "the name of its backing file has a zero byte")
    }
    backingName = String(decoding: name, as: UTF8.self)
  }
}

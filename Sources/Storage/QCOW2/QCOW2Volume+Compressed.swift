extension QCOW2Volume {
  /// Stores the packed contents of `cluster` of the medium behind what was packed before it.
  func writeCompressed(_ packed: UnsafeRawBufferPointer, cluster: UInt64) throws(ImageError) {
    try beginChanges()
    guard let refcounts else { throw ImageError.readOnly(file.path) }
    let table = try tableForWriting(cluster)
    let slot = try slot(of: cluster, in: table)
    isUnflushed = true
    let start = try placeForPacked(packed.count, refcounts)
    try file.store(packed, at: start)
    setEntry(
      cluster, in: slot,
      to: L2Entry.packed(offset: start, count: packed.count, clusterBits: header.clusterBits).raw)
    packedEnd = start + UInt64(packed.count)
  }

  /// Where `count` bytes of packed data go: behind what was packed before them, into the next cluster,
  /// too, where that lies behind. Clusters are shared as far as their counts reach.
  private func placeForPacked(
    _ count: Int, _ refcounts: QCOW2Refcounts
  ) throws(ImageError) -> UInt64 {
    let room = Int(truncatingIfNeeded: (~packedEnd &+ 1) & UInt64(clusterBytes - 1))
    guard packedEnd != 0, room > 0 else { return try newCluster(refcounts) }
    let shared = self.cluster(at: packedEnd)
    let users = try refcounts.count(of: shared)
    guard users < refcounts.maximum else { return try newCluster(refcounts) }
    if count > room {
      let new = try newCluster(refcounts)
      guard self.cluster(at: new) == shared + 1 else { return new }
    }
    try refcounts.setCount(of: shared, to: users + 1)
    return packedEnd
  }

  private func newCluster(_ refcounts: QCOW2Refcounts) throws(ImageError) -> UInt64 {
    try allocateAtEnd(1, refcounts).first << clusterBits
  }

  /// Makes everything absent, so that only what is below shows.
  func makeEmpty() throws(ImageError) {
    try beginChanges()
    let span = UInt64(1) << UInt64(header.l2Bits)
    for number in l1.indices where L2Entry(raw: l1[number]).offset != 0 {
      var cluster = UInt64(number) * span
      while cluster < UInt64(number + 1) * span {
        let table = try tableForWriting(cluster)
        let slot = try slot(of: cluster, in: table)
        let count = UInt64(entriesLeft(from: cluster))
        for next in cluster..<(cluster + count) { setEntry(next, in: slot, to: 0) }
        cluster += count
        if released.count > Self.releaseLimit { try commit() }
      }
    }
    try flush()
  }

  /// Names another backing file, or none.
  ///
  /// The new name goes where the old one is not, and then the header's first sector changes.
  func setBacking(_ name: String?, format: ImageFormat?) throws(ImageError) {
    try flush()
    var whole = try file.loadBytes(clusterBytes, at: 0)
    var fields = Array(whole[..<Int(header.headerBytes)])
    var extensions: [UInt8] = []
    if let format, name != nil {
      extensions += QCOW2Header.block(QCOW2Extension.backingFormat, Array(format.rawValue.utf8))
    }
    extensions += header.otherExtensions(whole) + QCOW2Header.block(QCOW2Extension.end, [])
    let end = fields.count + extensions.count
    let old = backingNameRange(whole)
    let new = Array((name ?? "").utf8)
    var place = max(end, clusterBytes > 1024 ? Sector.bytes : end)
    if place < old.upperBound && place + new.count > old.lowerBound && clusterBytes > 4096 {
      place = (old.upperBound + Sector.bytes - 1) / Sector.bytes * Sector.bytes
    }
    guard place + new.count <= clusterBytes, new.count <= QCOW2Header.maximumBackingName else {
      throw ImageError(
        file.path, .badBacking, "\(file.path) has no room for so long a name below it")
    }
    if !new.isEmpty && place >= Sector.bytes {
      try file.storeBytes(new, at: UInt64(place))
      try file.sync()
    }
    fields.setBig(UInt64(new.isEmpty ? 0 : place), at: QCOW2Field.backingOffset)
    fields.setBig(UInt32(new.count), at: QCOW2Field.backingSize)
    whole.replaceSubrange(0..<end, with: fields + extensions)
    if place < Sector.bytes { whole.replaceSubrange(place..<(place + new.count), with: new) }
    let length = max(Sector.bytes, (end + Sector.bytes - 1) / Sector.bytes * Sector.bytes)
    // What follows the extensions in their last sector may be the old name, which nothing names.
    if place >= Sector.bytes && place < length {
      whole.replaceSubrange(place..<(place + new.count), with: new)
    }
    try file.storeBytes(Array(whole[..<min(length, clusterBytes)]), at: 0)
    try file.sync()
    header.backingName = name
    header.backingFormat = format?.rawValue
  }

  private func backingNameRange(_ bytes: [UInt8]) -> Range<Int> {
    let start = Int(clamping: bytes.big64(QCOW2Field.backingOffset))
    let count = Int(bytes.big32(QCOW2Field.backingSize))
    return start..<(start &+ count)
  }
}

extension QCOW2Header {
  /// The header extensions in `bytes` as they are, but for the backing file's format and the names of
  /// features, which nothing needs.
  func otherExtensions(_ bytes: [UInt8]) -> [UInt8] {
    var kept: [UInt8] = []
    var at = Int(headerBytes)
    let end = backingOffset != 0 ? min(bytes.count, Int(clamping: backingOffset)) : bytes.count
    while at <= end - 8 {
      let type = bytes.big32(at)
      let length = 8 + (Int(bytes.big32(at + 4)) + 7) / 8 * 8
      guard type != QCOW2Extension.end, length <= end - at else { break }
      if type != QCOW2Extension.backingFormat && type != QCOW2Extension.featureNames {
        kept += bytes[at..<(at + length)]
      }
      at += length
    }
    return kept
  }
}

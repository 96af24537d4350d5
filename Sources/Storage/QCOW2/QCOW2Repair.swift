/// Puts the refcounts of an image right by what refers to its clusters.
enum QCOW2Repair {
  /// Counts anew what was left behind when the image was last open, and clears the mark for that.
  static func recount(_ file: any HostFile, _ header: inout QCOW2Header) throws(ImageError) {
    let checker = try QCOW2Checker.check(file, header)
    guard !checker.sharesBlocks else {
      throw ImageError.damaged(
        file.path, "its refcounts were left behind, and blocks of them stand for several places")
    }
    let volume = try QCOW2Volume(file, header, backing: nil)
    try apply(checker, to: volume, raising: true)
    var changed = volume.header
    changed.incompatible &= ~QCOW2Feature.dirty
    try changed.update(in: file)
    try file.sync()
    header = changed
  }

  /// Counts clusters as free that nothing refers to.
  /// - Returns: how many there were.
  static func freeLeaks(
    _ file: any HostFile, _ header: QCOW2Header, _ found: QCOW2Checker
  ) throws(ImageError) -> UInt64 {
    // What else is kept beside is not known, and its clusters are among the leaks. Bitmaps stay.
    var changed = header
    changed.autoclear &= QCOW2Feature.bitmaps
    if changed != header {
      try changed.update(in: file)
      try file.sync()
    }
    let volume = try QCOW2Volume(file, changed, backing: nil)
    return try apply(found, to: volume, raising: false)
  }

  @discardableResult
  private static func apply(
    _ found: QCOW2Checker, to volume: QCOW2Volume, raising: Bool
  ) throws(ImageError) -> UInt64 {
    guard let refcounts = volume.refcounts else { throw ImageError.readOnly(volume.file.path) }
    let (references, end) = (found.references, found.countedEnd)
    var lowered: UInt64 = 0
    for (number, offset) in refcounts.table.enumerated() where offset != 0 {
      let first = UInt64(number) << UInt64(refcounts.blockBits)
      // Where the file has a hole all counts are zero.
      guard first < end, !volume.file.isHole(offset..<(offset + UInt64(volume.clusterBytes))) else {
        continue
      }
      for cluster in first..<min(end, first + 1 << UInt64(refcounts.blockBits)) {
        let uses = references.count(of: cluster)
        guard try refcounts.count(of: cluster) > uses else { continue }
        try refcounts.setCount(of: cluster, to: uses)
        lowered += 1
      }
    }
    if raising { try raise(references, volume, refcounts) }
    try volume.flush()
    return lowered
  }

  /// Clusters that are in use are counted as often as they are; where they have no refcount block they
  /// get one.
  private static func raise(
    _ references: ReferenceCounts, _ volume: QCOW2Volume, _ refcounts: QCOW2Refcounts
  ) throws(ImageError) {
    volume.allocator.tail = max(volume.allocator.tail, references.end)
    // First those that are there: what is made new goes where nothing is.
    for hasBlock in [true, false] {
      for cluster in references.used {
        guard refcounts.hasBlock(for: cluster) == hasBlock || !hasBlock else { continue }
        if !refcounts.hasBlock(for: cluster) { try volume.addRefcountBlock(for: cluster) }
        let uses = references.count(of: cluster)
        if try refcounts.count(of: cluster) < uses { try refcounts.setCount(of: cluster, to: uses) }
      }
    }
  }
}

extension QCOW2Volume {
  /// Makes a refcount block for `cluster`, which lies before the end and has none.
  func addRefcountBlock(for cluster: UInt64) throws(ImageError) {
    guard let refcounts else { throw ImageError.readOnly(file.path) }
    let place = try allocateAtEnd(1, refcounts)
    guard !refcounts.isBeyondTable(cluster) else {
      throw damaged("its refcount table does not reach its clusters")
    }
    // Making room may have made just this block.
    guard !refcounts.hasBlock(for: cluster) else { return giveBack(place) }
    if !place.isUntouched { try writeZeroes(at: place.first << clusterBits) }
    refcounts.addBlock(at: place.first << clusterBits, for: cluster)
    fixed.insert(place.first)
  }
}

/// Puts the refcounts of an image right by what refers to its clusters.
enum QCOW2Repair {
  /// Counts anew what was left behind when the image was last open, and clears the mark for that.
  static func recount(_ file: any HostFile, _ header: inout QCOW2Header) throws(ImageError) {
    let checker = try QCOW2Checker.check(file, header)
    let volume = try QCOW2Volume(file, header, backing: nil)
    try apply(checker.references, to: volume, raising: true)
    var changed = volume.header
    changed.incompatible &= ~QCOW2Feature.dirty
    try changed.update(in: file)
    try file.sync()
    header = changed
  }

  /// Counts clusters as free that nothing refers to.
  /// - Returns: how many there were.
  static func freeLeaks(
    _ file: any HostFile, _ header: QCOW2Header, _ references: ReferenceCounts
  ) throws(ImageError) -> UInt64 {
    guard header.autoclear == 0 else {
      throw ImageError.unsupported(
        file.path, "has bitmaps, whose clusters are not known here; qemu-img repairs it")
    }
    let volume = try QCOW2Volume(file, header, backing: nil)
    return try apply(references, to: volume, raising: false)
  }

  @discardableResult
  private static func apply(
    _ references: ReferenceCounts, to volume: QCOW2Volume, raising: Bool
  ) throws(ImageError) -> UInt64 {
    guard let refcounts = volume.refcounts else { throw ImageError.readOnly(volume.file.path) }
    var lowered: UInt64 = 0
    for (number, offset) in refcounts.table.enumerated() where offset != 0 {
      let first = UInt64(number) << UInt64(refcounts.blockBits)
      for cluster in first..<(first + 1 << UInt64(refcounts.blockBits)) {
        let count = try refcounts.count(of: cluster)
        let uses = references.count(of: cluster)
        if count > uses {
          try refcounts.setCount(of: cluster, to: uses)
          lowered += 1
        } else if count < uses && raising {
          try refcounts.setCount(of: cluster, to: uses)
        }
      }
    }
    if raising { try raise(references, volume, refcounts) }
    try volume.flush()
    return lowered
  }

  /// Clusters that are in use and have no refcount block get one.
  private static func raise(
    _ references: ReferenceCounts, _ volume: QCOW2Volume, _ refcounts: QCOW2Refcounts
  ) throws(ImageError) {
    volume.allocator.tail = max(volume.allocator.tail, references.end)
    for cluster in references.used where !refcounts.hasBlock(for: cluster) {
      try volume.addRefcountBlock(for: cluster)
      let first = (cluster >> UInt64(refcounts.blockBits)) << UInt64(refcounts.blockBits)
      for other in first..<(first + 1 << UInt64(refcounts.blockBits)) {
        let uses = references.count(of: other)
        if try uses > refcounts.count(of: other) { try refcounts.setCount(of: other, to: uses) }
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

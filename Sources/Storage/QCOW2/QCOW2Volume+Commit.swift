extension QCOW2Volume {
  /// A release of more clusters is not kept waiting.
  static let releaseLimit = 8192

  /// Brings the tables to the file, in the order that the type describes. What they say is on the
  /// storage after the next flush.
  func commit() throws(ImageError) {
    guard let refcounts else { return }
    if let failure { throw failure }
    try finishTableMove()
    if refcounts.isDirty {
      isUnflushed = true
      try refcounts.writeBack()
    }
    guard tables.dirtyCount > 0 || !dirtyL1Sectors.isEmpty else {
      return try applyReleases()
    }
    let mask = ~UInt64(clusterBytes - 1)
    try tables.writeBack { newTables.contains($0 & mask) }
    try barrier()
    isUnflushed = true
    try tables.writeBack()
    try writeL1()
    newTables = []
    try applyReleases()
  }

  /// Whether tables in memory differ from the file's.
  var isDirty: Bool {
    tables.dirtyCount > 0 || !dirtyL1Sectors.isEmpty || !released.isEmpty
      || refcounts?.isDirty == true
  }

  /// Returns when all that was written is on the storage.
  func flush() throws(ImageError) {
    try commit()
    if isUnflushed { try barrier() }
  }

  private func barrier() throws(ImageError) {
    try file.sync()
    isUnflushed = false
  }

  private func writeL1() throws(ImageError) {
    for sector in dirtyL1Sectors.sorted() {
      let first = sector * Sector.bytes / 8
      var bytes = [UInt8](repeating: 0, count: min(Sector.bytes, (l1.count - first) * 8))
      for index in 0..<(bytes.count / 8) { bytes.setBig(l1[first + index], at: index * 8) }
      try file.storeBytes(bytes, at: header.l1Offset + UInt64(sector * Sector.bytes))
    }
    dirtyL1Sectors = []
  }

  /// Lowers the counts of clusters that are no longer named, now that the tables say so in the file,
  /// and gives those that nobody uses back to the host.
  private func applyReleases() throws(ImageError) {
    guard !released.isEmpty, let refcounts else { return }
    if isUnflushed { try barrier() }
    let all = released.sorted()
    released = []
    var free: Range<UInt64>?
    for cluster in all {
      let count = try refcounts.count(of: cluster)
      // A count of 0 for what was in use: a damaged image, which does not get better by this.
      guard count > 0 else { continue }
      try refcounts.setCount(of: cluster, to: count - 1)
      guard count == 1, !fixed.overlaps(cluster..<(cluster + 1)) else { continue }
      allocator.scan = min(allocator.scan, cluster)
      if let run = free, run.upperBound == cluster {
        free = run.lowerBound..<(cluster + 1)
      } else {
        punch(free)
        free = cluster..<(cluster + 1)
      }
    }
    punch(free)
  }

  private func punch(_ clusters: Range<UInt64>?) {
    guard let clusters else { return }
    // A host that can't do so keeps the room, and nothing else is different.
    _ = file.punch((clusters.lowerBound << clusterBits)..<(clusters.upperBound << clusterBits))
  }

  /// Takes one user from the clusters of `entry`, once the tables on the storage do without it.
  func release(_ entry: L2Entry) {
    if entry.isCompressed {
      let (offset, count) = entry.packed(clusterBits: header.clusterBits)
      released += clusters(offset, UInt64(count))
    } else if entry.offset != 0 {
      released.append(cluster(at: entry.offset))
    }
  }

  /// Before the first change: what other programs keep beside, and only they keep up to date, is
  /// declared outdated.
  func beginChanges() throws(ImageError) {
    if let failure { throw failure }
    guard !hasBegun else { return }
    if header.autoclear != 0 {
      var changed = header
      changed.autoclear = 0
      try changed.update(in: file)
      try file.sync()
      header = changed
    }
    hasBegun = true
  }
}

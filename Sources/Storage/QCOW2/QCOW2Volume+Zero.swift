extension QCOW2Volume {
  /// Makes the medium's bytes from `offset` on read as zeroes; clusters that are zeroes as a whole
  /// are given back.
  func zero(_ offset: UInt64, count: UInt64) throws(ImageError) {
    try beginChanges()
    let end = offset + count
    var place = offset
    while place < end {
      let cluster = cluster(at: place)
      let clusterEnd = (cluster + 1) << clusterBits
      // The last cluster of a medium may be part of it only in part.
      let isWhole =
        place == cluster << clusterBits && (end >= clusterEnd || end >= header.size)
      if isWhole {
        place = try zeroClusters(cluster, until: end) << clusterBits
      } else {
        let length = min(end, clusterEnd) - place
        try zeroPart(place, Int(length))
        place += length
      }
      if released.count > Self.releaseLimit { try commit() }
    }
  }

  private func zeroPart(_ place: UInt64, _ count: Int) throws(ImageError) {
    let run = try run(at: cluster(at: place), limit: 1)
    if run.kind == .zero || (run.kind == .absent && !reachesBelow(cluster(at: place))) { return }
    let zeroes = [UInt8](repeating: 0, count: count)
    var failure: ImageError?
    zeroes.withUnsafeBytes { bytes in
      do throws(ImageError) { try write(bytes, at: place) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Makes clusters zeroes, from `cluster` on as far as their entries lie together.
  /// - Returns: the first cluster that was left out.
  private func zeroClusters(_ cluster: UInt64, until end: UInt64) throws(ImageError) -> UInt64 {
    // The medium's last cluster is a whole one.
    let limit = (end >= header.size ? end + UInt64(clusterBytes) - 1 : end) >> clusterBits
    if try tableOffset(of: cluster) == 0 && !reachesBelow(cluster) {
      let span = UInt64(1) << UInt64(header.l2Bits)
      return min(limit, (cluster / span + 1) * span)
    }
    if header.version < 3 && reachesBelow(cluster) {
      try zeroPart(cluster << clusterBits, clusterBytes)
      return cluster + 1
    }
    let table = try tableForWriting(cluster)
    let slot = try slot(of: cluster, in: table)
    let count = min(limit - cluster, UInt64(entriesLeft(from: cluster)))
    for next in cluster..<(cluster + count) {
      if header.version < 3 && reachesBelow(next) { return next }
      setEntry(next, in: slot, to: reachesBelow(next) ? L2Entry.zero : 0)
    }
    return cluster + count
  }

  // MARK: Size

  /// Changes the medium's size to `bytes`.
  func resize(to bytes: UInt64) throws(ImageError) {
    try beginChanges()
    guard bytes > 0, bytes <= Sector.maximumBytes, bytes % 512 == 0 else {
      throw ImageError(
        file.path, .oversized, "no disk has \(bytes) bytes: sectors have 512 each")
    }
    let old = header.size
    if bytes < old {
      // What is cut off must not come back when the medium grows again.
      let mask = UInt64(clusterBytes - 1)
      let wholeEnd = (bytes + mask) & ~mask
      if wholeEnd < old { try zero(wholeEnd, count: old - wholeEnd) }
    } else {
      try growL1(to: header.l1Entries(for: bytes))
      try zeroNew(from: old, to: bytes)
    }
    try flush()
    var changed = header
    changed.size = bytes
    try changed.update(in: file)
    try file.sync()
    header = changed
  }

  /// Before a medium grows: the rest of its last cluster, and what is below beyond its end, must
  /// not show.
  private func zeroNew(from old: UInt64, to new: UInt64) throws(ImageError) {
    let mask = UInt64(clusterBytes - 1)
    let clusterEnd = min((old + mask) & ~mask, new)
    if old < clusterEnd { try zeroPart(old, Int(clusterEnd - old)) }
    guard let backing else { return }
    let below = min(backing.sectorCount * 512, new)
    guard below > clusterEnd else { return }
    // The end that `zero` looks at is still the old one, so that it is rounded here.
    try zero(clusterEnd, count: (below - clusterEnd + mask) & ~mask)
  }

  /// Moves the L1 table to where it has room for `count` entries.
  private func growL1(to count: UInt64) throws(ImageError) {
    guard count > UInt64(l1.count) else { return }
    guard count * 8 <= QCOW2Header.maximumL1Bytes else {
      throw ImageError(
        file.path, .oversized,
        "\(file.path) can't be that large with clusters of \(clusterBytes) bytes")
    }
    guard let refcounts else { throw ImageError.readOnly(file.path) }
    let bytes = Int(count) * 8
    let place = try allocateAtEnd((bytes + clusterBytes - 1) >> header.clusterBits, refcounts)
    var table = [UInt8](repeating: 0, count: place.count << header.clusterBits)
    for (number, entry) in l1.enumerated() { table.setBig(entry, at: number * 8) }
    let old = clusters(header.l1Offset, UInt64(header.l1Count) * 8)
    try storing(place) { () throws(ImageError) in
      try file.storeBytes(table, at: place.first << clusterBits)
    }
    try flush()
    var changed = header
    changed.l1Offset = place.first << clusterBits
    changed.l1Count = UInt32(count)
    try changed.update(in: file)
    try file.sync()
    header = changed
    l1 += [UInt64](repeating: 0, count: Int(count) - l1.count)
    fixed.set("L1", place.first..<(place.first + UInt64(place.count)))
    released += old
  }
}

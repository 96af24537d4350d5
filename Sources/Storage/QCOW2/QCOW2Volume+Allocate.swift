/// Where new clusters of an image come from, all in numbers of clusters of the file.
struct AllocatorState {
  /// Everything from here on is free.
  var tail: UInt64 = 1
  /// Clusters below may have become free; looked through from here on.
  var scan: UInt64 = 1
  /// From here on nothing was ever written: the file reads as zeroes. `.max` for nowhere.
  var untouched: UInt64 = .max
}

/// Clusters that were just counted as used.
struct Allocation {
  /// The number of the first one.
  let first: UInt64
  let count: Int
  /// They read as zeroes.
  let isUntouched: Bool
}

extension QCOW2Volume {
  /// Looked through for free clusters at a time, so that no write waits for long.
  private static let scanLimit = 1024
  /// Steps over clusters behind the end that are counted as used nevertheless.
  private static let tailLimit = 1 << 20

  /// Counts up to `wanted` clusters, one behind the other, as used.
  func allocate(_ wanted: Int) throws(ImageError) -> Allocation {
    guard let refcounts else { throw ImageError.readOnly(file.path) }
    if let found = try scanFree(wanted, refcounts) {
      for cluster in found { try refcounts.setCount(of: cluster, to: 1) }
      return Allocation(first: found.lowerBound, count: found.count, isUntouched: false)
    }
    return try allocateAtEnd(wanted, refcounts)
  }

  /// Free clusters among those that were used once; nil where none are found soon.
  private func scanFree(
    _ wanted: Int, _ refcounts: QCOW2Refcounts
  ) throws(ImageError) -> Range<UInt64>? {
    var steps = 0
    var start: UInt64?
    while steps < Self.scanLimit && allocator.scan < allocator.tail {
      let cluster = allocator.scan
      guard refcounts.hasBlock(for: cluster) else {
        if let start { return start..<cluster }
        allocator.scan =
          ((cluster >> UInt64(refcounts.blockBits)) + 1) << UInt64(refcounts.blockBits)
        steps += 1
        continue
      }
      let isFree =
        try refcounts.count(of: cluster) == 0 && !fixed.overlaps(cluster..<(cluster + 1))
      if let start, !isFree || cluster - start == UInt64(wanted) { return start..<cluster }
      if isFree && start == nil { start = cluster }
      allocator.scan += 1
      steps += 1
    }
    allocator.scan = min(allocator.scan, allocator.tail)
    return start.map { $0..<allocator.scan }
  }

  /// Counts `wanted` clusters behind the end as used, and makes the refcount blocks for them.
  func allocateAtEnd(
    _ wanted: Int, _ refcounts: QCOW2Refcounts
  ) throws(ImageError) -> Allocation {
    let total = try skipUsed(wanted, refcounts)
    let first = allocator.tail
    let last = first + total.clusters - 1
    if refcounts.isBeyondTable(last) {
      try growTable(for: last, refcounts)
      return try allocateAtEnd(wanted, refcounts)
    }
    var place = first + UInt64(wanted)
    allocator.tail = last + 1
    for number in refcounts.blockNumber(of: first)...refcounts.blockNumber(of: last) {
      let counted = UInt64(number) << UInt64(refcounts.blockBits)
      guard !refcounts.hasBlock(for: counted) else { continue }
      if place < allocator.untouched { try writeZeroes(at: place << clusterBits) }
      refcounts.addBlock(at: place << clusterBits, for: counted)
      fixed.insert(place)
      place += 1
    }
    for cluster in first...last { try refcounts.setCount(of: cluster, to: 1) }
    return Allocation(first: first, count: wanted, isUntouched: first >= allocator.untouched)
  }

  /// Moves the tail to where `wanted` clusters and the blocks that they need are free.
  /// - Returns: how many clusters that is.
  private func skipUsed(
    _ wanted: Int, _ refcounts: QCOW2Refcounts
  ) throws(ImageError) -> (clusters: UInt64, blocks: Int) {
    var steps = 0
    search: while true {
      var blocks = 0
      var total = UInt64(wanted)
      while true {
        let needed = missingBlocks(allocator.tail..<(allocator.tail + total), refcounts)
        if needed == blocks { break }
        blocks = needed
        total = UInt64(wanted + blocks)
      }
      for cluster in allocator.tail..<(allocator.tail + total) {
        steps += 1
        let isUsed =
          try refcounts.count(of: cluster) != 0 || fixed.overlaps(cluster..<(cluster + 1))
        guard isUsed else { continue }
        guard steps < Self.tailLimit + 2 * wanted else {
          throw damaged("its refcounts say that everything behind its end is in use")
        }
        allocator.tail = cluster + 1
        continue search
      }
      return (total, blocks)
    }
  }

  private func missingBlocks(_ clusters: Range<UInt64>, _ refcounts: QCOW2Refcounts) -> Int {
    let first = clusters.lowerBound >> UInt64(refcounts.blockBits)
    let last = (clusters.upperBound - 1) >> UInt64(refcounts.blockBits)
    return (first...last).count { !refcounts.hasBlock(for: $0 << UInt64(refcounts.blockBits)) }
  }

  /// Makes the refcount table longer, so that it reaches beyond `cluster`, at a new place.
  private func growTable(for cluster: UInt64, _ refcounts: QCOW2Refcounts) throws(ImageError) {
    let perCluster = UInt64(clusterBytes / 8)
    var clusters = UInt64(refcounts.tableClusters)
    var last = cluster
    repeat {
      clusters = max(clusters + 1, clusters * 3 / 2)
      last = cluster + 2 * clusters + 2
    } while (last >> UInt64(refcounts.blockBits)) + 2 > clusters * perCluster
    guard clusters << clusterBits <= QCOW2Header.maximumRefcountTableBytes else {
      throw ImageError(
        file.path, .oversized, "\(file.path) has as many clusters as its refcounts can count")
    }
    // Where the file has it, however long it has become in memory.
    let old = self.clusters(
      header.refcountTableOffset, UInt64(header.refcountTableClusters) << clusterBits)
    refcounts.extendTable(toClusters: UInt32(clusters))
    do throws(ImageError) {
      let place = try allocateAtEnd(Int(clusters), refcounts)
      // On the way to that place the table had to become longer still, and has moved.
      guard refcounts.tableClusters == UInt32(clusters) else { return giveBack(place) }
      refcounts.pendingPlace = place.first << clusterBits
      refcounts.oldPlace = old
      fixed.set("new refcounts", place.first..<(place.first + clusters))
    } catch {
      // The table in memory is no longer the file's, and has no place in it.
      failure = error
      throw error
    }
    try finishTableMove()
  }

  /// Brings a refcount table that grew to its new place.
  func finishTableMove() throws(ImageError) {
    guard let refcounts, let place = refcounts.pendingPlace else { return }
    try refcounts.moveTable(to: place, header: &header)
    fixed.set("refcounts", clusters(place, UInt64(refcounts.tableClusters) << clusterBits))
    fixed.set("new refcounts", 0..<0)
    let old = refcounts.oldPlace
    refcounts.pendingPlace = nil
    refcounts.oldPlace = 0..<0
    for cluster in old { try refcounts.setCount(of: cluster, to: 0) }
    if !old.isEmpty { allocator.scan = min(allocator.scan, old.lowerBound) }
  }

  /// Makes the cluster at `offset` of the file zeroes.
  func writeZeroes(at offset: UInt64) throws(ImageError) {
    try file.storeBytes([UInt8](repeating: 0, count: clusterBytes), at: offset)
  }

  /// Counts clusters as free again that nothing on the storage ever named.
  func giveBack(_ allocation: Allocation) {
    guard let refcounts else { return }
    for cluster in allocation.first..<(allocation.first + UInt64(allocation.count)) {
      // What can't be given back is a leak, which "check --repair" finds.
      try? refcounts.setCount(of: cluster, to: 0)
    }
    allocator.scan = min(allocator.scan, allocation.first)
  }
}

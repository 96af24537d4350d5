/// Which clusters of an image hold its own structures: what no data may be written over, whatever the
/// tables say.
struct MetadataMap {
  /// L2 tables and refcount blocks, in order.
  private var clusters: [UInt64] = []
  /// What is more than a cluster: header, L1 table, refcount table, snapshots.
  private var ranges: [(name: String, range: Range<UInt64>)] = []

  /// Whether any of `range`, in clusters, is taken.
  func overlaps(_ range: Range<UInt64>) -> Bool {
    for taken in ranges where taken.range.overlaps(range) { return true }
    let first = position(of: range.lowerBound)
    return first < clusters.count && clusters[first] < range.upperBound
  }

  /// The first place whose number is not below `cluster`.
  private func position(of cluster: UInt64) -> Int {
    var low = 0
    var high = clusters.count
    while low < high {
      let middle = (low + high) / 2
      if clusters[middle] < cluster { low = middle + 1 } else { high = middle }
    }
    return low
  }

  mutating func insert(_ cluster: UInt64) {
    clusters.insert(cluster, at: position(of: cluster))
  }

  mutating func remove(_ cluster: UInt64) {
    let place = position(of: cluster)
    if place < clusters.count && clusters[place] == cluster { clusters.remove(at: place) }
  }

  /// Takes a structure of several clusters instead of the one of that name before.
  mutating func set(_ name: String, _ range: Range<UInt64>) {
    ranges.removeAll { $0.name == name }
    if !range.isEmpty { ranges.append((name, range)) }
  }

  /// Takes all of `found`.
  /// - Returns: a cluster that would be two things at once; nil where there is none.
  mutating func fill(_ found: [UInt64]) -> UInt64? {
    clusters = found.sorted()
    for index in clusters.indices.dropFirst() where clusters[index] == clusters[index - 1] {
      return clusters[index]
    }
    for (number, taken) in ranges.enumerated() {
      for other in ranges[(number + 1)...] where other.range.overlaps(taken.range) {
        return max(other.range.lowerBound, taken.range.lowerBound)
      }
      let first = position(of: taken.range.lowerBound)
      if first < clusters.count && clusters[first] < taken.range.upperBound {
        return clusters[first]
      }
    }
    return nil
  }
}

/// Which clusters of an image hold its own structures: what no data may be written over, whatever the
/// tables say.
struct MetadataMap {
  /// L2 tables and refcount blocks, in order.
  private var clusters: [UInt64] = []
  /// What is more than a cluster and may move: header, L1 table, refcount table.
  private var ranges: [(name: String, range: Range<UInt64>)] = []
  /// What is more than a cluster, of which there may be many: snapshots. In order, none over another.
  private var spans: [Range<UInt64>] = []

  /// Whether any of `range`, in clusters, is taken.
  func overlaps(_ range: Range<UInt64>) -> Bool {
    for taken in ranges where taken.range.overlaps(range) { return true }
    let first = position(of: range.lowerBound)
    if first < clusters.count && clusters[first] < range.upperBound { return true }
    // The last span that begins before the range's end.
    let after = Self.first(in: spans.count) { spans[$0].lowerBound >= range.upperBound }
    return after > 0 && spans[after - 1].upperBound > range.lowerBound
  }

  /// The first of `count` numbers for which `isBehind` is true, as it is for all behind it.
  private static func first(in count: Int, _ isBehind: (Int) -> Bool) -> Int {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if isBehind(middle) { high = middle } else { low = middle + 1 }
    }
    return low
  }

  /// The first place whose number is not below `cluster`.
  private func position(of cluster: UInt64) -> Int {
    Self.first(in: clusters.count) { clusters[$0] >= cluster }
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

  /// Takes all of `found`, L2 tables and refcount blocks, and of `many`, which are larger.
  /// - Returns: a cluster that would be two things at once; nil where there is none.
  mutating func fill(_ found: [UInt64], many: [Range<UInt64>] = []) -> UInt64? {
    clusters = found.sorted()
    var twice: UInt64?
    for index in clusters.indices.dropFirst() where clusters[index] == clusters[index - 1] {
      twice = clusters[index]
      break
    }
    let taken = (ranges.map(\.range) + many.filter { !$0.isEmpty }).sorted {
      $0.lowerBound < $1.lowerBound
    }
    var end: UInt64 = 0
    for range in taken {
      if range.lowerBound < end { twice = twice ?? range.lowerBound }
      end = max(end, range.upperBound)
      let first = position(of: range.lowerBound)
      if first < clusters.count && clusters[first] < range.upperBound {
        twice = twice ?? clusters[first]
      }
    }
    spans = Self.merged(many.filter { !$0.isEmpty })
    return twice
  }

  private static func merged(_ ranges: [Range<UInt64>]) -> [Range<UInt64>] {
    var merged: [Range<UInt64>] = []
    for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, range.lowerBound <= last.upperBound {
        let end = max(last.upperBound, range.upperBound)
        merged[merged.count - 1] = last.lowerBound..<end
      } else {
        merged.append(range)
      }
    }
    return merged
  }
}

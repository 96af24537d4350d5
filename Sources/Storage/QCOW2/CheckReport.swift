/// What a check of an image's structures found.
public struct CheckReport: Sendable, Codable, Equatable {
  /// What contradicts itself, as sentences; no more than ``messageLimit`` of them.
  public internal(set) var errors: [String] = []
  /// How many contradictions there are.
  public internal(set) var errorCount = 0
  /// Clusters that are counted as used and are not: wasted room and nothing worse.
  public internal(set) var leakedClusters: UInt64 = 0
  /// Leaked clusters that are counted as free now.
  public internal(set) var repairedClusters: UInt64 = 0
  /// Clusters of the medium, and those that the image itself holds.
  public internal(set) var totalClusters: UInt64 = 0
  public internal(set) var allocatedClusters: UInt64 = 0
  public internal(set) var compressedClusters: UInt64 = 0
  public internal(set) var clusterBytes = 0
  /// The first byte behind everything that is in use.
  public internal(set) var endOffset: UInt64 = 0

  static let messageLimit = 64

  mutating func add(_ message: String) {
    errorCount += 1
    if errors.count < Self.messageLimit { errors.append(message) }
  }
}

/// How often each cluster is referred to. A file can be said to have any number of clusters; memory
/// is taken for those that are.
struct ReferenceCounts {
  private static let perChunk: UInt64 = 64
  /// Chunks that any image may have.
  private let limit: Int
  private var chunks: [UInt64: Int] = [:]
  private var counts: [UInt32] = []
  private var recent: (chunk: UInt64, place: Int) = (.max, 0)
  /// The first cluster behind all that have a count.
  private(set) var end: UInt64 = 0
  private var added = 0

  /// Places are that far from each other that memory for them would be a multiple of the image.
  var isScattered: Bool { chunks.count > limit && added < chunks.count * 4 }

  /// - Parameter limit: chunks that any image may have, 256 bytes each.
  init(limit: Int = 1 << 20) { self.limit = limit }

  mutating func add(_ cluster: UInt64, times: UInt32 = 1) {
    let chunk = cluster / Self.perChunk
    if recent.chunk != chunk {
      if let place = chunks[chunk] {
        recent = (chunk, place)
      } else {
        recent = (chunk, counts.count)
        chunks[chunk] = counts.count
        counts.append(contentsOf: repeatElement(0, count: Int(Self.perChunk)))
      }
    }
    added += 1
    let place = recent.place + Int(cluster % Self.perChunk)
    let (sum, overflow) = counts[place].addingReportingOverflow(times)
    counts[place] = overflow ? .max : sum
    end = max(end, cluster + 1)
  }

  func count(of cluster: UInt64) -> UInt64 {
    guard let place = chunks[cluster / Self.perChunk] else { return 0 }
    return UInt64(counts[place + Int(cluster % Self.perChunk)])
  }

  /// The clusters that have a count, in order.
  var used: [UInt64] {
    chunks.keys.sorted().flatMap { chunk in
      (0..<Self.perChunk).map { chunk * Self.perChunk + $0 }.filter { count(of: $0) > 0 }
    }
  }
}

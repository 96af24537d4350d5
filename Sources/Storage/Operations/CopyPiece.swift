import KVMEngine

/// A piece of an image's data on its way into a copy. It belongs to one thread at a time.
final class CopyPiece: @unchecked Sendable {
  // SAFETY: whoever has it is decided by the ``CopyBelt`` under its lock.

  /// Bytes of the medium, and where in memory they are.
  struct Run {
    let sector: UInt64
    var place: Range<Int>
    /// They are compressed, in ``CopyPiece/packed``.
    var isPacked = false
  }

  /// Room for the medium's bytes.
  private let memory: ZeroedMemory
  /// Room for what they become, where clusters are compressed.
  private let packedMemory: ZeroedMemory?
  /// What was read, in the medium's order.
  private(set) var loaded: [Run] = []
  /// What is to be written, in the medium's order.
  var found: [Run] = []

  /// - Parameters:
  ///   - byteCount: a multiple of the copy's clusters.
  ///   - packs: clusters are compressed here.
  init(byteCount: Int, packs: Bool) {
    memory = ZeroedMemory(byteCount: byteCount)
    packedMemory = packs ? ZeroedMemory(byteCount: byteCount) : nil
  }

  private var filled: Int { loaded.last?.place.upperBound ?? 0 }
  var isEmpty: Bool { loaded.isEmpty }
  /// Sectors that it has room for.
  var room: UInt64 { UInt64((memory.bytes.count - filled) / Sector.bytes) }
  /// Room for compressed clusters, as much as for what they are made of.
  var packed: UnsafeMutableRawBufferPointer {
    packedMemory?.bytes ?? UnsafeMutableRawBufferPointer(start: nil, count: 0)
  }

  /// The medium's bytes of `run`, or what they became.
  func bytes(of run: Run) -> UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: (run.isPacked ? packed : memory.bytes)[run.place])
  }

  /// Reads `count` sectors of `image` from `sector` on, for which there is room; zeroes behind its
  /// end.
  func load(_ image: any StoredImage, sector: UInt64, count: UInt64) throws(ImageError) {
    let start = filled
    let place = start..<(start + Int(count) * Sector.bytes)
    let whole = UnsafeMutableRawBufferPointer(rebasing: memory.bytes[place])
    let there = Int(min(count, image.sectorCount - min(sector, image.sectorCount)))
    try image.read(sector: sector, count: there, into: whole)
    UnsafeMutableRawBufferPointer(rebasing: whole[(there * Sector.bytes)...])
      .initializeMemory(as: UInt8.self, repeating: 0)
    if let last = loaded.last, last.sector + UInt64(last.place.count / Sector.bytes) == sector {
      loaded[loaded.count - 1].place = last.place.lowerBound..<place.upperBound
    } else {
      loaded.append(Run(sector: sector, place: place))
    }
  }

  func clear() {
    loaded.removeAll(keepingCapacity: true)
    found.removeAll(keepingCapacity: true)
  }

  /// Finds what is not zero, by blocks of `blockBytes` as they lie on the medium.
  func findData(blockBytes: Int) {
    for run in loaded {
      let first = Int(run.sector % UInt64(blockBytes / Sector.bytes)) * Sector.bytes
      bytes(of: run).dataRuns(blockBytes: blockBytes, skip: first) { data in
        found.append(
          Run(
            sector: run.sector + UInt64(data.lowerBound / Sector.bytes),
            place: (run.place.lowerBound + data.lowerBound)..<(run.place.lowerBound
              + data.upperBound)))
      }
    }
  }
}

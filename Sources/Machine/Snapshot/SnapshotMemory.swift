import Glibc
import KVMEngine

/// Memory in a snapshot: only pages that hold something, in runs.
enum SnapshotMemory {
  /// Which memory a run belongs to.
  enum Region: UInt32, CaseIterable {
    case ram = 0
    case video = 1
    /// The disk that is built in instead of read from a file.
    case builtInFloppy = 2
  }

  private static let page = 4096
  /// Numbers of lseek(2) that Swift's Glibc module lacks.
  private static let seekData: Int32 = 3
  private static let seekHole: Int32 = 4
  /// Bytes of a run at most.
  private static let longestRun = 1 << 19
  /// In front of the bytes: the region, and where the run begins.
  static let prefixBytes = 12

  static func prefix(_ region: Region, _ offset: Int) -> [UInt8] {
    SnapshotFile.little(region.rawValue) + SnapshotFile.little(UInt64(offset))
  }

  /// Writes the pages of `block` that are not all zeroes. Those that nobody touched since the
  /// machine was made are passed over without being touched (lseek(2), SEEK_DATA).
  static func write(
    _ block: MemoryBlock, as region: Region, to writer: SnapshotWriter
  ) throws(SnapshotError) {
    var start = 0
    while start < block.size {
      let data = lseek(block.descriptor, off_t(start), seekData)
      if data < 0 { break }
      let hole = lseek(block.descriptor, data, seekHole)
      let end = hole < 0 ? block.size : min(block.size, Int(hole))
      try writeTouched(block, Int(data) & ~(page - 1), end, region, writer)
      start = max(end, Int(data) + 1)
    }
  }

  private static func writeTouched(
    _ block: MemoryBlock, _ first: Int, _ end: Int, _ region: Region, _ writer: SnapshotWriter
  ) throws(SnapshotError) {
    var place = first
    while place < end {
      guard !isZero(block, place) else {
        place += page
        continue
      }
      let start = place
      while place < end, place - start < longestRun, !isZero(block, place) { place += page }
      guard let bytes = block.bytes(at: start, count: place - start) else { return }
      try writer.write(.memory, Array(bytes), behind: prefix(region, start))
    }
  }

  private static func isZero(_ block: MemoryBlock, _ place: Int) -> Bool {
    guard let bytes = block.bytes(at: place, count: page) else { return true }
    for word in stride(from: 0, to: page, by: 32) {
      let four = bytes.loadUnaligned(fromByteOffset: word, as: SIMD4<UInt64>.self)
      if four != SIMD4(repeating: 0) { return false }
    }
    return true
  }

  /// Writes the contents of a disk in memory.
  static func write(_ bytes: [UInt8], to writer: SnapshotWriter) throws(SnapshotError) {
    for start in stride(from: 0, to: bytes.count, by: longestRun) {
      let run = bytes[start..<min(bytes.count, start + longestRun)]
      try writer.write(.memory, Array(run), behind: prefix(.builtInFloppy, start))
    }
  }

  /// One run of a section.
  struct Run {
    var region: Region
    var offset: UInt64
    var bytes: ArraySlice<UInt8>

    /// Nil where the section is none.
    init?(_ section: [UInt8]) {
      guard section.count > prefixBytes,
        let region = Region(rawValue: SnapshotFile.number(section, as: UInt32.self))
      else { return nil }
      self.region = region
      offset = SnapshotFile.number(section[4...], as: UInt64.self)
      bytes = section[prefixBytes...]
    }

    /// Copies the run to its place; false where it has none in `block`.
    func copy(to block: MemoryBlock) -> Bool {
      guard let offset = Int(exactly: offset),
        let target = block.bytes(at: offset, count: bytes.count)
      else { return false }
      target.copyBytes(from: bytes)
      return true
    }
  }
}

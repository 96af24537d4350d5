import Glibc
import KVMEngine

/// Memory between two images, of sectors.
final class ImageBuffer {
  /// Sectors that it holds: the largest cluster.
  static let sectors: UInt64 = 4096
  private let memory = ZeroedMemory(byteCount: Int(ImageBuffer.sectors) * Sector.bytes)

  /// The first `count` sectors of it.
  subscript(count: UInt64) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(
      rebasing: memory.bytes[..<(Int(min(count, Self.sectors)) * Sector.bytes)])
  }

  /// Fills the first `count` sectors with those of `image` from `sector` on; zeroes behind its end,
  /// and where there is none.
  func load(
    _ image: (any StoredImage)?, sector: UInt64, count: UInt64
  ) throws(ImageError) -> UnsafeMutableRawBufferPointer {
    let whole = self[count]
    var there: UInt64 = 0
    if let image, sector < image.sectorCount {
      there = min(count, image.sectorCount - sector)
      try image.read(sector: sector, count: Int(there), into: self[there])
    }
    UnsafeMutableRawBufferPointer(rebasing: whole[(Int(there) * Sector.bytes)...])
      .initializeMemory(as: UInt8.self, repeating: 0)
    return whole
  }
}

extension UnsafeRawBufferPointer {
  /// Whether every byte is 0.
  var isZero: Bool {
    guard let start = baseAddress, count > 16 else { return allSatisfy { $0 == 0 } }
    // What equals itself 16 bytes further on, and begins with zeroes, is nothing else.
    return self[..<16].allSatisfy { $0 == 0 } && memcmp(start, start + 16, count - 16) == 0
  }

  /// The runs of `blockBytes` each that are not all zeroes, as ranges of bytes. The first block lacks
  /// its first `skip` bytes, and the last one may be shorter.
  func dataRuns(blockBytes: Int, skip: Int, _ body: (Range<Int>) -> Void) {
    var start: Int?
    var at = 0
    while at < count {
      let end = Swift.min(at == 0 ? blockBytes - skip : at + blockBytes, count)
      if UnsafeRawBufferPointer(rebasing: self[at..<end]).isZero {
        if let first = start { body(first..<at) }
        start = nil
      } else if start == nil {
        start = at
      }
      at = end
    }
    if let first = start { body(first..<count) }
  }
}

extension UnsafeMutableRawBufferPointer {
  /// Whether two buffers hold the same bytes.
  func holdsTheSame(as other: UnsafeMutableRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    guard let start = baseAddress, let end = other.baseAddress else { return true }
    return memcmp(start, end, count) == 0
  }
}

import CStorage
import Glibc
import KVMEngine

/// Parts of a file.
enum FileRange {
  /// The next run of data at or behind `offset` in a file of `size` bytes; empty and at the end where
  /// only a hole is left.
  static func data(in descriptor: Int32, from offset: Int64, size: Int64) -> Range<Int64> {
    let start = lseek(descriptor, off_t(offset), cstorage_seek_data)
    // ENXIO: the rest is a hole. Others: nobody knows of holes here.
    if start < 0 { return errno == ENXIO ? size..<size : offset..<size }
    let end = lseek(descriptor, start, cstorage_seek_hole)
    let first = min(max(Int64(start), offset), size)
    return first..<max(first, min(end < 0 ? size : Int64(end), size))
  }
}

/// Whether two files hold the same.
struct FileComparison {
  private static let pieceBytes = 1 << 20

  let one: String
  let other: String

  /// Reads both, but for holes that both have.
  func areEqual() throws -> Bool {
    let first = Descriptor(owning: open(one, O_RDONLY | O_CLOEXEC))
    guard first.number >= 0 else { throw HostError("open \(one)", code: errno) }
    let second = Descriptor(owning: open(other, O_RDONLY | O_CLOEXEC))
    guard second.number >= 0 else { throw HostError("open \(other)", code: errno) }
    let size = try Self.size(first.number, one)
    guard try Self.size(second.number, other) == size else { return false }
    var (a, b) = ([UInt8](), [UInt8]())
    var offset: Int64 = 0
    while true {
      offset = min(
        FileRange.data(in: first.number, from: offset, size: size).lowerBound,
        FileRange.data(in: second.number, from: offset, size: size).lowerBound)
      guard offset < size else { return true }
      let count = Int(min(Int64(Self.pieceBytes), size - offset))
      try Self.read(count, at: offset, first.number, one, into: &a)
      try Self.read(count, at: offset, second.number, other, into: &b)
      guard a == b else { return false }
      offset += Int64(count)
      try Interruption.check()
    }
  }

  private static func size(_ descriptor: Int32, _ path: String) throws(HostError) -> Int64 {
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { throw HostError("read \(path)", code: errno) }
    return Int64(status.st_size)
  }

  private static func read(
    _ count: Int, at offset: Int64, _ descriptor: Int32, _ path: String, into bytes: inout [UInt8]
  ) throws(HostError) {
    if bytes.count != count { bytes = [UInt8](repeating: 0, count: count) }
    var done = 0
    while done < count {
      let got = bytes.withUnsafeMutableBytes {
        // SAFETY: what is left of the buffer begins at `done`.
        pread(descriptor, $0.baseAddress?.advanced(by: done), count - done, off_t(offset) + done)
      }
      guard got > 0 || (got < 0 && errno == EINTR) else {
        throw HostError("read \(path)", code: got < 0 ? errno : EIO)
      }
      done += max(0, got)
    }
  }
}

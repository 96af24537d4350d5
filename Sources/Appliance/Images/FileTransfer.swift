import CStorage
import Glibc
import KVMEngine

/// Reads an image file, takes its checksum on the way, and copies it if it is to be copied. Where the file system can,
/// the copy shares the original's storage, and is only read. What is zero takes no room.
struct FileTransfer {
  private static let pieceBytes = 1 << 20
  private static let hole = 64 << 10

  let source: Int32
  let sourceName: String
  /// Where the copy goes; nil where only the checksum is wanted.
  let target: (descriptor: Int32, name: String)?
  /// Bytes to read.
  let size: Int64

  /// Does it.
  /// - Parameter progress: is told how many bytes are done.
  /// - Returns: the SHA-256 of what was copied.
  func run(_ progress: (Int64) -> Void) throws -> String {
    var copy = target
    if let (descriptor, name) = target {
      if cstorage_clone(source, descriptor, 0, 0) == 0 {
        copy = nil
      } else if ftruncate(descriptor, off_t(size)) != 0 {
        throw HostError("write \(name)", code: errno)
      }
    }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: Self.pieceBytes, alignment: 4096)
    defer { buffer.deallocate() }
    var digest = ContentDigest()
    var offset: Int64 = 0
    while offset < size {
      let data = FileRange.data(in: source, from: offset, size: size)
      buffer.initializeMemory(as: UInt8.self, repeating: 0)
      while offset < data.lowerBound {
        let count = Int(min(Int64(buffer.count), data.lowerBound - offset))
        digest.update(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        offset += Int64(count)
        progress(offset)
        try Interruption.check()
      }
      while offset < data.upperBound {
        let wanted = Int(min(Int64(buffer.count), data.upperBound - offset))
        let piece = try read(UnsafeMutableRawBufferPointer(rebasing: buffer[..<wanted]), at: offset)
        digest.update(piece)
        if let copy { try Self.write(piece, at: offset, to: copy) }
        offset += Int64(piece.count)
        progress(offset)
        try Interruption.check()
      }
    }
    return digest.finish()
  }

  /// Reads as much of `buffer` as there is at once, at least one byte.
  private func read(
    _ buffer: UnsafeMutableRawBufferPointer, at offset: Int64
  ) throws -> UnsafeRawBufferPointer {
    while true {
      // SAFETY: at most `count` bytes are read into the buffer.
      let count = pread(source, buffer.baseAddress, buffer.count, off_t(offset))
      if count > 0 { return UnsafeRawBufferPointer(rebasing: buffer[..<count]) }
      if count == 0 {
        throw Complaint("\(sourceName) ended at byte \(offset) of \(size) while it was read")
      }
      if errno != EINTR { throw HostError("read \(sourceName)", code: errno) }
    }
  }

  /// Writes those parts of `piece` that are not all zero.
  private static func write(
    _ piece: UnsafeRawBufferPointer, at offset: Int64, to target: (descriptor: Int32, name: String)
  ) throws {
    var start = 0
    while start < piece.count {
      let end = min(start + hole, piece.count)
      let part = UnsafeRawBufferPointer(rebasing: piece[start..<end])
      if !isZero(part) { try writeAll(part, at: offset + Int64(start), to: target) }
      start = end
    }
  }

  private static func writeAll(
    _ part: UnsafeRawBufferPointer, at offset: Int64, to target: (descriptor: Int32, name: String)
  ) throws {
    var done = 0
    while done < part.count {
      // SAFETY: the bytes from `done` to the end are the part's.
      let rest = UnsafeRawBufferPointer(rebasing: part[done...])
      let count = pwrite(
        target.descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
      if count > 0 {
        done += count
      } else if count == 0 || errno != EINTR {
        throw HostError("write \(target.name)", code: errno)
      }
    }
  }

  /// Whether every byte is zero.
  static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard let base = bytes.baseAddress, bytes.count > 0 else { return true }
    // SAFETY: both ranges lie within the bytes; where the first is zero and each equals the next, all
    // are.
    return bytes[0] == 0 && memcmp(base, base + 1, bytes.count - 1) == 0
  }
}

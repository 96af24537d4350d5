import Glibc

/// What image formats need of the host's file: bytes at offsets, and a flush between those that have
/// to be in order. Tests put a disk in its place that loses power.
///
/// Calls may come from any thread.
protocol HostFile: AnyObject, Sendable {
  /// The file as it was named.
  var path: String { get }
  var isReadOnly: Bool { get }
  /// Whether what lies behind the end reads as zeroes once the file is made longer. A block device
  /// has its old contents there.
  var growsWithZeroes: Bool { get }

  /// Bytes of the file.
  func size() throws(ImageError) -> UInt64
  /// - Returns: bytes read, 0 at the file's end, or the negative errno.
  func read(_ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) -> Int
  /// - Returns: bytes written, or the negative errno.
  func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) -> Int
  /// Returns when all that was written is on the storage.
  /// - Returns: 0 or the errno.
  func flush() -> Int32
  /// Cuts the file, or makes it longer with zeroes.
  /// - Returns: 0 or the errno.
  func setSize(_ bytes: UInt64) -> Int32
  /// Whether ``punch(_:)`` works here.
  var punches: Bool { get }
  /// Gives the storage of a part back to the host, where it can; that part then reads as zeroes.
  /// - Returns: 0 or the errno.
  func punch(_ range: Range<UInt64>) -> Int32
  /// Whether there is data at `offset`, and up to where that stays so; nil at the file's end.
  func run(at offset: UInt64) -> (isData: Bool, end: UInt64)?
}

extension HostFile {
  /// Whether the host has nothing at all of `range`, so that it reads as zeroes.
  func isHole(_ range: Range<UInt64>) -> Bool {
    guard let run = run(at: range.lowerBound) else { return true }
    return !run.isData && run.end >= range.upperBound
  }

  /// Fills `buffer` from `offset` on; what lies behind the end reads as zeroes.
  func load(
    _ buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
  ) throws(ImageError) {
    var done = 0
    while done < buffer.count {
      let target = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
      let got = read(target, at: offset &+ UInt64(done))
      if got < 0 { throw ImageError.transfer("read", path, offset &+ UInt64(done), code: -got) }
      if got == 0 {
        target.initializeMemory(as: UInt8.self, repeating: 0)
        return
      }
      done += got
    }
  }

  /// Writes all of `buffer` from `offset` on.
  func store(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(ImageError) {
    var done = 0
    while done < buffer.count {
      let source = UnsafeRawBufferPointer(rebasing: buffer[done...])
      let put = write(source, at: offset &+ UInt64(done))
      if put <= 0 {
        let code = put == 0 ? Int(ENOSPC) : -put
        throw ImageError.transfer("write", path, offset &+ UInt64(done), code: code)
      }
      done += put
    }
  }

  /// ``flush()`` as a sentence where it fails.
  func sync() throws(ImageError) {
    let code = flush()
    guard code == 0 else { throw ImageError.flushing(path, code: code) }
  }

  /// The `count` bytes at `offset`.
  func loadBytes(_ count: Int, at offset: UInt64) throws(ImageError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: max(0, count))
    var failure: ImageError?
    bytes.withUnsafeMutableBytes { buffer in
      do throws(ImageError) { try load(buffer, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
    return bytes
  }

  /// Writes `bytes` at `offset`.
  func storeBytes(_ bytes: [UInt8], at offset: UInt64) throws(ImageError) {
    var failure: ImageError?
    bytes.withUnsafeBytes { buffer in
      do throws(ImageError) { try store(buffer, at: offset) } catch { failure = error }
    }
    if let failure { throw failure }
  }
}

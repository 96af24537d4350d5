import CPNG
import CVNC
import Glibc
import KVMEngine

/// Pictures as PNG files (ISO/IEC 15948), written and read by libpng.
public enum PNGImage {
  /// The longest side that ``decode(_:)`` accepts, in pixels.
  public static let sideLimit = 8192

  /// The picture as a PNG file's bytes.
  /// - Parameter level: zlib's effort, 0 (none) to 9. Level 1 costs a few milliseconds and finds
  ///   most of what a screen repeats. Noise is not compressed at any level.
  /// - Throws: ``HostError`` where memory ran out.
  public static func encode(_ frame: Frame, level: Int = 1) throws(HostError) -> [UInt8] {
    var message = [CChar](repeating: 0, count: Int(CPNG_MESSAGE_SIZE))
    var size = 0
    let isNoise = cvnc_is_noise(
      frame.pixels, Int32(frame.size.width), Int32(frame.size.height))
    // SAFETY: the frame owns width * height pixels at `pixels`; the buffer returned holds `size`
    // bytes and is freed here.
    let bytes = cpng_encode(
      frame.pixels, Int32(frame.size.width), Int32(frame.size.height),
      isNoise ? 0 : Int32(min(max(level, 0), 9)), &size, &message)
    guard let bytes else { throw HostError("encode a picture", advice: text(message)) }
    defer { free(bytes) }
    return Array(UnsafeBufferPointer(start: bytes, count: size))
  }

  /// The picture in a PNG file's bytes; transparent parts are shown on black.
  /// - Throws: ``HostError`` where the bytes are no whole PNG, or a side exceeds ``sideLimit``.
  public static func decode(_ bytes: [UInt8]) throws(HostError) -> Frame {
    var message = [CChar](repeating: 0, count: Int(CPNG_MESSAGE_SIZE))
    var width: Int32 = 0
    var height: Int32 = 0
    // SAFETY: the buffer returned holds width * height pixels and is freed here.
    let pixels = cpng_decode(
      bytes, bytes.count, UInt32(sideLimit), &width, &height, &message)
    guard let pixels else { throw HostError("read a PNG picture", advice: text(message)) }
    defer { free(pixels) }
    let frame = Frame(size: FrameSize(width: Int(width), height: Int(height)))
    frame.pixels.update(from: pixels, count: frame.size.width * frame.size.height)
    return frame
  }

  /// Writes the picture to a file. Whoever reads `path` sees the old file or the whole new one.
  /// What is not a plain file (a pipe, a terminal) is written to as it is.
  public static func write(_ frame: Frame, to path: String, level: Int = 1) throws(HostError) {
    let bytes = try encode(frame, level: level)
    var status = stat()
    if stat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG {
      return try store(bytes, at: path, flags: O_WRONLY)
    }
    let temporary = "\(path).\(getpid()).part"
    do throws(HostError) {
      try store(bytes, at: temporary, flags: O_WRONLY | O_CREAT | O_TRUNC)
    } catch {
      unlink(temporary)
      throw HostError("write \(path)", code: error.code)
    }
    guard rename(temporary, path) == 0 else {
      let code = errno
      unlink(temporary)
      throw HostError("write \(path)", code: code)
    }
  }

  /// The picture in the PNG file at `path`.
  public static func read(_ path: String) throws(HostError) -> Frame {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { throw HostError("read \(path)", code: errno) }
    defer { close(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = Glibc.read(file, &piece, piece.count)
      if count < 0 && errno == EINTR { continue }
      guard count >= 0 else { throw HostError("read \(path)", code: errno) }
      if count == 0 { break }
      bytes.append(contentsOf: piece[..<count])
      guard bytes.count <= 1 << 28 else { throw HostError("read \(path)", code: EFBIG) }
    }
    return try decode(bytes)
  }

  private static func store(
    _ bytes: [UInt8], at path: String, flags: Int32
  ) throws(HostError) {
    let file = open(path, flags | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw HostError("write \(path)", code: errno) }
    var offset = 0
    while offset < bytes.count {
      let count = bytes[offset...].withUnsafeBytes {
        Glibc.write(file, $0.baseAddress, $0.count)
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        let code = errno
        close(file)
        throw HostError("write \(path)", code: code)
      }
      offset += count
    }
    guard close(file) == 0 else { throw HostError("write \(path)", code: errno) }
  }

  private static func text(_ message: [CChar]) -> String {
    String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}

import CDigest
import Glibc
import KVMEngine

/// The SHA-256 of what passes by (FIPS 180-4). Nettle's archive is linked: a few kilobytes of code that
/// no desktop touches, and no library that every start would load.
struct ContentDigest {
  /// Bytes of the digest.
  private static let size = 32
  private var context = sha256_ctx()

  init() { nettle_sha256_init(&context) }

  mutating func update(_ bytes: UnsafeRawBufferPointer) {
    // SAFETY: the library reads `count` bytes from the base, and nothing of an empty buffer.
    guard let base = bytes.baseAddress else { return }
    nettle_sha256_update(&context, bytes.count, base.assumingMemoryBound(to: UInt8.self))
  }

  /// The digest in 64 hexadecimal digits. It begins anew afterwards.
  mutating func finish() -> String {
    var digest = [UInt8](repeating: 0, count: Self.size)
    nettle_sha256_digest(&context, digest.count, &digest)
    return digest.map { byte in
      let text = String(byte, radix: 16)
      return byte < 16 ? "0" + text : text
    }.joined()
  }

  /// The digest of a text.
  static func of(_ text: String) -> String {
    var digest = ContentDigest()
    var text = text
    text.withUTF8 { digest.update(UnsafeRawBufferPointer($0)) }
    return digest.finish()
  }

  /// The digest of the file at `path`.
  /// - Parameter progress: is told how many bytes are done, and of how many.
  static func ofFile(_ path: String, _ progress: (Int64, Int64) -> Void) throws -> String {
    let source = Descriptor(owning: open(path, O_RDONLY | O_CLOEXEC))
    guard source.number >= 0 else { throw HostError("open \(path)", code: errno) }
    var status = stat()
    guard fstat(source.number, &status) == 0 else { throw HostError("read \(path)", code: errno) }
    let size = Int64(status.st_size)
    return try FileTransfer(source: source.number, sourceName: path, target: nil, size: size)
      .run { progress($0, size) }
  }

  /// `text` as a digest is written: 64 hexadecimal digits, in lower case.
  static func parse(_ text: String) throws(Complaint) -> String {
    guard text.utf8.count == 2 * size, text.allSatisfy({ $0.isASCII && $0.isHexDigit }) else {
      throw Complaint("\"\(text)\" is no SHA-256, which has 64 hexadecimal digits")
    }
    return text.lowercased()
  }
}

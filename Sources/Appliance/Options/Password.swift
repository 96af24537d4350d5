import Glibc
import KVMEngine

/// VNC passwords: made here or read from a file, never taken from a command line, where every user
/// of the host could read them.
enum Password {
  /// VNC authentication uses the first eight bytes (RFC 6143, 7.2.2).
  static let usedBytes = 8
  /// Thirty-two characters that nobody mistakes for one another.
  static let alphabet = Array("abcdefghijkmnpqrstuvwxyz23456789")
  private static let largestFile = 4096

  /// A new password of eight random characters.
  static func generate() throws(HostError) -> String {
    var bytes = [UInt8](repeating: 0, count: usedBytes)
    guard getentropy(&bytes, bytes.count) == 0 else {
      throw HostError("draw a random password", code: errno)
    }
    return String(bytes.map { alphabet[Int($0) % alphabet.count] })
  }

  /// The first line of the file at `path`.
  static func read(path: String) throws -> String {
    let descriptor = open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw HostError("open password file \(path)", code: errno) }
    defer { close(descriptor) }
    var bytes = [UInt8](repeating: 0, count: largestFile)
    let count = Glibc.read(descriptor, &bytes, bytes.count)
    guard count >= 0 else { throw HostError("read password file \(path)", code: errno) }
    return try firstLine(bytes.prefix(count), path: path)
  }

  /// The password in a file's `bytes`.
  static func firstLine(_ bytes: some Sequence<UInt8>, path: String) throws(Complaint) -> String {
    let line = bytes.prefix { $0 != UInt8(ascii: "\n") && $0 != UInt8(ascii: "\r") }
    guard !line.isEmpty else {
      throw Complaint("password file \(path) is empty; its first line is the password")
    }
    guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }),
      let password = String(validating: line, as: UTF8.self)
    else { throw Complaint("password file \(path) holds a password that nobody can type") }
    return password
  }
}

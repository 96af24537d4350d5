import Glibc
import KVMEngine

/// Files that commands make for the user.
enum OutputFile {
  /// Writes a file whole or not at all: beside it first, then in its place. What is no plain file (a
  /// pipe, a device) is written to as it is.
  static func save(_ bytes: [UInt8], path: String) throws {
    var status = stat()
    let isSpecial = stat(path, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
    let target = isSpecial ? path : "\(path).\(getpid()).part"
    let mode = S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH
    let descriptor = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode)
    guard descriptor >= 0 else { throw HostError("write \(path)", code: errno) }
    defer { close(descriptor) }
    do {
      try write(bytes, to: descriptor, named: path)
      if !isSpecial && rename(target, path) != 0 { throw HostError("write \(path)", code: errno) }
    } catch {
      if !isSpecial { unlink(target) }
      throw error
    }
  }

  /// Writes all of `bytes` to an open file.
  static func write(
    _ bytes: [UInt8], to descriptor: Int32, named name: String
  ) throws(HostError) {
    let code = bytes.withUnsafeBytes { Console.writeAll($0, to: descriptor) }
    if code != 0 { throw HostError("write \(name)", code: code) }
  }
}

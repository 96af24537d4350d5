import CProcess
import Glibc
import KVMEngine

/// Copies of files, which share their blocks with the original where the file system can.
enum FileCopy {
  /// Makes `target`, a new file that holds what `source` holds. It is not synced.
  static func make(_ source: String, _ target: String) throws(HostError) {
    let from = open(source, O_RDONLY | O_CLOEXEC)
    guard from >= 0 else { throw HostError("open \(source)", code: errno) }
    defer { close(from) }
    var status = stat()
    guard fstat(from, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
      throw HostError("copy \(source)", advice: "it is no plain file")
    }
    let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
    let to = open(target, flags, status.st_mode & 0o600)
    guard to >= 0 else { throw HostError("write \(target)", code: errno) }
    defer { close(to) }
    let code = cprocess_copy(from, to)
    guard code == 0 else { throw HostError("copy \(source) to \(target)", code: code) }
  }
}

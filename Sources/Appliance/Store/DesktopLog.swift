import Glibc
import KVMEngine
import Synchronization

/// A desktop's log, which standard output and standard error of its process go to: lines with their
/// time, in a file that is put aside when it has grown enough.
final class DesktopLog: Sendable {
  /// Where a log ends and the next one begins, in bytes. There are two of them at most.
  static let largest = 1 << 20

  private let path: String
  private let written: Mutex<Int>

  /// Goes on with the log at `path`, which is open as `descriptor`.
  init(path: String, descriptor: Int32) {
    self.path = path
    var status = stat()
    written = Mutex(fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0)
  }

  /// Opens the log at `path` to write at its end.
  static func open(_ path: String) throws(HostError) -> Int32 {
    let descriptor = Glibc.open(
      path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0o600)
    guard descriptor >= 0 else { throw HostError("open the log \(path)", code: errno) }
    return descriptor
  }

  /// Writes one line.
  func add(_ text: String) {
    let line = Self.time() + " " + text + "\n"
    written.withLock { written in
      if written > Self.largest { begin(&written) }
      Console.write(line, to: STDERR_FILENO)
      written &+= line.utf8.count
    }
  }

  /// Puts the file aside and begins another one.
  private func begin(_ written: inout Int) {
    guard rename(path, path + ".1") == 0, let next = try? Self.open(path) else { return }
    dup2(next, STDOUT_FILENO)
    dup2(next, STDERR_FILENO)
    close(next)
    written = 0
  }

  /// The time of day in UTC, as 2026-01-31T12:00:00Z.
  static func time(_ seconds: time_t = Glibc.time(nil)) -> String {
    var seconds = seconds
    var parts = tm()
    gmtime_r(&seconds, &parts)
    var text = [CChar](repeating: 0, count: 32)
    strftime(&text, text.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
  }
}

import Glibc
import KVMEngine

/// Addresses and calls of UNIX stream sockets.
enum UnixSocket {
  /// A path's most bytes: `sun_path` without its closing zero (unix(7)).
  static let longestPath = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

  /// Says what is wrong with `path` as a socket's path, if anything is.
  static func check(path: String) throws(Complaint) {
    let count = path.utf8.count
    guard count <= longestPath else {
      throw Complaint(
        "the socket path \(path) has \(count) bytes and a UNIX socket's may have \(longestPath); "
          + "choose a shorter name or a shorter XDG_RUNTIME_DIR")
    }
    guard count > 0, !path.utf8.contains(0) else {
      throw Complaint("a socket's path cannot be empty or hold a zero byte")
    }
  }

  /// A socket listening at `path`, which only this user may open.
  static func listen(path: String, backlog: Int32) throws -> Int32 {
    let descriptor = try open(path)
    guard withAddress(path, { bind(descriptor, $0, $1) }) == 0,
      chmod(path, S_IRUSR | S_IWUSR) == 0,
      Glibc.listen(descriptor, backlog) == 0
    else {
      let code = errno
      close(descriptor)
      throw HostError("listen on the control socket \(path)", code: code)
    }
    return descriptor
  }

  /// The error of a process that listens, and takes no connections.
  struct Unresponsive: Error, CustomStringConvertible {
    let path: String
    var description: String {
      "the process that listens at \(path) takes no connections; if it hangs, end it"
    }
  }

  /// How long a process may leave a connection waiting, in nanoseconds.
  private static let patience: UInt64 = 5_000_000_000

  /// A socket connected to `path`.
  /// - Throws: ``Unresponsive`` where the listener's queue stays full.
  static func connect(path: String) throws -> Int32 {
    let descriptor = try open(path, options: Int32(SOCK_NONBLOCK.rawValue))
    let deadline = Monitor.monotonic() &+ patience
    while withAddress(path, { Glibc.connect(descriptor, $0, $1) }) != 0 {
      let code = errno
      // unix(7): a full queue.
      if code == EAGAIN && Monitor.monotonic() < deadline {
        usleep(5_000)
        continue
      }
      close(descriptor)
      if code == EAGAIN { throw Unresponsive(path: path) }
      throw HostError("reach the control socket \(path)", code: code)
    }
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    return descriptor
  }

  /// Whether a process listens at `path`: one whose queue is full does, too.
  static func isListening(path: String) -> Bool {
    guard let descriptor = try? open(path, options: Int32(SOCK_NONBLOCK.rawValue)) else {
      return false
    }
    defer { close(descriptor) }
    if withAddress(path, { Glibc.connect(descriptor, $0, $1) }) == 0 { return true }
    return errno != ECONNREFUSED && errno != ENOENT
  }

  /// What SO_PEERCRED answers: `struct ucred` of unix(7), which Swift's Glibc module lacks.
  private struct Credentials {
    var pid: pid_t = 0
    var uid: uid_t = 0
    var gid: gid_t = 0
  }

  /// The user behind a connected socket (SO_PEERCRED, unix(7)), or nil where it can't be told.
  static func peer(of descriptor: Int32) -> uid_t? { credentials(of: descriptor)?.uid }

  /// The process that listens behind a connected socket; nil where it can't be told.
  static func process(of descriptor: Int32) -> pid_t? { credentials(of: descriptor)?.pid }

  private static func credentials(of descriptor: Int32) -> Credentials? {
    var credentials = Credentials()
    var size = socklen_t(MemoryLayout<Credentials>.size)
    guard getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0,
      size == MemoryLayout<Credentials>.size
    else { return nil }
    return credentials
  }

  private static func open(_ path: String, options: Int32 = 0) throws -> Int32 {
    try check(path: path)
    let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | options
    let descriptor = socket(AF_UNIX, kind, 0)
    guard descriptor >= 0 else { throw HostError("make a socket", code: errno) }
    return descriptor
  }

  private static func withAddress(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32
  ) -> Int32 {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) {
      $0.copyBytes(from: path.utf8.prefix(longestPath))
    }
    // SAFETY: every socket address begins as a sockaddr does, and the size given is this one's.
    return withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}

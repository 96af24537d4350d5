import Glibc

/// The service manager that started this process, where it waits to be told (sd_notify(3), whose
/// protocol is one datagram).
enum ServiceManager {
  private static let variable = "NOTIFY_SOCKET"

  /// Whether it waits. What such a process writes is kept in a journal that others read.
  static var isThere: Bool { getenv(variable) != nil }

  /// Tells that the service is up.
  static func tellReady() { tell("READY=1") }

  /// Sends `message`; nobody waits for an answer, and a manager that is gone is told nothing.
  private static func tell(_ message: String) {
    guard let place = getenv(variable) else { return }
    var path = Array(String(cString: place).utf8)
    // An abstract socket's name begins with a zero byte, and has no end but its length (unix(7)).
    guard let first = path.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"),
      path.count <= UnixSocket.longestPath
    else { return }
    if first == UInt8(ascii: "@") { path[0] = 0 }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
    let size = MemoryLayout.offset(of: \sockaddr_un.sun_path).map { $0 + path.count } ?? 0
    let bytes = Array(message.utf8)
    // SAFETY: every socket address begins as a sockaddr does, and `size` is within this one.
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = sendto(descriptor, bytes, bytes.count, 0, $0, socklen_t(size))
      }
    }
  }
}

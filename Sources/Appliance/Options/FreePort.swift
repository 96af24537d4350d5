import Glibc
import KVMEngine

/// Finds a TCP port for a desktop that was given none.
enum FreePort {
  /// The ports of displays :0 to :99.
  static let range = VNCAddress.firstPort..<(VNCAddress.firstPort + 100)

  /// The first port of ``range`` on which nobody listens at `host`. The host's own trouble with its
  /// name or address is the VNC server's to tell: then it is simply the first.
  static func first(host: String) throws(Complaint) -> UInt16 {
    for port in range where !isTaken(host: host, port: port) { return port }
    throw Complaint(
      "the ports \(range.lowerBound) to \(range.upperBound - 1) of \(host) are all in use; "
        + "choose another with --vnc")
  }

  private static func isTaken(host: String, port: UInt16) -> Bool {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
    if host.utf8.allSatisfy({ $0 == 0x2E || $0 == 0x3A || (0x30...0x39).contains($0) }) {
      // A number needs no name service, which takes long to load.
      hints.ai_flags |= AI_NUMERICHOST
    }
    var found: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, String(port), &hints, &found) == 0, let entry = found?.pointee else {
      return false
    }
    defer { freeaddrinfo(found) }
    let descriptor = socket(entry.ai_family, entry.ai_socktype, 0)
    guard descriptor >= 0 else { return false }
    defer { close(descriptor) }
    var on: Int32 = 1
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    // Two sockets may be bound to a port with SO_REUSEADDR, but only one may listen.
    let listens =
      bind(descriptor, entry.ai_addr, entry.ai_addrlen) == 0 && listen(descriptor, 1) == 0
    return !listens && errno == EADDRINUSE
  }
}

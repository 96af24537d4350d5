import CProcess
import Glibc
import KVMEngine
import Synchronization

/// Finds a TCP port for a desktop that was given none.
enum FreePort {
  /// The ports of displays :0 to :99, and a thousand more where those are taken: X servers and many
  /// others have theirs from 6000 on.
  static let standard: [ClosedRange<UInt16>] = [5900...5999, 15_900...16_899]

  /// The first port of `ranges` on which nobody listens at `host`. The host's own trouble with its
  /// name or address is the VNC server's to tell: then it is simply the first.
  /// - Parameter claims: where desktops that start together tell each other which ports they take.
  static func first(
    host: String, of ranges: [ClosedRange<UInt16>] = standard, claims: PortClaims? = nil
  ) throws(Complaint) -> UInt16 {
    for port in ranges.joined() where claims?.take(port) ?? true {
      if !isTaken(host: host, port: port) { return port }
      claims?.giveBack(port)
    }
    let names = ranges.map { "\($0.lowerBound) to \($0.upperBound)" }.joined(separator: " and ")
    throw Complaint(
      "the ports \(names) of \(host) are all in use; stop a desktop, or give this one others to "
        + "choose from, as --vnc \(host.contains(":") ? "[\(host)]" : host):20000-20999")
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

/// The ports that a user's desktops have taken or are about to: a lock on a byte of a file each, which
/// goes with the process. Without it fifty desktops that start together would all find the same port
/// free, and all but one of them begin again.
struct PortClaims: Sendable {
  private let descriptor: Int32
  /// One descriptor a process, since locks are a descriptor's.
  private static let opened = Mutex<[String: Int32]>([:])

  /// The claims in a folder; nil where it can't be written to, which only costs time.
  init?(_ directory: RuntimeDirectory) {
    let path = directory.path + "/ports"
    descriptor = Self.opened.withLock { opened in
      if let descriptor = opened[path] { return descriptor }
      let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
      if descriptor >= 0 { opened[path] = descriptor }
      return descriptor
    }
    guard descriptor >= 0 else { return nil }
  }

  /// Claims a port until the process ends; false where another process has.
  func take(_ port: UInt16) -> Bool {
    cprocess_lock_byte(descriptor, off_t(port), CPROCESS_WRITE) != EAGAIN
  }

  /// Gives a port back.
  func giveBack(_ port: UInt16) {
    _ = cprocess_lock_byte(descriptor, off_t(port), CPROCESS_UNLOCKED)
  }
}

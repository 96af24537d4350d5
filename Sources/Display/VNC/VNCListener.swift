import Glibc
import KVMEngine

/// A listening socket for viewers.
final class VNCListener: Sendable {
  let descriptor: Int32
  /// The TCP port in use; 0 for a UNIX socket.
  let port: UInt16
  /// The file of a UNIX socket, and which file that was when it was made.
  private let file: (path: String, device: dev_t, inode: ino_t)?

  /// Starts to listen.
  /// - Throws: ``HostError`` that names the address, what is wrong with it, and what helps.
  init(_ address: VNCConfiguration.Address) throws(HostError) {
    switch address {
    case .tcp(let host, let port):
      descriptor = try VNCListener.listen(host: host, port: port)
      self.port = VNCListener.port(of: descriptor)
      file = nil
    case .unix(let path):
      descriptor = try VNCListener.listen(path: path)
      port = 0
      var status = stat()
      file = lstat(path, &status) == 0 ? (path, status.st_dev, status.st_ino) : nil
    }
  }

  /// Stops listening, and removes the UNIX socket's file if it is still the one that was made.
  func close() {
    _ = Glibc.close(descriptor)
    guard let file else { return }
    var status = stat()
    if lstat(file.path, &status) == 0, status.st_dev == file.device, status.st_ino == file.inode {
      unlink(file.path)
    }
  }

  /// Connections that wait to be taken: a storm of them should find room, since who finds none tries
  /// again a second later.
  private static let backlog: Int32 = 1024
  private static let type = Int32(
    SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)

  // MARK: TCP

  private static func listen(host: String, port: UInt16) throws(HostError) -> Int32 {
    let operation = "listen for VNC viewers on port \(port) of \(host)"
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    // A number needs no name service, whose libraries take longer to load than the rest to start.
    hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV
    var found: UnsafeMutablePointer<addrinfo>?
    if getaddrinfo(host, String(port), &hints, &found) != 0 {
      hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
      let code = getaddrinfo(host, String(port), &hints, &found)
      guard code == 0 else {
        throw HostError(
          operation, advice: "no address of this name: \(String(cString: gai_strerror(code)))")
      }
    }
    defer { freeaddrinfo(found) }
    var problem = EADDRNOTAVAIL
    var next = found
    while let entry = next?.pointee {
      let result = bound(family: entry.ai_family, entry.ai_addr, entry.ai_addrlen)
      if case .success(let descriptor) = result { return descriptor }
      if case .failure(let failure) = result { problem = failure.code }
      next = entry.ai_next
    }
    throw HostError(operation, code: problem, advice: advice(for: problem))
  }

  private struct Failure: Error { let code: Int32 }

  private static func bound(
    family: Int32, _ address: UnsafeMutablePointer<sockaddr>?, _ size: socklen_t
  ) -> Result<Int32, Failure> {
    let descriptor = socket(family, type, 0)
    guard descriptor >= 0 else { return .failure(Failure(code: errno)) }
    var on: Int32 = 1
    setsockopt(
      descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
    guard bind(descriptor, address, size) == 0, Glibc.listen(descriptor, backlog) == 0 else {
      let code = errno
      _ = Glibc.close(descriptor)
      return .failure(Failure(code: code))
    }
    return .success(descriptor)
  }

  private static func advice(for code: Int32) -> String {
    switch code {
    case EADDRINUSE: "choose another with --vnc"
    case EACCES: "ports below 1024 belong to root; choose another with --vnc"
    case EADDRNOTAVAIL: "this host has no such address"
    default: ""
    }
  }

  private static func port(of descriptor: Int32) -> UInt16 {
    var storage = sockaddr_storage()
    var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
    return withUnsafeMutablePointer(to: &storage) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        guard getsockname(descriptor, address, &size) == 0 else { return 0 }
        // The port lies in the same place for IPv4 and IPv6.
        return address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
          UInt16(bigEndian: $0.pointee.sin_port)
        }
      }
    }
  }

  // MARK: UNIX sockets

  private static func listen(path: String) throws(HostError) -> Int32 {
    let operation = "listen for VNC viewers on \(path)"
    var address = try unixAddress(path, operation)
    try removeStale(path, &address, operation)
    let descriptor = socket(AF_UNIX, type, 0)
    guard descriptor >= 0 else { throw HostError(operation, code: errno) }
    // Nobody can connect before listen(), so nobody connects before the mode is set.
    guard withAddress(&address, { bind(descriptor, $0, $1) }) == 0, chmod(path, 0o600) == 0,
      Glibc.listen(descriptor, backlog) == 0
    else {
      let code = errno
      _ = Glibc.close(descriptor)
      throw HostError(operation, code: code)
    }
    return descriptor
  }

  private static func unixAddress(
    _ path: String, _ operation: String
  ) throws(HostError) -> sockaddr_un {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let limit = MemoryLayout.size(ofValue: address.sun_path) - 1
    let bytes = Array(path.utf8)
    guard !bytes.isEmpty, !bytes.contains(0) else {
      throw HostError(operation, advice: "the path of a socket can't be empty")
    }
    guard bytes.count <= limit else {
      throw HostError(
        operation,
        advice: "a socket's path has at most \(limit) bytes, this one has \(bytes.count)")
    }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    return address
  }

  /// Removes a socket that a desktop left behind; one that somebody answers on stays.
  private static func removeStale(
    _ path: String, _ address: inout sockaddr_un, _ operation: String
  ) throws(HostError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw HostError(operation, code: EEXIST, advice: "it is not a socket")
    }
    let probe = socket(AF_UNIX, type & ~Int32(SOCK_NONBLOCK.rawValue), 0)
    guard probe >= 0 else { throw HostError(operation, code: errno) }
    defer { _ = Glibc.close(probe) }
    guard withAddress(&address, { connect(probe, $0, $1) }) != 0, errno == ECONNREFUSED else {
      throw HostError(
        operation, code: EADDRINUSE, advice: "another desktop answers there; choose another path")
    }
    unlink(path)
  }

  private static func withAddress<Result>(
    _ address: inout sockaddr_un, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
  ) -> Result {
    withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
  }
}

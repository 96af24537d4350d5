import Glibc
import KVMEngine

/// Lines and bodies over one connected socket, which it owns. One thread uses it at a time.
final class ControlStream {
  /// Why nothing more can be read or written.
  enum Failure: Error, Equatable {
    /// The peer closed the connection, between two lines.
    case ended
    /// The peer closed the connection within a message.
    case cut
    /// The peer was too slow.
    case timedOut
    /// A line without an end.
    case tooLong
    /// The system's errno.
    case system(Int32)
  }

  private let descriptor: Int32
  private var pending: [UInt8] = []
  private static let chunk = 16_384
  private static let receiveFlags = Int32(MSG_DONTWAIT)
  private static let sendFlags = receiveFlags | Int32(MSG_NOSIGNAL)

  /// Takes over the connected socket `descriptor`.
  init(owning descriptor: Int32) { self.descriptor = descriptor }
  deinit { close(descriptor) }

  /// The next line, without its line feed.
  /// - Parameters:
  ///   - limit: its most bytes.
  ///   - patience: how long all of it may take to come, in nanoseconds; nil is for ever.
  func readLine(limit: Int, patience: UInt64?) throws(Failure) -> [UInt8] {
    let deadline = patience.map { Monitor.monotonic() &+ $0 }
    var searched = 0
    while true {
      if let end = pending[searched...].firstIndex(of: UInt8(ascii: "\n")) {
        guard end < limit else { throw .tooLong }
        let line = Array(pending[..<end])
        pending.removeSubrange(...end)
        return line
      }
      searched = pending.count
      guard pending.count < limit else { throw .tooLong }
      guard try receive(deadline: deadline) else { throw pending.isEmpty ? .ended : .cut }
    }
  }

  /// The process at the other end.
  var peerProcess: pid_t? { UnixSocket.process(of: descriptor) }

  /// Whether the peer has closed the connection, as far as can be told without waiting.
  var isClosed: Bool {
    var byte: UInt8 = 0
    let count = recv(descriptor, &byte, 1, Self.receiveFlags | Int32(MSG_PEEK))
    return count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR)
  }

  /// The next `count` bytes; each part of them may take `patience` nanoseconds to come.
  func readBody(count: Int, patience: UInt64) throws(Failure) -> [UInt8] {
    while pending.count < count {
      guard try receive(deadline: Monitor.monotonic() &+ patience) else { throw .cut }
    }
    let body = Array(pending.prefix(count))
    pending.removeFirst(body.count)
    return body
  }

  /// Waits until the peer has closed the connection.
  func waitForEnd(patience: UInt64) throws(Failure) {
    let deadline = Monitor.monotonic() &+ patience
    while try receive(deadline: deadline) { pending.removeAll() }
  }

  /// Sends `bytes`; a peer that takes none of them for `patience` nanoseconds is too slow.
  func write(_ bytes: [UInt8], patience: UInt64) throws(Failure) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes[sent...].withUnsafeBytes {
        send(
          descriptor, $0.baseAddress, $0.count, Self.sendFlags
        )
      }
      if count >= 0 {
        sent += count
      } else if errno == EAGAIN || errno == EWOULDBLOCK {
        try wait(for: Int16(POLLOUT), deadline: Monitor.monotonic() &+ patience)
      } else if errno != EINTR {
        throw .system(errno)
      }
    }
  }

  /// Appends what has come to `pending`.
  /// - Returns: false where the peer has closed the connection.
  private func receive(deadline: UInt64?) throws(Failure) -> Bool {
    var buffer = [UInt8](repeating: 0, count: Self.chunk)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, Self.receiveFlags)
      if count > 0 {
        pending.append(contentsOf: buffer.prefix(count))
        return true
      }
      if count == 0 || errno == ECONNRESET { return false }
      if errno == EAGAIN || errno == EWOULDBLOCK {
        try wait(for: Int16(POLLIN), deadline: deadline)
      } else if errno != EINTR {
        throw .system(errno)
      }
    }
  }

  private func wait(for events: Int16, deadline: UInt64?) throws(Failure) {
    var milliseconds: Int32 = -1
    if let deadline {
      let now = Monitor.monotonic()
      guard now < deadline else { throw .timedOut }
      milliseconds = Int32(clamping: (deadline - now) / 1_000_000 + 1)
    }
    var item = pollfd(fd: descriptor, events: events, revents: 0)
    let ready = poll(&item, 1, milliseconds)
    if ready == 0 { throw .timedOut }
    if ready < 0 && errno != EINTR { throw .system(errno) }
  }
}

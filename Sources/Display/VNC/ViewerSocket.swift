import Glibc
import KVMEngine

/// A viewer's connected socket: bounded waits, and an end that another thread can bring about.
///
/// One thread reads and one writes; ``interrupt()`` may come from any.
final class ViewerSocket: @unchecked Sendable {
  // SAFETY: `descriptor` is constant; `open` is read and written with `monitor` held, so that an
  // interrupt never hits a descriptor that was closed and given to somebody else.
  let descriptor: Int32
  private let monitor = Monitor()
  private var open = true

  /// Takes over a connected socket.
  init(descriptor: Int32) {
    self.descriptor = descriptor
    _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK)
    var on: Int32 = 1
    let size = socklen_t(MemoryLayout<Int32>.size)
    // Both fail on a UNIX socket, which needs neither.
    setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, size)
    setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &on, size)
  }

  /// Ends the connection: every wait on it returns, every transfer fails.
  func interrupt() {
    monitor.withLock {
      if open { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }
  }

  /// Closes the descriptor, by `closing` where somebody else owns it by now.
  func close(by closing: ((Int32) -> Void)? = nil) {
    monitor.withLock {
      guard open else { return }
      open = false
      if let closing { closing(descriptor) } else { _ = Glibc.close(descriptor) }
    }
  }

  /// The next byte, left in place; nil where the peer is gone or `deadline` passed.
  func peekByte(until deadline: UInt64? = nil) -> UInt8? {
    peek(1, until: deadline)?.first
  }

  /// The next `count` bytes, left in place; nil where the peer is gone or `deadline` passed.
  func peek(_ count: Int, until deadline: UInt64?) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    while true {
      let got = recv(descriptor, &bytes, count, Int32(MSG_PEEK))
      if got == count { return bytes }
      if got == 0 { return nil }
      if got < 0 {
        if errno == EINTR { continue }
        guard errno == EAGAIN, wait(for: POLLIN, until: deadline) else { return nil }
      } else {
        // A part is there already, so poll would return at once.
        if let deadline, Monitor.monotonic() >= deadline { return nil }
        usleep(1000)
      }
    }
  }

  /// The next `count` bytes; nil where the peer is gone or `deadline` passed.
  func read(_ count: Int, until deadline: UInt64) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    var offset = 0
    while offset < count {
      let got = bytes.withUnsafeMutableBytes { buffer in
        recv(descriptor, buffer.baseAddress.map { $0 + offset }, count - offset, 0)
      }
      if got > 0 {
        offset += got
      } else if got == 0 {
        return nil
      } else if errno != EINTR {
        guard errno == EAGAIN, wait(for: POLLIN, until: deadline) else { return nil }
      }
    }
    return bytes
  }

  /// Writes all of `bytes`; false where the peer is gone or `deadline` passed.
  func write(_ bytes: [UInt8], until deadline: UInt64) -> Bool {
    var offset = 0
    while offset < bytes.count {
      let sent = bytes[offset...].withUnsafeBytes {
        send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
      }
      if sent > 0 {
        offset += sent
      } else if sent == 0 {
        return false
      } else if errno != EINTR {
        guard errno == EAGAIN, wait(for: POLLOUT, until: deadline) else { return false }
      }
    }
    return true
  }

  /// Waits until the socket is ready or its peer gone; false where `deadline` passed.
  private func wait(for events: Int32, until deadline: UInt64?) -> Bool {
    var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
    while true {
      var timeout: Int32 = -1
      if let deadline {
        let now = Monitor.monotonic()
        guard now < deadline else { return false }
        timeout = Int32(clamping: (deadline &- now) / 1_000_000 &+ 1)
      }
      let ready = poll(&entry, 1, timeout)
      if ready > 0 { return true }
      if ready < 0 && errno != EINTR { return false }
    }
  }
}

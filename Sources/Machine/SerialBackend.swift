import CKVM
import Glibc
import KVMEngine

/// The far end of the serial port's cable: standard input and output, a file, or a UNIX socket.
///
/// Bytes from the guest wait in a bounded buffer for the thread `serial0`, so that the vCPU never
/// waits for a terminal or a peer; what finds the buffer full is lost, as on a cable without
/// handshake. Its lock comes after the UART's.
public final class SerialBackend: @unchecked Sendable {
  // SAFETY: `outgoing`, `record` and `lost` are read and written with `monitor` held; descriptors are
  // used on the backend's thread, and written before it starts.
  private let monitor = Monitor()
  private var outgoing: [UInt8] = []
  private var record = SerialRecord()
  private var lost = 0
  private let wake: Int32
  private let input: Int32
  private let output: Int32
  private let listener: Int32
  private var peer: Int32 = -1
  private var stopping = false
  private var thread: Thread?
  private let socketPath: String?
  /// Hands bytes to the UART; answers how many it took.
  private let receive: @Sendable ([UInt8]) -> Int
  private var unread: [UInt8] = []
  /// What the guest said while nobody was connected to the socket: the peer that comes gets it first.
  private var unheard: [UInt8] = []
  /// Standard input is at its end: polled no more, so that the thread does not spin.
  private var inputEnded = false

  private static let bufferLimit = 1 << 20
  /// The last bytes that are kept for a peer that comes later.
  private static let unheardLimit = 64 << 10
  private static let retryMilliseconds: Int32 = 10
  /// How often a far end that does not read is given up on, where the machine stops.
  private static let patienceMilliseconds: Int32 = 100
  private static let atomicBytes = 4096

  /// - Throws: ``HostError`` where the file or the socket can't be opened.
  public init(
    _ target: SerialTarget, receive: @escaping @Sendable ([UInt8]) -> Int
  ) throws(HostError) {
    self.receive = receive
    var input: Int32 = -1
    var output: Int32 = -1
    var listener: Int32 = -1
    var path: String?
    switch target {
    case .none: break
    case .stdio:
      input = STDIN_FILENO
      output = STDOUT_FILENO
    case .file(let name):
      output = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
      guard output >= 0 else { throw HostError("open the serial file \(name)", code: errno) }
    case .socket(let name):
      listener = try Self.listen(at: name)
      path = name
    }
    self.input = input
    self.output = output
    self.listener = listener
    socketPath = path
    wake = eventfd(0, Int32(EFD_CLOEXEC | EFD_NONBLOCK))
    guard wake >= 0 else { throw HostError("make an event for the serial port", code: errno) }
  }

  deinit {
    if peer >= 0 { close(peer) }
    if listener >= 0 { close(listener) }
    if output > STDERR_FILENO { close(output) }
    if let socketPath { unlink(socketPath) }
    close(wake)
  }

  private static func listen(at path: String) throws(HostError) -> Int32 {
    var address = sockaddr_un()
    let room = MemoryLayout.size(ofValue: address.sun_path)
    guard path.utf8.count < room else {
      throw HostError(
        "make the serial socket \(path): the path is longer than \(room - 1) bytes")
    }
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
    let fd = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    guard fd >= 0 else { throw HostError("make the serial socket \(path)", code: errno) }
    let bound = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(fd, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard bound == 0, chmod(path, 0o600) == 0, Glibc.listen(fd, 1) == 0 else {
      let code = errno
      close(fd)
      throw HostError("listen on the serial socket \(path)", code: code)
    }
    return fd
  }

  /// Starts the thread `serial0`.
  public func start() throws(HostError) {
    thread = try Thread(name: "serial0") { [unowned self] in self.loop() }
  }

  /// Writes what waits, then ends the thread.
  public func stop() {
    monitor.withLock { stopping = true }
    signalThread()
    thread?.join()
    thread = nil
  }

  /// A byte from the guest. Never waits.
  public func send(_ byte: UInt8) {
    let first = monitor.withLock {
      record.append(byte)
      guard outgoing.count < Self.bufferLimit else {
        lost &+= 1
        return false
      }
      outgoing.append(byte)
      return outgoing.count == 1
    }
    if first { signalThread() }
  }

  /// What the guest said since the machine's start or its last reset, as far as it is recent: the last
  /// 64 KiB at least.
  public var said: [UInt8] { monitor.withLock { record.bytes } }

  /// Forgets what was said: another guest begins.
  func forget() { monitor.withLock { record = SerialRecord() } }

  private func signalThread() {
    var one: UInt64 = 1
    _ = write(wake, &one, 8)
  }

  private func loop() {
    while true {
      let (bytes, end) = monitor.withLock { () -> ([UInt8], Bool) in
        let bytes = outgoing
        outgoing.removeAll(keepingCapacity: true)
        return (bytes, stopping)
      }
      if !bytes.isEmpty { deliver(bytes) }
      if end { return }
      waitForWork()
    }
  }

  /// Hands `bytes` to the far end. One that does not read holds up this thread alone, and not even
  /// that once the machine stops.
  private func deliver(_ bytes: [UInt8]) {
    let target = listener >= 0 ? peer : output
    guard target >= 0 else { return keep(bytes) }
    var done = 0
    while done < bytes.count {
      var ready = pollfd(fd: target, events: Int16(POLLOUT), revents: 0)
      guard poll(&ready, 1, Self.patienceMilliseconds) > 0 else {
        if monitor.withLock({ stopping }) { return }
        continue
      }
      // No more than a pipe that is ready takes at once (pipe(7), PIPE_BUF).
      let step = min(bytes.count - done, Self.atomicBytes)
      let count = bytes.withUnsafeBytes { buffer in
        listener >= 0
          ? Glibc.send(
            target, buffer.baseAddress?.advanced(by: done), step,
            Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT))
          : write(target, buffer.baseAddress?.advanced(by: done), step)
      }
      if count > 0 {
        done += count
      } else if count < 0 && (errno == EINTR || errno == EAGAIN) {
        continue
      } else {
        return
      }
    }
  }

  private func waitForWork() {
    offerUnread()
    // A guest that has not taken its input yet is asked again soon; new input waits meanwhile.
    let source = listener >= 0 ? (peer >= 0 ? peer : listener) : inputEnded ? -1 : input
    var events = [
      pollfd(fd: wake, events: Int16(POLLIN), revents: 0),
      pollfd(fd: unread.isEmpty ? source : -1, events: Int16(POLLIN), revents: 0),
    ]
    guard poll(&events, 2, unread.isEmpty ? -1 : Self.retryMilliseconds) >= 0 else { return }
    if events[0].revents != 0 {
      var count: UInt64 = 0
      _ = read(wake, &count, 8)
    }
    guard events[1].revents != 0 else { return }
    if listener >= 0 && peer < 0 { acceptPeer() } else { readInput(source) }
  }

  private func acceptPeer() {
    peer = accept(listener, nil, nil)
    guard peer >= 0 else { return }
    _ = fcntl(peer, F_SETFD, FD_CLOEXEC)
    let bytes = unheard
    unheard = []
    if !bytes.isEmpty { deliver(bytes) }
  }

  /// Keeps what nobody hears, as far as it is recent.
  private func keep(_ bytes: [UInt8]) {
    guard listener >= 0 else { return }
    unheard += bytes
    if unheard.count > Self.unheardLimit {
      unheard.removeFirst(unheard.count - Self.unheardLimit)
    }
  }

  private func readInput(_ source: Int32) {
    var bytes = [UInt8](repeating: 0, count: 1024)
    let count = read(source, &bytes, bytes.count)
    if count > 0 {
      unread = Array(bytes[..<count])
      offerUnread()
    } else if listener >= 0 {
      close(peer)
      peer = -1
    } else if count == 0 {
      inputEnded = true
    }
  }

  private func offerUnread() {
    guard !unread.isEmpty else { return }
    let taken = max(0, min(receive(unread), unread.count))
    unread.removeFirst(taken)
  }
}

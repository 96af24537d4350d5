import Glibc
import KVMEngine
import Synchronization

/// Serves the control socket: a thread listens, and each connection has a thread of its own, so
/// that a client that hangs is nobody's trouble but its own.
///
/// Bounds: ``ControlProtocol/mostConnections`` at a time, ``ControlProtocol/longestLine`` a line,
/// ``ControlProtocol/patience`` for each line and for a reply nobody takes.
final class ControlServer: Sendable {
  private let path: String
  private let listener: Int32
  private let dispatcher: ControlDispatcher
  private let connections = Mutex(0)
  private let stopping = Atomic(false)
  private let thread = Mutex<KVMEngine.Thread?>(nil)

  /// Takes over `listener`, a listening socket at `path`.
  init(owning listener: Int32, path: String, desktop: any DesktopControl) {
    self.listener = listener
    self.path = path
    dispatcher = ControlDispatcher(desktop: desktop)
  }

  /// Begins to answer.
  func start() throws {
    let started = try KVMEngine.Thread(name: "control") { [self] in acceptUntilStopped() }
    thread.withLock { $0 = started }
  }

  /// Stops listening and takes the socket's file away. Connections end with the process.
  func stop() {
    stopping.store(true, ordering: .releasing)
    unlink(path)
    shutdown(listener, Int32(SHUT_RDWR))
    thread.withLock { thread in
      thread?.join()
      thread = nil
    }
    close(listener)
  }

  private func acceptUntilStopped() {
    while !stopping.load(ordering: .acquiring) {
      let descriptor = accept(listener, nil, nil)
      if descriptor >= 0 {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        admit(descriptor)
      } else if errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM {
        // The host has no room for another connection: ask again a little later.
        usleep(100_000)
      } else if errno != EINTR && errno != ECONNABORTED {
        return
      }
    }
  }

  private func admit(_ descriptor: Int32) {
    let peer = UnixSocket.peer(of: descriptor)
    let stream = ControlStream(owning: descriptor)
    guard peer == geteuid() || peer == 0 else {
      return refuse(stream, .notAllowed, "this desktop belongs to another user")
    }
    let admitted = connections.withLock { count in
      guard count < ControlProtocol.mostConnections else { return false }
      count += 1
      return true
    }
    guard admitted else {
      return refuse(stream, .busy, "too many control connections at a time; try again")
    }
    let connection = SendableStream(stream: stream)
    let started = try? KVMEngine.Thread(name: "control-client") { [self] in
      serve(connection.stream)
      connections.withLock { $0 -= 1 }
    }
    if started == nil { connections.withLock { $0 -= 1 } }
  }

  /// Hands a stream to the one thread that uses it from then on.
  private struct SendableStream: @unchecked Sendable {
    // SAFETY: `admit` does not touch the stream once the connection's thread has it.
    let stream: ControlStream
  }

  private func serve(_ stream: ControlStream) {
    while true {
      do {
        let line = try stream.readLine(
          limit: ControlProtocol.longestLine, patience: ControlProtocol.patience)
        let answer = dispatcher.answer(line)
        try send(answer, over: stream)
        if answer.stops { dispatcher.desktop.stop() }
      } catch ControlStream.Failure.tooLong {
        return refuse(
          stream, .tooLong, "a request has at most \(ControlProtocol.longestLine) bytes")
      } catch {
        return
      }
    }
  }

  private func send(_ answer: ControlDispatcher.Answer, over stream: ControlStream) throws {
    try stream.write(try ControlCoding.line(answer.reply), patience: ControlProtocol.patience)
    try stream.write(answer.body, patience: ControlProtocol.patience)
  }

  private func refuse(_ stream: ControlStream, _ code: ControlFailure.Code, _ message: String) {
    let failure = ControlFailure(code: code, message: message)
    guard let line = try? ControlCoding.line(ControlReply(error: failure)) else { return }
    // The listener's thread never waits for a peer: what does not fit the buffer is lost.
    try? stream.write(line, patience: 0)
  }
}

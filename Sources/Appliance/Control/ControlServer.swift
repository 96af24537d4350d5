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
  private let events: EventHub
  private let connections = Mutex(Connections())
  private let stopping = Atomic(false)
  private let thread = Mutex<KVMEngine.Thread?>(nil)

  /// The connections' threads. Only the listener's thread adds them, and joins those that are done.
  private struct Connections {
    var last = 0
    var running: Set<Int> = []
    var threads: [Int: KVMEngine.Thread] = [:]
  }

  /// Takes over `listener`, a listening socket at `path`.
  init(
    owning listener: Int32, path: String, desktop: any DesktopControl, events: EventHub = EventHub()
  ) {
    self.events = events
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
    joinFinished()
    guard let number = takePlace() else {
      return refuse(stream, .busy, "too many control connections at a time; try again")
    }
    let connection = SendableStream(stream: stream)
    let thread = try? KVMEngine.Thread(name: "control-client") { [self] in
      serve(connection.stream)
      connections.withLock { _ = $0.running.remove(number) }
    }
    connections.withLock { connections in
      if let thread {
        connections.threads[number] = thread
      } else {
        connections.running.remove(number)
      }
    }
  }

  /// A number for one more connection; nil where there are too many.
  private func takePlace() -> Int? {
    connections.withLock { connections in
      guard connections.running.count < ControlProtocol.mostConnections else { return nil }
      connections.last &+= 1
      connections.running.insert(connections.last)
      return connections.last
    }
  }

  private func joinFinished() {
    let finished = connections.withLock { connections in
      let running = connections.running
      let finished = connections.threads.filter { !running.contains($0.key) }
      for number in finished.keys { connections.threads[number] = nil }
      return finished.values
    }
    for thread in finished { thread.join() }
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
        if answer.subscribes { return events.serve(stream) }
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

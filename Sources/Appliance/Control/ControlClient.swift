import Glibc
import KVMEngine

/// A connection to a running desktop.
struct ControlClient {
  let name: String
  private let link: Link
  /// How long a desktop may take for an answer that needs no guest, in nanoseconds.
  static let answerPatience: UInt64 = 15_000_000_000
  /// The same where only the desktop's own state is asked for.
  static let statusPatience: UInt64 = 5_000_000_000
  /// How long a client asks again where a desktop has too many others.
  private static let busyPatience: UInt64 = 20_000_000_000

  /// The connection, which is made anew where the desktop was too busy for it.
  private final class Link {
    let path: String
    var stream: ControlStream

    init(_ name: String, _ path: String) throws {
      self.path = path
      stream = try Self.connect(name, path)
    }

    func renew(_ name: String) throws { stream = try Self.connect(name, path) }

    private static func connect(_ name: String, _ path: String) throws -> ControlStream {
      do {
        return ControlStream(owning: try UnixSocket.connect(path: path))
      } catch is UnixSocket.Unresponsive {
        throw ControlClient.silence(of: name)
      }
    }
  }

  private var stream: ControlStream { link.stream }

  /// Connects to the desktop called `wanted`, or to the only one that runs.
  init(_ wanted: String?, in directory: RuntimeDirectory) throws {
    if let wanted, let link = try Self.reach(wanted, in: directory) {
      name = wanted
      self.link = link
      return
    }
    name = try Self.choose(wanted, of: try directory.runningNames())
    link = try Link(name, directory.socketPath(name))
  }

  /// Connects to the desktop that listens at `socket`.
  /// - Parameter name: what messages call it.
  init(_ name: String, socket: String) throws {
    self.name = name
    link = try Link(name, socket)
  }

  /// Connects to the desktop called `name`: where this folder has its socket, or where its own
  /// folder says that it is.
  /// - Returns: nil where no such desktop is known.
  /// - Throws: a sentence about one that is known, and does not run.
  private static func reach(_ name: String, in directory: RuntimeDirectory) throws -> Link? {
    guard (try? DesktopName.parse(name)) != nil else { return nil }
    do {
      return try Link(name, directory.socketPath(name))
    } catch let complaint as Complaint {
      throw complaint
    } catch {}
    guard let store = try? StoreDirectories.locate(),
      let folder = DesktopStore(directories: store).existing(name)
    else { return nil }
    guard case .writer(let record) = try DesktopLock.holder(of: folder) else {
      throw Complaint("desktop \(name) does not run; start it with: porthole start \(name)")
    }
    guard let socket = record?.socket else {
      throw Complaint("desktop \(name) does not run yet; wait for it with: porthole wait \(name)")
    }
    return try Link(name, socket)
  }

  /// The desktop that is meant.
  static func choose(_ wanted: String?, of running: [String]) throws(Complaint) -> String {
    if let wanted, running.contains(wanted) { return wanted }
    let list = running.joined(separator: ", ")
    switch (wanted, running.count) {
    case (nil, 1): return running[0]
    case (nil, 0): throw Complaint("no desktop runs; start one with: porthole run")
    case (nil, _): throw Complaint("several desktops run; name one of them: \(list)")
    case (let wanted?, 0):
      throw Complaint(
        "no desktop named \(wanted) runs, and no other does; porthole list tells what there is")
    case (let wanted?, _):
      throw Complaint("no desktop named \(wanted) runs; these do: \(list)")
    }
  }

  /// The desktop's process, where that can be told.
  var process: pid_t? { stream.peerProcess }

  /// What a desktop answered.
  struct Answer {
    var reply: ControlReply
    var body: [UInt8]
  }

  /// Asks for `method`.
  /// - Parameter waits: the answer may take as long as the guest takes.
  /// - Throws: the desktop's own sentence, or one about the connection.
  @discardableResult
  func call(
    _ method: ControlMethod, text: String? = nil, chord: String? = nil, path: String? = nil,
    mark: String? = nil, steady: Bool? = nil, stops: Bool? = nil,
    picture: PictureWish = PictureWish(), waits: Bool = false,
    patience: UInt64 = answerPatience
  ) throws -> Answer {
    let request = ControlRequest(
      v: ControlProtocol.version, id: 1, method: method.rawValue, text: text, chord: chord,
      path: path, mark: mark, region: picture.region, scale: picture.scale, steady: steady,
      stops: stops)
    return try call(request, waits: waits, patience: patience)
  }

  /// Sends a request and waits for its reply; where the desktop has too many connections, for its turn.
  /// - Parameters:
  ///   - waits: the answer may take as long as the guest takes; the desktop is asked now and then
  ///     whether it is still there.
  ///   - patience: how long it may take otherwise, nanoseconds.
  func call(
    _ request: ControlRequest, waits: Bool = false, patience: UInt64 = answerPatience
  ) throws -> Answer {
    let deadline = Monitor.monotonic() &+ min(patience, Self.busyPatience)
    while true {
      do {
        try send(request)
        return try answer(waits: waits, patience: patience)
      } catch let failure as ControlFailure where failure.code == .busy {
        guard Monitor.monotonic() < deadline else { throw failure }
        usleep(50_000)
        try link.renew(name)
      }
    }
  }

  /// Sends a request whose answer is taken later.
  func send(_ request: ControlRequest) throws {
    do {
      try stream.write(try ControlCoding.line(request), patience: ControlProtocol.patience)
    } catch ControlStream.Failure.system(EPIPE) {
      // Whoever has closed the connection may have said why.
    } catch let failure as ControlStream.Failure {
      throw complaint(about: failure)
    }
  }

  /// Takes the answer to what was sent.
  func answer(waits: Bool = false, patience: UInt64 = answerPatience) throws -> Answer {
    do {
      let reply = try ControlCoding.message(
        ControlReply.self, in: try line(waits: waits, patience: patience))
      if let error = reply.error { throw error }
      let count = reply.body ?? 0
      guard (0...ControlProtocol.largestBody).contains(count) else { throw unintelligible }
      let body = try stream.readBody(count: count, patience: ControlProtocol.patience)
      return Answer(reply: reply, body: body)
    } catch let failure as ControlStream.Failure {
      throw complaint(about: failure)
    } catch is DecodingError {
      throw unintelligible
    }
  }

  private func line(waits: Bool, patience: UInt64) throws -> [UInt8] {
    while true {
      do {
        return try stream.readLine(
          limit: ControlProtocol.longestLine, patience: waits ? Self.statusPatience : patience)
      } catch ControlStream.Failure.timedOut where waits {
        // One that is stopped, or hangs, never answers.
        _ = try ControlClient(name, socket: link.path).call(.status, patience: Self.statusPatience)
      }
    }
  }

  /// Asks for events, and hands each to `body` as a line with its line feed, until the desktop ends.
  func subscribe(_ body: ([UInt8]) throws -> Void) throws {
    try call(.subscribe)
    while true {
      let line: [UInt8]
      do {
        line = try stream.readLine(limit: ControlProtocol.longestLine, patience: nil)
      } catch .ended {
        return
      } catch {
        throw complaint(about: error)
      }
      if let reply = try? ControlCoding.message(ControlReply.self, in: line),
        let error = reply.error
      {
        throw error
      }
      try body(line + [UInt8(ascii: "\n")])
    }
  }

  /// Waits until the desktop's process has closed the connection.
  func waitForEnd() throws {
    do {
      try stream.waitForEnd(patience: Self.answerPatience)
    } catch {
      throw complaint(about: error)
    }
  }

  /// Waits until no desktop of this name runs any more.
  /// - Parameter seconds: how long at most.
  /// - Returns: whether it is gone.
  func isGone(within seconds: Int, from directory: RuntimeDirectory) -> Bool {
    let deadline = Monitor.monotonic() &+ UInt64(clamping: seconds) &* 1_000_000_000
    while UnixSocket.isListening(path: directory.socketPath(name)) {
      guard Monitor.monotonic() < deadline else { return false }
      usleep(50_000)
    }
    return true
  }

  private var unintelligible: Complaint {
    Complaint("desktop \(name) gave an answer that this version of porthole does not understand")
  }

  /// The sentence about a desktop that does not answer.
  static func silence(of name: String) -> Complaint {
    Complaint("desktop \(name) does not answer; if it hangs, end it with: porthole kill \(name)")
  }

  private func complaint(about failure: ControlStream.Failure) -> Complaint {
    switch failure {
    case .ended, .cut:
      Complaint(
        UnixSocket.isListening(path: link.path)
          ? "desktop \(name) closed the connection; try again" : "desktop \(name) has ended")
    case .timedOut: Self.silence(of: name)
    case .tooLong: unintelligible
    case .system(let code): Complaint("cannot talk to desktop \(name): \(HostError.text(of: code))")
    }
  }
}

import Glibc
import KVMEngine

/// A connection to a running desktop.
struct ControlClient {
  let name: String
  private let stream: ControlStream
  /// How long a desktop may take for an answer that needs no guest, in nanoseconds.
  private static let answerPatience: UInt64 = 30_000_000_000

  /// Connects to the desktop called `wanted`, or to the only one that runs.
  init(_ wanted: String?, in directory: RuntimeDirectory) throws {
    if let wanted, let descriptor = try Self.reach(wanted, in: directory) {
      name = wanted
      stream = ControlStream(owning: descriptor)
      return
    }
    name = try Self.choose(wanted, of: try directory.runningNames())
    stream = ControlStream(
      owning: try UnixSocket.connect(path: directory.socketPath(name)))
  }

  /// Connects to the desktop that listens at `socket`.
  /// - Parameter name: what messages call it.
  init(_ name: String, socket: String) throws {
    self.name = name
    stream = ControlStream(owning: try UnixSocket.connect(path: socket))
  }

  /// Connects to the desktop called `name`: where this folder has its socket, or where its own
  /// folder says that it is.
  /// - Returns: nil where no such desktop is known.
  /// - Throws: a sentence about one that is known, and does not run.
  private static func reach(_ name: String, in directory: RuntimeDirectory) throws -> Int32? {
    guard (try? DesktopName.parse(name)) != nil else { return nil }
    if let descriptor = try? UnixSocket.connect(path: directory.socketPath(name)) {
      return descriptor
    }
    guard let store = try? StoreDirectories.locate(),
      let folder = DesktopStore(directories: store).existing(name)
    else { return nil }
    guard case .writer(let record) = try DesktopLock.holder(of: folder) else {
      throw Complaint("desktop \(name) does not run; start it with: porthole start \(name)")
    }
    guard let socket = record?.socket else {
      throw Complaint("desktop \(name) does not run yet; wait for it with: porthole wait \(name)")
    }
    return try UnixSocket.connect(path: socket)
  }

  /// The desktop that is meant.
  static func choose(_ wanted: String?, of running: [String]) throws(Complaint) -> String {
    if let wanted, running.contains(wanted) { return wanted }
    let list = running.joined(separator: ", ")
    switch (wanted, running.count) {
    case (nil, 1): return running[0]
    case (nil, 0): throw Complaint("no desktop runs; start one with: porthole run")
    case (nil, _): throw Complaint("several desktops run; name one of them: \(list)")
    case (let wanted?, 0): throw Complaint("no desktop named \(wanted) runs, and no other does")
    case (let wanted?, _):
      throw Complaint("no desktop named \(wanted) runs; these do: \(list)")
    }
  }

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
    picture: PictureWish = PictureWish(), waits: Bool = false
  ) throws -> Answer {
    let request = ControlRequest(
      v: ControlProtocol.version, id: 1, method: method.rawValue, text: text, chord: chord,
      path: path, mark: mark, region: picture.region, scale: picture.scale, steady: steady,
      stops: stops)
    return try call(request, waits: waits)
  }

  /// Sends a request and waits for its reply.
  func call(_ request: ControlRequest, waits: Bool = false) throws -> Answer {
    do {
      try stream.write(try ControlCoding.line(request), patience: ControlProtocol.patience)
      let line = try stream.readLine(
        limit: ControlProtocol.longestLine, patience: waits ? nil : Self.answerPatience)
      let reply = try ControlCoding.message(ControlReply.self, in: line)
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

  private func complaint(about failure: ControlStream.Failure) -> Complaint {
    switch failure {
    case .ended, .cut: Complaint("desktop \(name) closed the connection")
    case .timedOut: Complaint("desktop \(name) does not answer")
    case .tooLong: unintelligible
    case .system(let code): Complaint("cannot talk to desktop \(name): \(HostError.text(of: code))")
    }
  }
}

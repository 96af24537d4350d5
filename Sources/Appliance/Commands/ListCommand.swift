import ArgumentParser
import FoundationEssentials
import KVMEngine

/// `porthole list`: the desktops that there are, and those that run.
struct ListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list",
    abstract: "Lists your desktops: those with names, and all that run.")

  @Flag(name: .long, help: "Only those that run.")
  var running = false

  @Flag(name: .long, help: "Print a JSON array.")
  var json = false

  func run() throws {
    let entries = try DesktopList.entries(onlyRunning: running)
    guard json else { return entries.forEach { Console.output($0.line) } }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    Console.output(String(decoding: try encoder.encode(entries), as: UTF8.self))
  }

  /// One desktop's line.
  static func line(_ status: DesktopStatus) -> String {
    let memory = MemorySize.describe(status.memory)
    return "\(status.name)\tpid \(status.pid)\tvnc \(status.vnc ?? "none")\t\(memory)"
  }
}

/// What is known of a desktop without reading its configuration.
struct DesktopEntry: Encodable, Equatable, Sendable {
  /// What a desktop can be doing.
  enum State: String, Encodable, Sendable {
    case stopped, running, paused
    /// It waits for room on the host.
    case noRoom = "no-room"
    /// Its process is there, its socket is not yet.
    case starting
    /// It does not answer.
    case hung
    /// Its folder cannot be looked into.
    case damaged
    /// A command is at work on it.
    case busy
  }

  var name: String
  var state: State
  /// Whether it has a folder in the store.
  var stored: Bool
  /// What the desktop tells, where it runs.
  var status: DesktopStatus?

  /// The line for people.
  var line: String {
    guard let status else { return "\(name)\t\(state.rawValue)" }
    return ListCommand.line(status)
      + (state == .paused || state == .noRoom ? "\t\(state.rawValue)" : "")
  }

  private enum CodingKeys: CodingKey { case name, state, stored }

  /// All in one object.
  func encode(to encoder: any Encoder) throws {
    try status?.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(name, forKey: .name)
    try container.encode(state, forKey: .state)
    try container.encode(stored, forKey: .stored)
  }
}

/// Finds the desktops that there are.
enum DesktopList {
  /// How many are asked at the same time.
  private static let atOnce = 100

  /// All of them by name: those of the store, and those that run without a place in it.
  static func entries(onlyRunning: Bool = false) throws -> [DesktopEntry] {
    let store = try DesktopStore.open()
    let directory = try RuntimeDirectory.locate()
    var sockets = Set(try directory.socketNames())
    var found: [(entry: DesktopEntry, socket: String?)] = []
    for name in try store.names() {
      let (entry, socket) = look(store.folder(name))
      found.append((entry, socket))
      // One that is stopped may have its name borrowed by a desktop that was given none.
      if entry.state != .stopped { sockets.remove(name) }
    }
    for name in sockets {
      let entry = DesktopEntry(name: name, state: .stopped, stored: false)
      found.append((entry, directory.socketPath(name)))
    }
    var entries: [DesktopEntry] = []
    for start in stride(from: 0, to: found.count, by: atOnce) {
      entries += ask(found[start..<min(start + atOnce, found.count)])
    }
    // What desktops that were killed left is taken away.
    if entries.contains(where: { $0.state == .stopped && !$0.stored }) {
      _ = try? directory.runningNames()
    }
    // Of one that is just ending both its folder and its socket may tell.
    let stored = Set(entries.lazy.filter(\.stored).map(\.name))
    entries.removeAll { entry in
      entry.state == .stopped && (onlyRunning || !entry.stored)
        || entry.state == .hung && !entry.stored && stored.contains(entry.name)
    }
    return entries.sorted { $0.name < $1.name }
  }

  /// A desktop of the store.
  static func stored(_ folder: DesktopFolder) -> DesktopEntry {
    let (entry, socket) = look(folder)
    return ask([(entry, socket)]).first ?? entry
  }

  /// What a desktop's folder says of it.
  /// - Returns: its control socket, too, where it has one.
  private static func look(_ folder: DesktopFolder) -> (DesktopEntry, String?) {
    var entry = DesktopEntry(name: folder.name, state: .stopped, stored: true)
    do {
      guard case .writer(let record) = try DesktopLock.holder(of: folder) else {
        return (entry, nil)
      }
      entry.state = record == nil ? .busy : .starting
      return (entry, record?.socket)
    } catch {
      // One desktop's trouble hides none of the others.
      entry.state = .damaged
      return (entry, nil)
    }
  }

  /// Asks desktops for their state, all at once: those that do not answer cost their time together.
  private static func ask(
    _ desktops: ArraySlice<(entry: DesktopEntry, socket: String?)>
  ) -> [DesktopEntry] {
    let clients = desktops.map { entry, socket in
      socket.map { socket in
        Result {
          let client = try ControlClient(entry.name, socket: socket)
          try client.send(.status)
          return client
        }
      }
    }
    let deadline = Monitor.monotonic() &+ ControlClient.statusPatience
    return zip(desktops, clients).map { desktop, client in
      guard let client, let socket = desktop.socket else { return desktop.entry }
      var entry = desktop.entry
      do {
        let now = Monitor.monotonic()
        let rest = deadline > now ? deadline - now : 0
        entry.status = try client.get().answer(patience: rest).reply.status
        entry.state = entry.status?.state.flatMap { .init(rawValue: $0) } ?? .running
      } catch let failure as ControlFailure where failure.code == .busy {
        entry.state = .running
      } catch {
        entry.state = UnixSocket.isListening(path: socket) ? .hung : .stopped
      }
      return entry
    }
  }
}

extension ControlRequest {
  /// Asks for a desktop's state.
  static let status = ControlRequest(
    v: ControlProtocol.version, id: 1, method: ControlMethod.status.rawValue)
}

import ArgumentParser
import FoundationEssentials

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
  /// All of them by name: those of the store, and those that run without a place in it.
  static func entries(onlyRunning: Bool = false) throws -> [DesktopEntry] {
    let store = try DesktopStore.open()
    let directory = try RuntimeDirectory.locate()
    var sockets = Set(try directory.socketNames())
    var entries: [DesktopEntry] = []
    for name in try store.names() {
      let entry = try stored(store.folder(name), in: directory)
      if !onlyRunning || entry.status != nil { entries.append(entry) }
      // One that is stopped may have its name borrowed by a desktop that was given none.
      if entry.state != .stopped { sockets.remove(name) }
    }
    for name in sockets {
      if let status = status(at: directory.socketPath(name), name: name, in: directory) {
        entries.append(
          DesktopEntry(name: name, state: state(status), stored: false, status: status))
      }
    }
    return entries.sorted { $0.name < $1.name }
  }

  /// A desktop of the store.
  static func stored(_ folder: DesktopFolder, in directory: RuntimeDirectory) throws -> DesktopEntry
  {
    var entry = DesktopEntry(name: folder.name, state: .stopped, stored: true)
    guard case .writer(let record) = try DesktopLock.holder(of: folder) else { return entry }
    guard let record else {
      entry.state = .busy
      return entry
    }
    entry.state = .starting
    guard let socket = record.socket else { return entry }
    if let status = status(at: socket, name: folder.name, in: directory) {
      entry.status = status
      entry.state = state(status)
    }
    return entry
  }

  private static func state(_ status: DesktopStatus) -> DesktopEntry.State {
    status.state.flatMap { .init(rawValue: $0) } ?? .running
  }

  /// What the desktop behind a socket tells; nil where it has ended, or does not answer, which hides
  /// none of the others.
  private static func status(
    at socket: String, name: String, in directory: RuntimeDirectory
  ) -> DesktopStatus? {
    do {
      return try ControlClient(name, socket: socket).call(.status).reply.status
    } catch {
      // The socket of a desktop that was killed is taken away.
      if !UnixSocket.isListening(path: socket) {
        _ = try? directory.runningNames()
      } else {
        Console.error("porthole: \(error)")
      }
      return nil
    }
  }
}

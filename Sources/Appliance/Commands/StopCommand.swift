import ArgumentParser
import Glibc
import KVMEngine

/// `porthole stop`: the end of a desktop's process; for desktops of the store, the guest is asked
/// first.
struct StopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop",
    abstract: "Switches a running desktop off.",
    discussion: """
      A desktop that porthole create made has its power button pressed, so that its system shuts \
      down; one that does not listen to it, or is not off in time, is switched off. A desktop of \
      porthole run is switched off at once. Returns when the desktop's process has gone. porthole \
      kill never asks, porthole powerdown never does without asking.
      """)

  @OptionGroup var desktop: DesktopArgument

  @Option(name: .long, help: "Seconds that the guest has; 0 asks nobody.")
  var timeout = 30

  func validate() throws { try PowerdownCommand.check(timeout, least: 0) }

  func run() throws {
    let client = try desktop.connect()
    let folder = try DesktopStore(directories: .locate()).existing(client.name)
    try RunningDesktop(client, folder: folder).end(within: folder == nil ? 0 : timeout)
  }
}

/// `porthole kill`: the plug.
struct KillCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kill",
    abstract: "Switches a running desktop off at once.",
    discussion: """
      The guest is not asked; what it wrote and flushed is kept. A desktop that does not answer is \
      ended by force. Returns when its process has gone.
      """)

  @OptionGroup var desktop: DesktopArgument

  func run() throws {
    let folder = try desktop.wanted.flatMap {
      try DesktopStore(directories: .locate()).existing($0)
    }
    var process: pid_t?
    do {
      let client = try desktop.connect()
      process = client.process
      try RunningDesktop(client, folder: folder).end(within: 0)
    } catch {
      // What hangs, or has no socket yet, has a process nevertheless.
      if let folder {
        guard case .writer(let record?) = try DesktopLock.holder(of: folder) else { throw error }
        process = record.pid
      }
      guard let process, process > 0, Glibc.kill(process, SIGKILL) == 0 else { throw error }
      if let folder { try RunningDesktop.waitUntilFree(folder) }
    }
  }
}

/// A desktop that is to end.
struct RunningDesktop {
  private let client: ControlClient
  private let folder: DesktopFolder?

  /// - Parameter folder: nil for one without a name in the store.
  init(_ client: ControlClient, folder: DesktopFolder?) {
    self.client = client
    self.folder = folder
  }

  /// Switches it off, after having asked the guest where it has some seconds to do so.
  func end(within seconds: Int) throws {
    if seconds > 0, try askGuest(within: seconds) { return }
    do {
      let plug = try ControlClient(client.name, in: try .locate())
      try plug.call(.stop, patience: ControlClient.statusPatience)
      try plug.waitForEnd()
    } catch {
      // It may have ended by itself meanwhile.
      guard let folder, case .writer = try DesktopLock.holder(of: folder) else {
        if folder == nil { throw error }
        return
      }
      throw error
    }
    if let folder { try Self.waitUntilFree(folder) }
  }

  /// Presses the power button.
  /// - Returns: whether the desktop is off.
  private func askGuest(within seconds: Int) throws -> Bool {
    do {
      // A guest that stands still cannot shut down.
      if try client.call(.status).reply.status?.state == "paused" { try client.call(.resume) }
      try client.call(.powerdown)
    } catch is ControlFailure {
      return false
    }
    let deadline = Monitor.monotonic() &+ UInt64(clamping: seconds) &* 1_000_000_000
    while Monitor.monotonic() < deadline {
      guard let folder, case .writer = try DesktopLock.holder(of: folder) else { return true }
      usleep(10_000)
    }
    Console.error(
      "porthole: \(client.name): the guest was not off after \(seconds) s; it is switched off")
    return false
  }

  /// Waits until the process of a desktop in the store has gone.
  static func waitUntilFree(_ folder: DesktopFolder) throws {
    let deadline = Monitor.monotonic() &+ 30_000_000_000
    while case .writer = try DesktopLock.holder(of: folder) {
      guard Monitor.monotonic() < deadline else {
        throw Complaint("desktop \(folder.name) does not end; try porthole kill \(folder.name)")
      }
      usleep(1000)
    }
  }
}

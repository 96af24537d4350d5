import CProcess
import Glibc
import KVMEngine
import Machine

/// The life of one desktop's process, from the options to the exit status.
struct DesktopProcess {
  private let command: RunCommand
  /// The desktop in the store that this is; nil where it has no folder.
  private let stored: StoredDesktop?

  init(_ command: RunCommand, stored: StoredDesktop? = nil) {
    self.command = command
    self.stored = stored
  }

  /// Exit statuses beside 0 and those of signals; they stand in the README and in `--help`.
  enum Status {
    static let failed: Int32 = 1
    static let tripleFault: Int32 = 2
    /// EX_CONFIG of sysexits.h: no desktop of that name, or one whose configuration has a mistake.
    /// Another attempt would end the same.
    static let unusable: Int32 = 78
    static let interrupted: Int32 = 128 + SIGINT
  }

  /// After so long the start is over, and what only it has needed is given back.
  private static let startMilliseconds: UInt64 = 1_000

  /// Runs the desktop until it stops.
  /// - Returns: the process's exit status.
  func run() throws -> Int32 {
    Signals.block()
    if stored == nil, let name = command.name,
      let store = try? StoreDirectories.locate(),
      DesktopStore(directories: store).existing(name) != nil
    {
      throw Complaint(
        "there is a desktop named \(name); run it with porthole start \(name), or choose another"
          + " --name")
    }
    let directory = try RuntimeDirectory.locate()
    let (name, listener) = try directory.claim(
      command.name, backlog: Int32(ControlProtocol.mostConnections))
    let path = directory.socketPath(name)
    stored?.claimed(path)
    do {
      let reason = try run(name: name, listener: listener, path: path)
      return Self.finish(reason, name: name, say: say)
    } catch {
      unlink(path)
      throw error
    }
  }

  private func run(name: String, listener: Int32, path: String) throws -> StopReason {
    let password = try command.password()
    let (machine, configuration) = try makeMachine(name: name, password: password)
    let events = EventHub()
    machine.observe { events.publish(ControlEvent(of: $0)) }
    let watcher = try Signals.watch { machine.requestStop(.signal($0)) }
    try machine.start()
    let viewers = command.vnc == .none ? nil : command.vnc.text(port: machine.vncPort)
    let status = DesktopStatus(
      name: name, pid: getpid(), vnc: viewers, memory: configuration.memoryBytes,
      processors: configuration.processors)
    let server = ControlServer(
      owning: listener, path: path, desktop: LiveDesktop(machine: machine, status: status),
      events: events)
    events.begin { machine.screenState.map(ControlEvent.init(of:)) }
    try server.start()
    announce(name: name, viewers: viewers, password: password)
    tellSlowEngine(name: name, configuration.engine)
    let reason = withExtendedLifetime(watcher) {
      if !machine.stops(within: Self.startMilliseconds) { cprocess_give_back() }
      return machine.waitUntilStopped()
    }
    stored?.stopped(machine, because: reason)
    var event = ControlEvent(.stopped)
    event.reason = reason.sentence
    events.end(event)
    server.stop()
    return reason
  }

  /// Tells the user something about the desktop.
  private func say(_ text: String) {
    if let stored { stored.say(text) } else { Console.error("porthole: \(text)") }
  }

  /// A desktop that is slower than it could be, and was not asked to be, says why.
  private func tellSlowEngine(name: String, _ engine: EngineKind) {
    guard command.engine == nil, engine == .software else { return }
    say("\(name): \(EngineChoice.forThisHost().reason)")
  }

  /// Makes the machine. Where the port was free a moment ago and another desktop was faster, the
  /// next one is taken.
  private func makeMachine(
    name: String, password: String?
  ) throws -> (Machine, MachineConfiguration) {
    var attempts = 0
    while true {
      let configuration = try command.machineConfiguration(name: name, password: password)
      do {
        let say = say
        let machine = try Machine(configuration) { say("\(name): \($0)") }
        return (machine, configuration)
      } catch let error as HostError {
        attempts += 1
        guard error.code == EADDRINUSE, command.vnc.takesFirstFreePort, attempts < 100,
          !error.operation.contains("serial")
        else { throw error }
        // What listened for the serial port did so for the machine that was not made.
        if case .socket(let path) = command.serial { unlink(path) }
      }
    }
  }

  /// Tells how to reach the desktop; on standard error where standard output is the guest's.
  private func announce(name: String, viewers: String?, password: String?) {
    var line = "desktop \(name): "
    if let viewers {
      line += "connect a VNC viewer to \(viewers)" + (password == nil ? " without a password" : "")
    } else {
      line += "running without VNC"
    }
    let secret = viewers == nil ? nil : password
    let whole = line + (secret.map { " password \($0)" } ?? "")
    if let stored {
      stored.runs(line, secret: secret)
    } else if command.serial == .stdio {
      Console.error(whole)
    } else {
      Console.output(whole)
    }
    if password == nil && !command.vnc.isLocal {
      say("\(name): everybody who reaches \(viewers ?? "") controls this desktop")
    }
  }

  /// Says why the desktop stopped, where that is news, and turns it into the exit status.
  static func finish(
    _ reason: StopReason, name: String,
    say: (String) -> Void = { Console.error("porthole: \($0)") }
  ) -> Int32 {
    switch reason {
    case .poweredOff: return 0
    case .signal(let number): return number == SIGINT ? Status.interrupted : 0
    case .debugExit(let code): return Int32(code)
    case .tripleFault:
      say("\(name): stopped by a triple fault")
      return Status.tripleFault
    case .failed(let message):
      say("\(name): \(message)")
      return Status.failed
    }
  }
}

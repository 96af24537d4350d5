import Glibc
import KVMEngine
import Machine

/// The life of one desktop's process, from the options to the exit status.
struct DesktopProcess {
  private let command: RunCommand

  init(_ command: RunCommand) { self.command = command }

  /// Exit statuses beside 0 and those of signals; they stand in the README and in `--help`.
  enum Status {
    static let failed: Int32 = 1
    static let tripleFault: Int32 = 2
    static let interrupted: Int32 = 128 + SIGINT
  }

  /// Runs the desktop until it stops.
  /// - Returns: the process's exit status.
  func run() throws -> Int32 {
    Signals.block()
    let directory = try RuntimeDirectory.locate()
    let (name, listener) = try directory.claim(
      command.name, backlog: Int32(ControlProtocol.mostConnections))
    let path = directory.socketPath(name)
    do {
      let reason = try run(name: name, listener: listener, path: path)
      return Self.finish(reason, name: name)
    } catch {
      unlink(path)
      throw error
    }
  }

  private func run(name: String, listener: Int32, path: String) throws -> StopReason {
    let password = try command.password()
    let (machine, configuration) = try makeMachine(name: name, password: password)
    let watcher = try Signals.watch { machine.requestStop(.signal($0)) }
    try machine.start()
    let viewers = command.vnc == .none ? nil : command.vnc.text(port: machine.vncPort)
    let status = DesktopStatus(
      name: name, pid: getpid(), vnc: viewers, memory: configuration.memoryBytes,
      processors: configuration.processors)
    let server = ControlServer(
      owning: listener, path: path, desktop: LiveDesktop(machine: machine, status: status))
    try server.start()
    announce(name: name, viewers: viewers, password: password)
    tellSlowEngine(name: name, configuration.engine)
    let reason = withExtendedLifetime(watcher) { machine.waitUntilStopped() }
    server.stop()
    return reason
  }

  /// A desktop that is slower than it could be, and was not asked to be, says why.
  private func tellSlowEngine(name: String, _ engine: EngineKind) {
    guard command.engine == nil, engine == .software else { return }
    Console.error("porthole: \(name): \(EngineChoice.forThisHost().reason)")
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
        let machine = try Machine(configuration) { Console.error("porthole: \(name): \($0)") }
        return (machine, configuration)
      } catch let error as HostError {
        attempts += 1
        guard error.code == EADDRINUSE, command.vnc.takesFirstFreePort, attempts < 10 else {
          throw error
        }
      }
    }
  }

  /// Tells how to reach the desktop; on standard error where standard output is the guest's.
  private func announce(name: String, viewers: String?, password: String?) {
    var line = "desktop \(name): "
    if let viewers {
      line += "connect a VNC viewer to \(viewers)"
      line += password.map { " password \($0)" } ?? " without a password"
    } else {
      line += "running without VNC"
    }
    if command.serial == .stdio { Console.error(line) } else { Console.output(line) }
    if password == nil && !command.vnc.isLocal {
      Console.error(
        "porthole: \(name): everybody who reaches \(viewers ?? "") controls this desktop")
    }
  }

  /// Says why the desktop stopped, where that is news, and turns it into the exit status.
  static func finish(_ reason: StopReason, name: String) -> Int32 {
    switch reason {
    case .poweredOff: return 0
    case .signal(let number): return number == SIGINT ? Status.interrupted : 0
    case .debugExit(let code): return Int32(code)
    case .tripleFault:
      Console.error("porthole: \(name): stopped by a triple fault")
      return Status.tripleFault
    case .failed(let message):
      Console.error("porthole: \(name): \(message)")
      return Status.failed
    }
  }
}

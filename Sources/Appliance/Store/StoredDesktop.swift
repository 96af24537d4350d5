import CProcess
import Configuration
import Display
import Glibc
import KVMEngine
import Machine

/// A desktop of the store in the process that runs it.
struct StoredDesktop {
  let folder: DesktopFolder
  private let lock: DesktopLock
  private let log: DesktopLog?

  /// - Parameter log: nil where the process talks to whoever started it.
  init(_ folder: DesktopFolder, lock: DesktopLock, log: DesktopLog?) {
    self.folder = folder
    self.lock = lock
    self.log = log
  }

  /// The command that its configuration makes.
  func command(in directory: RuntimeDirectory) throws -> RunCommand {
    let configuration = try folder.configuration()
    let console = directory.consolePath(folder.name)
    if configuration["serial"] == DesktopKey.serialConsole {
      try UnixSocket.check(path: console)
      // Only this desktop listens there, and it has just begun: what is there is stale.
      unlink(console)
    }
    return try configuration.command(in: folder, console: console)
  }

  /// Runs the desktop until it stops.
  /// - Returns: the process's exit status.
  func run() throws -> Int32 {
    lock.write(DesktopRecord(pid: getpid()))
    let title = "porthole: \(folder.name)"
    cprocess_set_title(CommandLine.argc, CommandLine.unsafeArgv, title)
    let directory = try RuntimeDirectory.locate()
    return try DesktopProcess(try command(in: directory), stored: self).run()
  }

  /// The desktop's control socket listens.
  func claimed(_ socket: String) {
    lock.write(DesktopRecord(pid: getpid(), socket: socket))
  }

  /// The desktop runs; `line` says how to reach it, `secret` is its password.
  func runs(_ line: String, secret: String?) {
    let whole = line + (secret.map { " password \($0)" } ?? "")
    guard let log else {
      // Whoever may read a service manager's journal may not therefore have the password.
      Console.output(ServiceManager.isThere ? line : whole)
      return ServiceManager.tellReady()
    }
    log.add(line)
    Readiness.tell(Readiness.good + whole)
  }

  /// Writes a line about the desktop where its user looks for it.
  func say(_ text: String) {
    guard let log else { return Console.error("porthole: \(text)") }
    log.add(text)
  }

  /// Keeps the last picture, and takes away what only a running desktop has.
  func stopped(_ machine: Machine, because reason: StopReason) {
    if let picture = try? PNGImage.encode(machine.capture()) {
      try? folder.replace(DesktopFolder.screenFile, with: picture)
    }
    if let log { log.add("stopped: \(reason.sentence)") }
    if let directory = try? RuntimeDirectory.locate() {
      unlink(directory.consolePath(folder.name))
    }
  }
}

extension StopReason {
  /// Why a desktop stopped, in a few words.
  var sentence: String {
    switch self {
    case .poweredOff: "switched off"
    case .signal(let number): "signal \(number)"
    case .debugExit(let code): "debug exit \(code)"
    case .tripleFault: "a triple fault"
    case .failed(let message): message
    }
  }
}

import ArgumentParser
import Glibc
import KVMEngine

/// `porthole start`: a desktop of the store, in a process of its own.
struct StartCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "start",
    abstract: "Starts desktops that porthole create made.",
    discussion: """
      Each is a process of its own, called porthole: NAME, that runs on when this command is done; it \
      returns when their screens are served. With --foreground the desktop is this process, for \
      service managers, and its exit status is that of porthole run, or 78 where there is no such \
      desktop or its configuration has a mistake, so that another attempt would end the same.
      """)

  @Argument(help: "The desktops.", completion: CompletedNames.desktops)
  var names: [String]

  @Flag(name: .long, help: "Run one desktop in this process.")
  var foreground = false

  @Flag(name: .long, help: .hidden)
  var detached = false

  func validate() throws {
    if (foreground || detached) && names.count != 1 {
      throw ValidationError("--foreground runs one desktop")
    }
  }

  func run() throws {
    if detached { return try runDetached() }
    let store = try DesktopStore.open()
    if foreground {
      let folder = try Self.usable(names[0], in: store)
      let desktop = StoredDesktop(folder, lock: try .take(folder), log: nil)
      return try Self.end(try desktop.run())
    }
    let folders = try names.map { try store.find($0) }
    try Self.launch(folders)
  }

  /// The folder of a desktop that is there, and whose configuration has no mistake.
  private static func usable(_ name: String, in store: DesktopStore) throws -> DesktopFolder {
    do {
      let folder = try store.find(name)
      _ = try folder.configuration().command(in: folder, console: "/")
      return folder
    } catch let error as HostError {
      throw error
    } catch {
      Console.error("Error: \(error)")
      throw ExitCode(DesktopProcess.Status.unusable)
    }
  }

  /// The process that ``DesktopLauncher`` started.
  private func runDetached() throws {
    var descriptorStatus = stat()
    guard fstat(Readiness.lockDescriptor, &descriptorStatus) == 0 else {
      throw Complaint("--detached is for porthole itself; leave it out")
    }
    _ = fcntl(Readiness.descriptor, F_SETFD, FD_CLOEXEC)
    let folder = DesktopStore(directories: try .locate()).folder(names[0])
    let lock = DesktopLock(owning: Readiness.lockDescriptor)
    let log = DesktopLog(path: folder.logPath, descriptor: STDERR_FILENO)
    do {
      guard lock.isOf(folder) else {
        throw Complaint("desktop \(folder.name) was renamed or deleted meanwhile")
      }
      let status = try StoredDesktop(folder, lock: lock, log: log).run()
      try Self.end(status)
    } catch let code as ExitCode {
      throw code
    } catch {
      log.add("\(error)")
      Readiness.tell(Readiness.bad + "\(error)")
      throw ExitCode(DesktopProcess.Status.failed)
    }
  }

  private static func end(_ status: Int32) throws {
    if status != 0 { throw ExitCode(status) }
  }

  /// Starts desktops, all at once. One that can't be started keeps none of the others back.
  static func launch(_ folders: [DesktopFolder]) throws {
    var launchers: [DesktopLauncher] = []
    var failures: [any Error] = []
    for folder in folders {
      do {
        launchers.append(try DesktopLauncher(folder, lock: try .take(folder)))
      } catch {
        failures.append(error)
      }
    }
    try wait(launchers, failures: failures)
  }

  /// Waits until desktops run, and says how to reach each. All are waited for; then the last failure
  /// is thrown, and those before it are told.
  static func wait(_ launchers: [DesktopLauncher], failures: [any Error] = []) throws {
    var failures = failures
    for launcher in launchers {
      do {
        Console.output(try launcher.wait())
      } catch {
        failures.append(error)
      }
    }
    for failure in failures.dropLast() { Console.error("porthole: \(failure)") }
    if let failure = failures.last { throw failure }
  }
}

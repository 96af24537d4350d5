import ArgumentParser

/// `porthole delete`: a desktop's folder and all in it.
struct DeleteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Deletes desktops that do not run, with their disks.",
    discussion: """
      What is outside their folders stays: CDs, disks given by path, golden images. There is no way \
      back. One that cannot be deleted keeps none of the others.
      """)

  @Argument(help: "The desktops.", completion: CompletedNames.desktops)
  var names: [String]

  @Flag(name: .long, help: "Switch those that run off first.")
  var force = false

  func run() throws {
    let store = try DesktopStore.open()
    let folders = try names.map { try store.find($0) }
    var failures: [any Error] = []
    for folder in folders {
      do {
        if force, case .writer(let record?) = try DesktopLock.holder(of: folder), record.isAlive {
          let client = try ControlClient(folder.name, in: try .locate())
          try RunningDesktop(client, folder: folder).end(within: 0)
        }
        try store.delete(folder)
      } catch {
        failures.append(error)
      }
    }
    for failure in failures.dropLast() { Console.error("porthole: \(failure)") }
    if let failure = failures.last { throw failure }
  }
}

/// `porthole rename`: another name for a desktop.
struct RenameCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rename", abstract: "Gives a desktop that does not run another name.")

  @Argument(help: "The desktop.", completion: CompletedNames.desktops)
  var name: String

  @Argument(help: "What it is to be called.", transform: DesktopName.parse)
  var newName: String

  func run() throws {
    let store = try DesktopStore.open()
    try store.rename(try store.find(name), to: newName)
  }
}

/// `porthole clone`: a desktop like another one.
struct CloneCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "clone",
    abstract: "Makes a desktop like another one that does not run, with copies of its disks.",
    discussion: """
      Where the file system can, the copies share what they have in common. The new desktop has a \
      password of its own. Media outside the folder are used by both.
      """)

  @Argument(help: "The desktop.", completion: CompletedNames.desktops)
  var name: String

  @Argument(help: "What the new one is called.", transform: DesktopName.parse)
  var newName: String

  @Flag(name: .long, help: "Start the new one.")
  var start = false

  func run() throws {
    let store = try DesktopStore.open()
    let source = try store.find(name)
    let reading = try DesktopLock.take(source, shared: true)
    let lock = try store.make(newName) { try DesktopClone(of: source).fill($0) }
    withExtendedLifetime(reading) {}
    guard start else {
      return Console.output("desktop \(newName): made; start it with: porthole start \(newName)")
    }
    try StartCommand.wait([try DesktopLauncher(store.folder(newName), lock: lock)])
  }
}

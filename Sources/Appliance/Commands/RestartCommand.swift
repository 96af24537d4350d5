import ArgumentParser

/// `porthole restart`: stop and start, with what desktop.yaml says by then.
struct RestartCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restart",
    abstract: "Stops a desktop as porthole stop does, and starts it again.",
    discussion: "One that does not run is started. porthole reset pushes the reset button instead.")

  @Argument(help: "The desktop.", completion: CompletedNames.desktops)
  var name: String

  @Option(name: .long, help: "Seconds that the guest has; 0 asks nobody.")
  var timeout = 30

  func validate() throws { try PowerdownCommand.check(timeout, least: 0) }

  func run() throws {
    let store = try DesktopStore.open()
    let folder = try store.find(name)
    // A mistake in the configuration is told before anything ends.
    _ = try folder.configuration()
    if case .writer = try DesktopLock.holder(of: folder) {
      let client = try ControlClient(name, in: try .locate())
      try RunningDesktop(client, folder: folder).end(within: timeout)
    }
    try StartCommand.launch([folder])
  }
}

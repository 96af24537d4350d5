import ArgumentParser

/// `porthole stop`: the end of a desktop's process.
struct StopCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stop",
    abstract: "Switches a running desktop off.",
    discussion: "The guest is not asked. Returns when the desktop's process has gone.")

  @OptionGroup var desktop: DesktopChoice

  func run() throws {
    let client = try desktop.connect()
    try client.call(.stop)
    try client.waitForEnd()
  }
}

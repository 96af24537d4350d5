import ArgumentParser
import Glibc

/// `porthole events`: what happens to a desktop, as it happens.
struct EventsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "events",
    abstract: "Prints what happens to a running desktop, a line of JSON each, until it ends.",
    discussion: """
      The events are started, stopped, paused, resumed, reset, mode, viewer-came and viewer-went; \
      docs/control-protocol.md has their fields.
      """)

  @OptionGroup var desktop: DesktopArgument

  func run() throws {
    try desktop.connect().subscribe { line in
      try OutputFile.write(line, to: STDOUT_FILENO, named: "standard output")
    }
  }
}

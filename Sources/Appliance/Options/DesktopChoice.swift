import ArgumentParser

/// The option by which a command says which running desktop it means.
struct DesktopChoice: ParsableArguments {
  @Option(
    name: .long, help: "The desktop; needed where several run.", completion: CompletedNames.desktops
  )
  var name: String?

  /// A connection to the desktop that is meant.
  func connect() throws -> ControlClient { try ControlClient(name, in: try .locate()) }
}

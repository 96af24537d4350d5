import ArgumentParser

/// The argument, or the option, by which a command says which running desktop it means.
struct DesktopArgument: ParsableArguments {
  @Argument(help: "The desktop; needed where several run.", completion: CompletedNames.desktops)
  var desktop: String?

  @Option(name: .long, help: "The same, as other commands take it.")
  var name: String?

  func validate() throws {
    if desktop != nil && name != nil {
      throw ValidationError("name the desktop once: \(desktop ?? "") or --name \(name ?? "")")
    }
  }

  /// What was said; nil is the only one that runs.
  var wanted: String? { desktop ?? name }

  /// A connection to the desktop that is meant.
  func connect() throws -> ControlClient { try ControlClient(wanted, in: try .locate()) }
}

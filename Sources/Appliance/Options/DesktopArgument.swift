import ArgumentParser

/// The argument, or the option, by which a command says which running desktop it means.
struct DesktopArgument: ParsableArguments {
  @Argument(
    help: "The desktop; may be left out where one runs.", completion: CompletedNames.desktops)
  var desktop: String?

  @OptionGroup var choice: DesktopChoice

  func validate() throws {
    if let desktop, let name = choice.name {
      throw ValidationError("name the desktop once: \(desktop) or --name \(name)")
    }
  }

  /// What was said; nil is the only one that runs.
  var wanted: String? { desktop ?? choice.name }

  /// A connection to the desktop that is meant.
  func connect() throws -> ControlClient { try DesktopChoice.connect(wanted) }
}

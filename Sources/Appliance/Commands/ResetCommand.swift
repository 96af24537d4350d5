import ArgumentParser

/// `porthole reset`: the reset button.
struct ResetCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reset", abstract: "Pushes a running desktop's reset button.")

  @OptionGroup var desktop: DesktopArgument

  func run() throws { try desktop.connect().call(.reset) }
}

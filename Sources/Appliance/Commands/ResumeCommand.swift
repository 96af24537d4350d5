import ArgumentParser

/// `porthole resume`: the end of a pause.
struct ResumeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resume", abstract: "Lets a paused desktop's guest go on.")

  @OptionGroup var desktop: DesktopArgument

  func run() throws { try desktop.connect().call(.resume) }
}

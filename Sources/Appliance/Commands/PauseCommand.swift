import ArgumentParser

/// `porthole pause`: the guest and its clock stand still.
struct PauseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pause",
    abstract: "Stops a running desktop's guest and its clock for a while.",
    discussion: "Viewers stay connected and see the picture as it is. porthole resume ends it.")

  @OptionGroup var desktop: DesktopArgument

  func run() throws { try desktop.connect().call(.pause) }
}

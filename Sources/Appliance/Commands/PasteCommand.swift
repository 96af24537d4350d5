import ArgumentParser

/// `porthole paste`: what a viewer copied, on the guest's keyboard.
struct PasteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "paste",
    abstract: "Types the text that a viewer copied last on a running desktop's keyboard.",
    discussion: """
      Viewers tell the desktop what is copied where they run; it reaches the guest only so, or by \
      the keys of porthole run --paste-key. Returns when the guest's keyboard has taken all of it.
      """)

  @OptionGroup var desktop: DesktopArgument

  func run() throws { try desktop.connect().call(.paste, waits: true) }
}

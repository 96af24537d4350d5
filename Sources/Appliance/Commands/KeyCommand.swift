import ArgumentParser

/// `porthole key`: keys pressed together.
struct KeyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key",
    abstract: "Presses keys of a running desktop, as ctrl-alt-del or f10.",
    discussion: "Several chords are pressed one after the other: porthole key down down enter")

  @OptionGroup var desktop: DesktopChoice

  @Argument(help: "Keys with dashes between; all go down in this order and up in the other.")
  var chords: [String]

  func run() throws {
    let client = try desktop.connect()
    for chord in chords { try client.call(.key, chord: chord, waits: true) }
  }
}

import ArgumentParser

/// `porthole key`: keys pressed together.
struct KeyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "key",
    abstract: "Presses keys of a running desktop, as ctrl-alt-del or f10.",
    usage: "porthole key [<options>] [<desktop>] <chord> ...",
    discussion: """
      Several chords are pressed one after the other: porthole key desk down down enter. Keys have \
      dashes between; all go down in this order and up in the other. A first word that is the name of \
      a desktop is the desktop; it may be left out where one runs.
      """)

  @OptionGroup var choice: DesktopChoice

  @Argument(
    help: ArgumentHelp("The desktop, and the chords.", valueName: "word"),
    completion: CompletedNames.desktops)
  var words: [String]

  func run() throws {
    var (name, chords) = (choice.name, words[...])
    if name == nil, KnownDesktop.exists(words[0]) {
      name = chords.removeFirst()
      guard !chords.isEmpty else {
        throw ValidationError(
          "\(words[0]) is a desktop; say as well which keys: porthole key \(words[0]) enter")
      }
    }
    let client = try DesktopChoice.connect(name)
    for chord in chords { try client.call(.key, chord: chord, waits: true) }
  }
}

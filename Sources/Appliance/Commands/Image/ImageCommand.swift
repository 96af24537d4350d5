import ArgumentParser

/// `porthole image`: the golden images that desktops are made from.
struct ImageCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "image",
    abstract: "Keeps the images that desktops are made from.",
    discussion: """
      An image is a disk or a CD that is never written to: a desktop that is made from one writes to a \
      file of its own, above it. Beside each stands image.yaml, which says what its desktops get.
      """,
    subcommands: [
      ImageImportCommand.self, ImageBuildCommand.self, ImageListCommand.self, ImageShowCommand.self,
      ImageVerifyCommand.self, ImageDeleteCommand.self, ImagePruneCommand.self,
    ])
}

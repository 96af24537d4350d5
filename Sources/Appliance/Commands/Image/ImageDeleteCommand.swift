import ArgumentParser

/// `porthole image delete`: takes images away.
struct ImageDeleteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Deletes images.",
    discussion: """
      An image stays that a desktop needs, that an overlay of porthole disk create lies upon, or that a \
      program has open, and who that is is named. Nobody can know of overlays that other programs made, \
      or that were moved, while nothing uses them: those are lost with the image.
      """)

  @Argument(
    help: "The images.", completion: CompletedNames.images, transform: ImageName.parse)
  var names: [String]

  @Flag(name: .long, help: "Delete it even where desktops need it: their disks are lost.")
  var force = false

  func run() throws {
    let store = try ImageStore.locate()
    for name in names { try store.delete(name, force: force) }
  }
}

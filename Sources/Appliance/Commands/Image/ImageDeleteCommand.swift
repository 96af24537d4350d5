import ArgumentParser

/// `porthole image delete`: takes images away.
struct ImageDeleteCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete",
    abstract: "Deletes images.",
    discussion: "An image that a desktop needs stays, and the desktop is named.")

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

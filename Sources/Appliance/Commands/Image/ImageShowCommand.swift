import ArgumentParser

/// `porthole image show`: all that is known about an image.
struct ImageShowCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show", abstract: "Says all that is known about an image.")

  @Argument(help: "The image.", completion: CompletedNames.images, transform: ImageName.parse)
  var name: String

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let store = try ImageStore.locate()
    let image = try store.image(named: name)
    let report = ImageReport(image, usedBy: try ImageUsers(store.directories).users(of: name))
    Console.output(
      json ? try JSON.text(report) : Columns.text(report.lines.map { [$0.0, $0.1] }))
  }
}

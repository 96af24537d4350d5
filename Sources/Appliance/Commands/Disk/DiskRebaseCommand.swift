import ArgumentParser
import Storage

/// `porthole disk rebase`: an overlay goes onto another image.
struct DiskRebaseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "rebase", abstract: "Puts an overlay onto another image.",
    discussion: """
      The overlay shows afterwards what it showed before: what differs in the image below is copied \
      into it.
      """)

  @Argument(help: "The overlay.", completion: .file())
  var image: String

  @Option(name: .long, help: "The image to put it on.")
  var backing: String

  @Option(name: .long, help: "The format of that image; otherwise its contents tell.")
  var backingFormat: ImageFormat?

  @Flag(
    name: .long,
    help: "Only change the name, for an image below that was moved and holds what it held.")
  var unsafe = false

  func run() throws {
    let progress = ProgressLine("rebasing \(image)")
    let name = try BackingPath.name(of: backing, beside: image)
    let hold = try ImageOverlays.note(image, upon: backing)
    try DiskImage.rebase(
      path: image, backing: name, backingFormat: backingFormat, isUnsafe: unsafe, progress.update)
    withExtendedLifetime(hold) {}
  }
}

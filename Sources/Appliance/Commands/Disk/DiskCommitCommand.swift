import ArgumentParser
import Storage

/// `porthole disk commit`: an overlay's contents go into the image below.
struct DiskCommitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "commit", abstract: "Writes what an overlay holds into the image below it.",
    discussion: """
      The overlay is empty afterwards, and shows the same as before. Other overlays on that image are \
      worth nothing then: they count on what it held.
      """)

  @Argument(help: "The overlay.", completion: .file())
  var image: String

  func run() throws {
    let progress = ProgressLine("committing \(image)")
    try DiskImage.commit(path: image, progress.update)
  }
}

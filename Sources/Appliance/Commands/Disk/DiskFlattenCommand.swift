import ArgumentParser
import Storage

/// `porthole disk flatten`: an overlay that needs nothing below it.
struct DiskFlattenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flatten",
    abstract: "Copies what is below an overlay into it, so that it stands alone.")

  @Argument(help: "The overlay.", completion: .file())
  var image: String

  func run() throws {
    let progress = ProgressLine("flattening \(image)")
    try DiskImage.rebase(path: image, backing: nil, progress.update)
  }
}

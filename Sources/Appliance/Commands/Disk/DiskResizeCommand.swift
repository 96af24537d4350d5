import ArgumentParser
import Storage

/// `porthole disk resize`: another size.
struct DiskResizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "resize", abstract: "Changes the size of an image.",
    discussion: "What is new reads as zeroes; the guest's own partitions stay as they are.")

  @Argument(help: "The image.", completion: .file())
  var image: String

  @Argument(help: "The new size, as 20G, or what to add to the old one, as +5G.")
  var size: String

  @Option(name: .long, help: "The image's format; otherwise its contents tell.")
  var format: ImageFormat?

  @Flag(name: .long, help: "Make it smaller: what lies behind the new end is lost.")
  var shrink = false

  func run() throws {
    let image = try DiskImage.open(path: image, readOnly: false, format: format)
    let old = image.sectorCount * 512
    var new: UInt64
    if size.hasPrefix("+") {
      new = old &+ (try ImageSize.parse(String(size.dropFirst())))
    } else {
      new = try ImageSize.parse(size)
    }
    guard new >= old || shrink else {
      throw Complaint(
        "\(image.path) has \(old) bytes; what is behind \(new) would be lost: say --shrink to allow it"
      )
    }
    new = max(new, 512)
    try image.resize(to: new)
    try image.flush()
  }
}

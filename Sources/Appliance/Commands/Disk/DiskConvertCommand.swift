import ArgumentParser
import Storage

/// `porthole disk convert`: a copy in another format.
struct DiskConvertCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "convert", abstract: "Copies an image into another format.",
    discussion: """
      The copy holds all that the image shows, also what is below it, and zeroes take no room in it. \
      It is there as a whole, and on the storage, or not at all.
      """)

  @Argument(help: "The image to copy.", completion: .file())
  var image: String

  @Argument(help: "The copy to make.", completion: .file())
  var copy: String

  @Option(name: .long, help: "The image's format; otherwise its contents tell.")
  var from: ImageFormat?

  @Option(
    name: .long,
    help: "The copy's format. (default: qcow2, raw where the name ends in .raw or .img)")
  var format: ImageFormat?

  @Option(name: .long, help: "Copy what this internal snapshot kept.")
  var snapshot: String?

  @Flag(name: .long, help: "Compress the clusters of a qcow2 copy.")
  var compress = false

  @Flag(name: .long, help: "Do not wait until the copy is on the storage.")
  var noFlush = false

  @OptionGroup var layout: DiskLayoutOptions

  func run() throws {
    var options = ImageCopy.Options()
    options.format = format ?? DiskLayoutOptions.format(of: copy)
    options.compresses = compress
    options.isDurable = !noFlush
    guard !compress || options.format == .qcow2 else {
      throw ValidationError("only qcow2 images are compressed")
    }
    let source =
      try snapshot.map { try DiskImage.open(path: image, snapshot: $0) }
      ?? DiskImage.open(path: image, readOnly: true, format: from)
    options.qcow2 = try layout.options(size: source.sectorCount * 512)
    let progress = ProgressLine("converting \(image)")
    try ImageCopy.copy(source, to: copy, options, progress.update)
  }
}

extension ProgressLine {
  /// Tells that `done` of `total` bytes are done.
  func update(_ done: UInt64, _ total: UInt64) {
    update(Int64(clamping: done), of: Int64(clamping: total))
  }
}

import ArgumentParser
import Storage

/// `porthole image import`: takes a file into the store.
struct ImageImportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import",
    abstract: "Takes a disk or CD image into the store.",
    discussion: """
      The file is copied, or shares its storage where the file system can, and stays as it is. What \
      is in the store already is kept once. qcow2 and raw disks and CDs (ISO 9660) are taken.
      """)

  @Argument(help: "The file, or a block device.", completion: .file())
  var file: String

  @Option(
    name: .long, help: "What the image is called; otherwise as its file.",
    transform: ImageName.parse)
  var name: String?

  @Option(name: .long, help: "How the disk lies in the file. (default: what its first bytes say)")
  var format: ImageFormat?

  @Option(
    name: .long, help: "The drive that it belongs in: disk, cdrom or floppy. (default: a guess)",
    transform: GoldenImage.kind)
  var kind: DriveKind?

  @Option(
    name: .long, help: "The SHA-256 that the file has to have.", transform: ContentDigest.parse)
  var sha256: String?

  @OptionGroup(title: "What its desktops get")
  var desktop: ImageSettingsOptions

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let store = try ImageStore.locate()
    let name = name ?? ImageName.suggested(for: file)
    let outcome = try Interruption.clearing {
      let line = ProgressLine("importing \(name)")
      defer { line.finish() }
      return try ImageImport(
        store: store, name: name, path: file, format: format, kind: kind, expected: sha256,
        settings: desktop.settings
      ).run { line.update($0, of: $1) }
    }
    let image = outcome.image
    for name in outcome.damaged {
      Console.error("porthole: image \(name) is damaged: it no longer holds what \(file) holds")
    }
    if json { return Console.output(try JSON.text(ImageReport(image, usedBy: []))) }
    Console.output(
      "image \(image.name): \(image.kindName), \(image.format.rawValue), "
        + ByteCount.describe(image.size)
        + (outcome.twin.map { "; the same content as \($0), kept once" } ?? ""))
  }
}

extension ImageFormat: ExpressibleByArgument {}

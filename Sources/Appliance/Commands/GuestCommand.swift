import ArgumentParser

/// `porthole guest`: the guests that are built in, as a list or as floppy images.
struct GuestCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "guest",
    abstract: "Lists the built-in guests, or saves one as a floppy image.",
    discussion: "Run one with: porthole run --guest NAME")

  /// Bytes of a 3.5-inch high density floppy disk, which any other PC boots as well.
  private static let floppySize = 1_474_560

  @Argument(help: "The guest to save.")
  var name: String?

  @Option(name: .long, help: "The image file to write.")
  var write: String?

  func validate() throws {
    if (name == nil) != (write == nil) {
      throw ValidationError("to save a guest, give its NAME and --write FILE")
    }
  }

  func run() throws {
    guard let name, let write else {
      return BuiltInGuest.all.forEach { Console.output("\($0.name)\t\($0.purpose)") }
    }
    try OutputFile.save(try Self.floppy(name), path: write)
  }

  /// Guest `name` on a whole floppy disk.
  static func floppy(_ name: String) throws(Complaint) -> [UInt8] {
    let image = try BuiltInGuest.image(name)
    return image + [UInt8](repeating: 0, count: max(0, floppySize - image.count))
  }
}

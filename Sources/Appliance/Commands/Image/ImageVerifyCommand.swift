import ArgumentParser

/// `porthole image verify`: whether images are what was imported.
struct ImageVerifyCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify",
    abstract: "Reads images and compares them with their checksums.")

  @Argument(
    help: "The images; all without any.", completion: CompletedNames.images,
    transform: ImageName.parse)
  var names: [String] = []

  func run() throws {
    let store = try ImageStore.locate()
    var good = true
    for name in names.isEmpty ? try store.names() : names {
      let image = try store.image(named: name)
      let line = ProgressLine("verifying \(name)")
      let digest = try ContentDigest.ofFile(image.path) { line.update($0, of: $1) }
      line.finish()
      if digest == image.digest {
        Console.output("\(name): as imported")
      } else {
        good = false
        Console.error("porthole: image \(name) is damaged: its SHA-256 is \(digest)")
      }
    }
    if !good { throw ExitCode.failure }
  }
}

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

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  /// What came of it, for programs.
  private struct Report: Encodable {
    var name: String
    /// Whether it is as imported.
    var good: Bool
    /// Why not.
    var reason: String?
  }

  func run() throws {
    let store = try ImageStore.locate()
    let reports = (names.isEmpty ? try store.names() : names).map { name in
      let report = Self.verify(name, in: store)
      if json { return report }
      if let reason = report.reason {
        Console.error("porthole: image \(name) is damaged: \(reason)")
      } else {
        Console.output("\(name): as imported")
      }
      return report
    }
    if json { Console.output(try JSON.text(reports)) }
    guard reports.allSatisfy(\.good) else { throw ExitCode.failure }
  }

  private static func verify(_ name: String, in store: ImageStore) -> Report {
    let line = ProgressLine("verifying \(name)")
    defer { line.finish() }
    do {
      let image = try store.image(named: name)
      let digest = try ContentDigest.ofFile(image.path) { line.update($0, of: $1) }
      return Report(
        name: name, good: digest == image.digest,
        reason: digest == image.digest ? nil : "its SHA-256 is \(digest)")
    } catch {
      return Report(name: name, good: false, reason: "\(error)")
    }
  }
}

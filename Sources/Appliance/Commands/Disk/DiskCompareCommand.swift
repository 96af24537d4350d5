import ArgumentParser
import Storage

/// `porthole disk compare`: whether two images show the same.
struct DiskCompareCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compare", abstract: "Says whether two images show the same.",
    discussion: """
      Ends with 0 where they do, with 2 where not, and with 1 where one could not be read. What one \
      has beyond the other's end counts as equal where it is zero, unless --strict.
      """)

  @Argument(help: "An image.", completion: .file())
  var first: String

  @Argument(help: "Another.", completion: .file())
  var second: String

  @Option(name: .long, help: "The first image's format; otherwise its contents tell.")
  var firstFormat: ImageFormat?

  @Option(name: .long, help: "The second image's format; otherwise its contents tell.")
  var secondFormat: ImageFormat?

  @Flag(name: .long, help: "Their sizes must be equal, too.")
  var strict = false

  func run() throws {
    let one = try DiskImage.open(path: first, readOnly: true, format: firstFormat)
    let other = try DiskImage.open(path: second, readOnly: true, format: secondFormat)
    if strict && one.sectorCount != other.sectorCount {
      Console.output(
        "they have \(one.sectorCount * 512) and \(other.sectorCount * 512) bytes")
      throw ExitCode(2)
    }
    let progress = ProgressLine("comparing")
    let difference = try ImageCopy.firstDifference(one, other, progress.update)
    progress.finish()
    guard let difference else { return Console.output("they show the same") }
    Console.output("they differ from byte \(difference * 512) on")
    throw ExitCode(2)
  }
}

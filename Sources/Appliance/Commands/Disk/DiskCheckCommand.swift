import ArgumentParser
import Storage

/// `porthole disk check`: whether an image's structures are sound.
struct DiskCheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Checks the structures of an image.",
    discussion: """
      Ends with 0 where the image is sound, with 3 where clusters are counted as used that are not \
      (which wastes room and nothing else, and --repair puts right), with 2 where it is damaged, and \
      with 1 where it could not be looked at.
      """)

  @Argument(help: "The image.", completion: .file())
  var image: String

  @Option(name: .long, help: "The image's format; otherwise its contents tell.")
  var format: ImageFormat?

  @Flag(name: .long, help: "Count clusters as free that nothing uses.")
  var repair = false

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let progress = ProgressLine("checking \(image)")
    let report = try DiskImage.check(path: image, format: format, repairsLeaks: repair) {
      progress.update("\(Int($0 * 100)) %")
    }
    progress.finish()
    Console.output(json ? try JSON.text(report) : Self.text(report))
    if report.errorCount > 0 { throw ExitCode(2) }
    if report.leakedClusters > 0 { throw ExitCode(3) }
  }

  /// The report for people.
  static func text(_ report: CheckReport) -> String {
    var lines = report.errors
    if report.errorCount > report.errors.count {
      lines.append("and \(report.errorCount - report.errors.count) more")
    }
    if report.repairedClusters > 0 {
      lines.append("\(report.repairedClusters) clusters that nothing used are free now")
    }
    if report.leakedClusters > 0 {
      lines.append("\(report.leakedClusters) clusters are counted as used, and are not")
    }
    if report.errorCount == 0 && report.leakedClusters == 0 { lines.append("the image is sound") }
    if report.totalClusters > 0 {
      var line = "\(report.allocatedClusters) of \(report.totalClusters) clusters are stored here"
      if report.compressedClusters > 0 { line += ", \(report.compressedClusters) compressed" }
      lines.append(line)
    }
    return lines.joined(separator: "\n")
  }
}

import ArgumentParser

/// `porthole image list`: the images that there are.
struct ImageListCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "Lists the images.")

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let store = try ImageStore.locate()
    let (images, problems) = try store.images()
    let users = try ImageUsers(store.directories)
    let reports = images.map { ImageReport($0, usedBy: users.users(of: $0.name)) }
    if json {
      Console.output(try JSON.text(reports))
    } else if !reports.isEmpty {
      Console.output(Self.table(reports))
    }
    for problem in problems { Console.error("porthole: \(problem)") }
    if !problems.isEmpty { throw ExitCode.failure }
  }

  /// The images in columns.
  static func table(_ reports: [ImageReport]) -> String {
    var rows = [["NAME", "KIND", "FORMAT", "SIZE", "STORED", "USED BY"]]
    rows += reports.map { report in
      [
        report.name, report.kind, report.format, ByteCount.describe(report.size),
        ByteCount.describe(report.stored),
        report.usedBy.isEmpty ? "-" : report.usedBy.joined(separator: ", "),
      ]
    }
    return Columns.text(rows)
  }
}

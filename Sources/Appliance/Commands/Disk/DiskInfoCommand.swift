import ArgumentParser
import Storage

/// `porthole disk info`: what an image says about itself.
struct DiskInfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info", abstract: "Says what an image is.",
    discussion: "Nothing below the image is opened, unless --chain asks for it.")

  @Argument(help: "The image.", completion: .file())
  var image: String

  @Option(name: .long, help: "The image's format; otherwise its contents tell.")
  var format: ImageFormat?

  @Flag(name: .long, help: "The images below it as well.")
  var chain = false

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    var found = [try ImageInspection(path: image, format: format)]
    while chain, let below = found.last?.backingPath {
      guard !found.contains(where: { $0.path == below }), found.count < 200 else {
        throw Complaint("the backing files of \(image) form a loop")
      }
      let format = found.last?.backingFormat.flatMap(ImageFormat.init)
      found.append(try ImageInspection(path: below, format: format))
    }
    if json {
      Console.output(chain ? try JSON.text(found) : try JSON.text(found[0]))
    } else {
      Console.output(found.map(Self.text).joined(separator: "\n\n"))
    }
  }

  /// What is known about one image, a line each.
  static func text(_ image: ImageInspection) -> String {
    var rows = [
      ["image", image.path], ["format", image.format.rawValue],
      ["size", ImageSize.describe(image.virtualSize)],
      ["takes", ImageSize.describe(image.allocatedSize)],
    ]
    if let version = image.version, let cluster = image.clusterBytes {
      rows.append(["version", "\(version)"])
      rows.append(["clusters", ImageSize.describe(UInt64(cluster))])
      rows.append(["compression", image.compression ?? ""])
      rows.append(["refcounts", "\(image.refcountBits ?? 0) bits"])
    }
    if let backing = image.backing {
      let format = image.backingFormat.map { " (\($0))" } ?? ""
      rows.append(["backing file", "\(backing)\(format)"])
    }
    if let count = image.snapshotCount, count > 0 { rows.append(["snapshots", "\(count)"]) }
    if image.isDirty == true {
      rows.append(["refcounts", "left behind; counted anew at next use"])
    }
    if image.isMarkedCorrupt == true { rows.append(["damaged", "a program marked it so"]) }
    return Columns.text(rows)
  }
}

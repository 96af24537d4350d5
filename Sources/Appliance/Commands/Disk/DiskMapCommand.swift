import ArgumentParser
import Storage

/// `porthole disk map`: where an image's contents come from.
struct DiskMapCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "map", abstract: "Lists where the contents of an image come from.")

  /// One run of bytes.
  struct Row: Encodable {
    var start: UInt64
    var length: UInt64
    /// data, compressed or zero.
    var kind: String
    /// How many images lie above the one that holds it.
    var depth: Int
    /// The byte of the file at which it lies.
    var offset: UInt64?
    var file: String?
  }

  @Argument(help: "The image.", completion: .file())
  var image: String

  @Option(name: .long, help: "The image's format; otherwise its contents tell.")
  var format: ImageFormat?

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() throws {
    let image = try DiskImage.open(path: image, readOnly: true, format: format)
    let rows = try Self.rows(of: image)
    if json { return Console.output(try JSON.text(rows)) }
    var table = [["START", "LENGTH", "KIND", "DEPTH", "OFFSET", "FILE"]]
    table += rows.filter { $0.kind != "zero" }.map { row in
      [
        "\(row.start)", "\(row.length)", row.kind, "\(row.depth)",
        row.offset.map { "\($0)" } ?? "-", row.file ?? "-",
      ]
    }
    Console.output(Columns.text(table))
  }

  /// What `image` is made of, with neighbours that belong together as one.
  static func rows(of image: any StoredImage) throws -> [Row] {
    let files = image.chain.map(\.path)
    var rows: [Row] = []
    try image.eachExtent { extent in
      let isZero = extent.kind == .zero
      let row = Row(
        start: extent.sector * 512, length: extent.count * 512, kind: extent.kind.rawValue,
        depth: extent.depth, offset: extent.fileOffset,
        file: isZero || extent.depth >= files.count ? nil : files[extent.depth])
      if let last = rows.last, last.kind == row.kind, last.depth == row.depth,
        last.offset.map({ $0 + last.length }) == row.offset
      {
        rows[rows.count - 1].length += row.length
      } else {
        rows.append(row)
      }
    }
    return rows
  }
}

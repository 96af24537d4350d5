import ArgumentParser
import Glibc
import Storage

/// `porthole disk create`: an empty image, or an overlay on another.
struct DiskCreateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Makes an empty disk image, or one on top of another.",
    discussion: """
      With --backing the new image shows what that one has, and keeps what is written to it. The image \
      below must not change any more.
      """)

  @Argument(help: "The image to make.", completion: .file())
  var image: String

  @Argument(help: "Its size, as 20G; may be left out with --backing.", transform: ImageSize.parse)
  var size: UInt64?

  @Option(
    name: .long, help: "raw or qcow2. (default: qcow2, raw where the name ends in .raw or .img)")
  var format: ImageFormat?

  @Option(name: .long, help: "The image below, which is only read.")
  var backing: String?

  @Option(name: .long, help: "The format of the image below; otherwise its contents tell.")
  var backingFormat: ImageFormat?

  @OptionGroup var layout: DiskLayoutOptions

  func run() throws {
    let format = format ?? DiskLayoutOptions.format(of: image)
    guard let backing else {
      guard let size else { throw ValidationError("a new image needs a size, as 20G") }
      return try DiskImage.create(format, at: image, try layout.options(size: size))
    }
    guard format == .qcow2 else { throw Complaint("only a qcow2 image can lie on another") }
    let name = try BackingPath.name(of: backing, beside: image)
    let below = try DiskImage.open(path: backing, readOnly: true, format: backingFormat)
    var options = try layout.options(size: size ?? below.sectorCount * 512)
    options.backing = name
    options.backingFormat = below.format
    let hold = try ImageOverlays.note(image, upon: backing)
    try DiskImage.create(.qcow2, at: image, options)
    withExtendedLifetime(hold) {}
  }
}

/// How a qcow2 image is laid out.
struct DiskLayoutOptions: ParsableArguments {
  @Option(name: .long, help: "Bytes of a qcow2 cluster, 512 to 2M.", transform: ImageSize.parse)
  var clusterSize: UInt64 = 65536

  @Option(name: .long, help: "Version of qcow2, 2 or 3.")
  var qcow2Version: UInt32 = 3

  @Option(name: .long, help: "How compressed clusters are packed: zlib or zstd.")
  var compression = "zlib"

  /// What the options ask for.
  func options(size: UInt64) throws -> QCOW2Options {
    guard qcow2Version == 2 || qcow2Version == 3 else {
      throw ValidationError("qcow2 has versions 2 and 3")
    }
    guard compression == "zlib" || compression == "zstd" else {
      throw ValidationError("clusters are packed with zlib or zstd, not \(compression)")
    }
    guard compression == "zlib" || qcow2Version == 3 else {
      throw ValidationError("zstd needs version 3")
    }
    var options = QCOW2Options(size: size)
    options.clusterBytes = Int(clamping: clusterSize)
    options.version = qcow2Version
    options.usesZstd = compression == "zstd"
    return options
  }

  /// The format that a new image's name asks for.
  static func format(of name: String) -> ImageFormat {
    [".raw", ".img"].contains { name.hasSuffix($0) } ? .raw : .qcow2
  }
}

/// How an image names the one below it.
enum BackingPath {
  /// The name of `backing`, relative to the current folder, for an image at `image`: alone where both
  /// are in one folder, so that the folder can be moved, else the whole path.
  static func name(of backing: String, beside image: String) throws(Complaint) -> String {
    guard let path = realpath(backing, nil) else {
      throw Complaint("there is no image \(backing)")
    }
    defer { free(path) }
    let whole = String(cString: path)
    let folder = image.lastIndex(of: "/").map { String(image[...$0]) } ?? "."
    if let own = realpath(folder, nil) {
      defer { free(own) }
      let prefix = String(cString: own) + "/"
      if whole.hasPrefix(prefix), !whole.dropFirst(prefix.count).contains("/") {
        let name = String(whole.dropFirst(prefix.count))
        // A colon would make it look like an address.
        return name.contains(":") ? "./\(name)" : name
      }
    }
    return whole
  }
}

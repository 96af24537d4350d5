import Configuration
import Glibc
import KVMEngine
import Machine
import Storage

/// `image.yaml`, which stands beside an image.
extension GoldenImage {
  /// The file's name.
  static let descriptionName = "image.yaml"
  /// The newest form of the file that is read, and the one that is written.
  static let version = 1
  private static let kinds: [(name: String, kind: DriveKind)] = [
    ("disk", .hardDisk), ("cdrom", .cdrom), ("floppy", .floppy),
  ]

  /// The drive's name as the file and the command line have it.
  var kindName: String { Self.kinds.first { $0.kind == kind }?.name ?? kind.rawValue }

  /// The name of its file in its folder.
  var fileName: String { path.split(separator: "/").last.map(String.init) ?? path }

  /// The kind that `text` names.
  static func kind(_ text: String) throws(Complaint) -> DriveKind {
    guard let found = kinds.first(where: { $0.name == text }) else {
      throw Complaint(
        "\"\(text)\" is no kind of image; there are "
          + kinds.map(\.name).joined(separator: ", "))
    }
    return found.kind
  }

  /// Reads the description in `folder`.
  /// - Throws: `ConfigurationError`, which names line and key.
  init(name: String, folder: String) throws {
    let file = folder + "/" + Self.descriptionName
    guard let bytes = try DurableFile.read(file, limit: YAMLDocument.largest) else {
      throw HostError("read \(file)", code: ENOENT)
    }
    let keys = try KeyReader(YAMLDocument.parse(bytes, file: file), file: file)
    let version = try keys.needed("version", keys.integer("version", in: 1...Int.max))
    guard version <= Self.version else {
      throw keys.error(
        "version", "is \(version), which a newer Porthole wrote; this one reads \(Self.version)")
    }
    self.name = name
    path = folder + "/" + (try keys.needed("file", keys.value("file", Self.fileName)))
    format = try keys.needed("format", keys.value("format", Self.format))
    kind = try keys.needed("kind", keys.value("kind", Self.kind))
    size = Int64(try keys.needed("size", keys.integer("size", in: 0...Int.max)))
    digest = try keys.needed("sha256", keys.value("sha256", ContentDigest.parse))
    source = try keys.text("source") ?? ""
    imported = try keys.text("imported") ?? ""
    settings = try ImageSettings(keys)
    try keys.finish()
  }

  private static func format(_ text: String) throws(Complaint) -> ImageFormat {
    guard let format = ImageFormat(rawValue: text) else {
      throw Complaint("is raw or qcow2, not \"\(text)\"")
    }
    return format
  }

  /// A name within the image's own folder: a description can't lead elsewhere.
  private static func fileName(_ text: String) throws(Complaint) -> String {
    guard !text.isEmpty, !text.contains("/"), text != ".", text != "..", !text.contains("\0") else {
      throw Complaint("names a file of the image's folder, not \"\(text)\"")
    }
    return text
  }

  /// The description as a file.
  var description: String {
    var writer = ConfigurationWriter()
    writer.comment("Image \(name) of Porthole. What stands here describes the file beside it.")
    writer.entry("version", Self.version)
    writer.entry("file", fileName)
    writer.entry("format", format.rawValue)
    writer.entry("kind", kindName)
    writer.entry("size", Int(size))
    writer.entry("sha256", digest)
    writer.entry("source", source)
    writer.entry("imported", imported)
    writer.gap()
    writer.comment("What desktops made from it get, unless they are made otherwise.")
    settings.write(to: &writer)
    return writer.text
  }
}

extension ImageSettings {
  init(_ keys: KeyReader) throws {
    memory = try keys.value("memory", MemorySize.parse)
    cpus = try keys.integer("cpus", in: 1...MachineConfiguration.maximumProcessors)
    firmware = try keys.value("firmware") { text throws(Complaint) in
      guard let kind = FirmwareKind(rawValue: text) else {
        let names = FirmwareKind.allCases.map(\.rawValue).joined(separator: ", ")
        throw Complaint("there is no firmware \"\(text)\"; there are \(names)")
      }
      return kind
    }
    keyboard = try keys.value("keyboard") { try KeyboardOption.parse($0).name }
    let signs: [(key: String, sign: ReadySign)] = [
      ("ready-text", try keys.text("ready-text").map { .text($0) }),
      ("ready-console", try keys.text("ready-console").map { .console($0) }),
      (
        "ready-still",
        try keys.integer("ready-still", in: ReadySign.stillness).map { .still(seconds: $0) }
      ),
    ].compactMap { key, sign in sign.map { (key, $0) } }
    if signs.count > 1 {
      throw keys.error(signs[1].key, "and \(signs[0].key) exclude each other")
    }
    ready = signs.first?.sign
  }

  /// Writes what is set, and what could be.
  func write(to writer: inout ConfigurationWriter) {
    if let memory {
      writer.entry("memory", MemorySize.describe(memory))
    } else {
      writer.example("memory", "1G")
    }
    if let cpus { writer.entry("cpus", cpus) } else { writer.example("cpus", "2") }
    if let firmware {
      writer.entry("firmware", firmware.rawValue)
    } else {
      writer.example("firmware", FirmwareKind.ovmf.rawValue)
    }
    if let keyboard {
      writer.entry("keyboard", keyboard)
    } else {
      writer.example("keyboard", "de")
    }
    writer.comment(
      "Its system has started when this text is on the screen, or was said on the serial port, or "
        + "when the picture was still for so many seconds.")
    switch ready {
    case .text(let text): writer.entry("ready-text", text)
    case .console(let text): writer.entry("ready-console", text)
    case .still(let seconds): writer.entry("ready-still", seconds)
    case nil:
      writer.example("ready-text", "login:")
      writer.example("ready-console", "login:")
      writer.example("ready-still", "3")
    }
  }
}

import FoundationEssentials
import Glibc
import Machine

/// An image as programs read it (`--json`). What nobody has set is left out.
struct ImageReport: Encodable {
  /// What shows that its system has started.
  struct Ready: Encodable {
    var text: String?
    var console: String?
    var still: Int?
  }

  var name: String
  var kind: String
  var format: String
  var path: String
  /// Bytes of the medium.
  var size: Int64
  /// Bytes that its file takes on the host.
  var stored: Int64
  var sha256: String
  var source: String
  var imported: String
  var memory: Int?
  var cpus: Int?
  var firmware: String?
  var keyboard: String?
  var ready: Ready?
  /// The desktops that need it, by name, and overlays elsewhere, by path.
  var usedBy: [String]

  init(_ image: GoldenImage, usedBy: [String]) {
    name = image.name
    kind = image.kindName
    format = image.format.rawValue
    path = image.path
    size = image.size
    stored = Self.stored(image.path)
    sha256 = image.digest
    source = image.source
    imported = image.imported
    memory = image.settings.memory
    cpus = image.settings.cpus
    firmware = image.settings.firmware?.rawValue
    keyboard = image.settings.keyboard
    switch image.settings.ready {
    case .text(let text): ready = Ready(text: text)
    case .console(let text): ready = Ready(console: text)
    case .still(let seconds): ready = Ready(still: seconds)
    case nil: ready = nil
    }
    self.usedBy = usedBy
  }

  /// Bytes that the file at `path` takes, without its holes.
  private static func stored(_ path: String) -> Int64 {
    var status = stat()
    guard stat(path, &status) == 0 else { return 0 }
    return Int64(status.st_blocks) &* 512
  }

  /// Lines for people: a word, then what it is.
  var lines: [(String, String)] {
    var lines = [
      ("name", name), ("kind", kind), ("format", format),
      ("size", ByteCount.describe(size)), ("stored", ByteCount.describe(stored)),
      ("file", path), ("sha256", sha256), ("source", source), ("imported", imported),
    ]
    if let memory { lines.append(("memory", MemorySize.describe(memory))) }
    if let cpus { lines.append(("cpus", "\(cpus)")) }
    if let firmware { lines.append(("firmware", firmware)) }
    if let keyboard { lines.append(("keyboard", keyboard)) }
    if let text = ready?.text { lines.append(("ready when", "\"\(text)\" is on the screen")) }
    if let text = ready?.console {
      lines.append(("ready when", "\"\(text)\" was said on the serial port"))
    }
    if let still = ready?.still {
      lines.append(("ready when", "the picture is still for \(still) s"))
    }
    lines.append(("used by", usedBy.isEmpty ? "nobody" : usedBy.joined(separator: ", ")))
    return lines
  }
}

/// JSON as the commands print it.
enum JSON {
  /// `value`, indented, its keys sorted.
  static func text(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }
}

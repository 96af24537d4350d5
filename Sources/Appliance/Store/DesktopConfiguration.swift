import Configuration

/// What `desktop.yaml` says: values by key. Keys that are absent have the defaults of `porthole run`.
struct DesktopConfiguration: Equatable, Sendable {
  /// The layout of the file that this program writes.
  static let version = 1
  static let fileName = "desktop.yaml"

  /// A flag that is set has the one value `true`.
  private(set) var values: [String: [String]] = [:]

  init() {}

  /// Reads a file's bytes; older layouts are brought forward first.
  /// - Parameter file: what messages call it.
  init(_ bytes: [UInt8], file: String) throws(ConfigurationError) {
    let document = try DesktopMigration.current(try YAMLDocument.parse(bytes, file: file), file)
    let reader = try KeyReader(document, file: file)
    _ = try reader.integer("version")
    for key in DesktopKey.all {
      switch key.kind {
      case .flag: if try reader.flag(key.name) == true { values[key.name] = ["true"] }
      case .value:
        if let value = try reader.value(key.name, { try Self.checked($0, key) }) {
          values[key.name] = [value]
        }
      case .list:
        let list = try reader.list(key.name) { try Self.checked($0, key) }
        if !list.isEmpty { values[key.name] = list }
      }
    }
    try reader.finish()
  }

  private static func checked(_ value: String, _ key: DesktopKey) throws -> String {
    guard !value.utf8.contains(0) else { throw Complaint("cannot hold a zero byte") }
    try key.check(value)
    return value
  }

  /// The one value of a key, or the first.
  subscript(_ key: String) -> String? { values[key]?.first }

  /// Sets a key; no values take it away.
  /// - Throws: a sentence about a key or a value that cannot be.
  mutating func set(_ name: String, _ list: [String]) throws {
    let key = try DesktopKey.find(name)
    guard key.kind == .list || list.count < 2 else {
      throw Complaint("\(name) has one value, not \(list.count)")
    }
    for value in list {
      do { _ = try Self.checked(value, key) } catch { throw Complaint("\(name): \(error)") }
    }
    if key.kind == .flag, let value = list.first {
      guard value == "true" || value == "false" else {
        throw Complaint("\(name): is true or false, not \"\(value)\"")
      }
      values[name] = value == "true" ? ["true"] : nil
    } else {
      values[name] = list.isEmpty ? nil : list
    }
  }

  /// Puts a value in front of those that a key has.
  mutating func addFirst(_ name: String, _ value: String) throws {
    try set(name, [value] + (values[name] ?? []))
  }

  /// The options of `porthole run` that this is, with paths from `folder` on.
  func options(in folder: DesktopFolder, console: String) -> [String] {
    var options = ["--name", folder.name]
    for key in DesktopKey.all where key.option != "" {
      let option = "--" + (key.option ?? key.name)
      for value in values[key.name] ?? [] {
        let isConsole = key.name == "serial" && value == DesktopKey.serialConsole
        let value = isConsole ? "socket:" + console : key.resolved(value, in: folder.path)
        options += key.kind == .flag ? [option] : ["\(option)=\(value)"]
      }
    }
    return options
  }

  /// The command that runs it.
  /// - Parameter called: what the sentence calls the configuration, where that is not its file.
  /// - Throws: a sentence where the keys contradict each other.
  func command(
    in folder: DesktopFolder, console: String, called: String? = nil
  ) throws(Complaint) -> RunCommand {
    let options = options(in: folder, console: console)
    do {
      return try RunCommand.parse(options)
    } catch {
      let message = RunCommand.message(for: error)
      throw Complaint("\(called ?? folder.configurationPath): \(message)")
    }
  }
}

extension DesktopConfiguration {
  /// The whole commented file: what is set, and of the rest what could be.
  var text: String {
    var writer = ConfigurationWriter()
    writer.comment(
      "A desktop of Porthole. Change it with porthole edit, or here: it is read when the desktop "
        + "starts. Keys are the options of porthole run, which tells more; what has a # in front is "
        + "not set.")
    writer.gap()
    writer.entry("version", Self.version)
    for key in DesktopKey.all {
      writer.gap()
      writer.comment(key.comment)
      guard let list = values[key.name] else {
        writer.example(key.name, key.example)
        continue
      }
      Self.write(key, list, to: &writer)
    }
    return writer.text
  }

  private static func write(
    _ key: DesktopKey, _ list: [String], to writer: inout ConfigurationWriter
  ) {
    switch key.kind {
    case .flag: writer.entry(key.name, true)
    case .value: writer.entry(key.name, list.first ?? "")
    case .list: writer.list(key.name, list)
    }
  }

  /// The lines of one key, as they stand in a file.
  private static func lines(_ key: DesktopKey, _ list: [String]) -> [Substring] {
    guard !list.isEmpty else { return [] }
    var writer = ConfigurationWriter()
    write(key, list, to: &writer)
    return writer.text.dropLast().split(separator: "\n", omittingEmptySubsequences: false)
  }

  /// `old`, a file's text, with the changes that make it say this: what its writer added or ordered
  /// stays. Where the file is written in a way that lines cannot be told apart in, all of it is anew.
  func text(changing old: String, file: String) -> String {
    guard let before = try? DesktopConfiguration(Array(old.utf8), file: file),
      let root = try? YAMLDocument.parse(Array(old.utf8), file: file),
      case .mapping(let entries) = root.content
    else { return text }
    var lines = old.split(separator: "\n", omittingEmptySubsequences: false)
    for key in DesktopKey.all.reversed() where values[key.name] != before.values[key.name] {
      let new = Self.lines(key, values[key.name] ?? [])
      if let index = entries.firstIndex(where: { $0.key == key.name }) {
        let first = entries[index].place.line - 1
        let last = entries[index].value.lastLine - 1
        guard lines.indices.contains(first), lines.indices.contains(last), first <= last
        else { return text }
        // Lines keep their places until all is done: what goes becomes empty, what comes is one.
        lines[first] = Substring(new.joined(separator: "\n"))
        for line in first..<last { lines[line + 1] = Self.gone }
        if new.isEmpty { lines[first] = Self.gone }
      } else if let line = lines.firstIndex(where: { $0.hasPrefix("# \(key.name): ") }) {
        lines[line] = Substring(new.joined(separator: "\n"))
      } else {
        lines.insert(Substring(new.joined(separator: "\n")), at: max(0, lines.count - 1))
      }
    }
    let changed = lines.filter { $0 != Self.gone }.joined(separator: "\n")
    let after = try? DesktopConfiguration(Array(changed.utf8), file: file)
    return after == self ? changed : text
  }

  /// Stands for a line that goes; no file has it, since it is no YAML.
  private static let gone: Substring = "\u{0}"
}

extension YAMLNode {
  /// The last line on which a value of the node begins.
  fileprivate var lastLine: Int {
    switch content {
    case .scalar: place.line
    case .sequence(let items): items.map(\.lastLine).max() ?? place.line
    case .mapping(let entries): entries.map(\.value.lastLine).max() ?? place.line
    }
  }
}

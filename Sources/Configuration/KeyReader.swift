/// Takes typed values out of a group of keys. Every failure names the file, the line and the key.
///
/// A key that was never asked for is one that nobody knows: ``finish()`` refuses it, with the known
/// key that looks most like it.
public final class KeyReader {
  /// What messages call the file.
  public let file: String
  private let place: YAMLPlace
  private let path: String
  private let entries: [String: YAMLEntry]
  private let order: [String]
  private var known: Set<String> = []

  /// Reads the group of keys `node`.
  /// - Parameter path: the keys around it, with dots between; empty for a whole document.
  public init(_ node: YAMLNode, file: String, path: String = "") throws(ConfigurationError) {
    guard case .mapping(let entries) = node.content else {
      throw ConfigurationError(
        file: file, place: node.place, key: path,
        message: "should hold keys with values, and holds \(node.kind)")
    }
    self.file = file
    self.path = path
    place = node.place
    self.entries = Dictionary(entries.map { ($0.key, $0) }) { first, _ in first }
    order = entries.map(\.key)
  }

  /// The value of `key` as `parse` reads it; nil where the key is absent or has nothing behind it.
  /// - Parameter parse: its error's text becomes part of the message.
  public func value<Value>(
    _ key: String, _ parse: (String) throws -> Value
  ) throws(ConfigurationError) -> Value? {
    guard let node = node(key) else { return nil }
    return try scalar(node, key: full(key), parse)
  }

  /// The text of `key`.
  public func text(_ key: String) throws(ConfigurationError) -> String? {
    try value(key) { $0 }
  }

  /// A whole number within `range`.
  public func integer(
    _ key: String, in range: ClosedRange<Int> = Int.min...Int.max
  ) throws(ConfigurationError) -> Int? {
    guard let number = try value(key, { Int($0) }) else { return nil }
    guard let number else { throw error(key, "is no whole number") }
    guard range.contains(number) else {
      throw error(key, "lies between \(range.lowerBound) and \(range.upperBound), not at \(number)")
    }
    return number
  }

  /// `true` or `false`, or `yes` or `no`.
  public func flag(_ key: String) throws(ConfigurationError) -> Bool? {
    guard let text = try text(key) else { return nil }
    switch text.lowercased() {
    case "true", "yes", "on": return true
    case "false", "no", "off": return false
    default: throw error(key, "is true or false, not \"\(text)\"")
    }
  }

  /// The values of a list; one value alone is a list, too. Absent is empty.
  public func list<Value>(
    _ key: String, _ parse: (String) throws -> Value
  ) throws(ConfigurationError) -> [Value] {
    var values: [Value] = []
    for (index, node) in items(key).enumerated() {
      values.append(try scalar(node, key: "\(full(key)).\(index + 1)", parse))
    }
    return values
  }

  /// The group of keys behind `key`; nil where it is absent.
  public func group(_ key: String) throws(ConfigurationError) -> KeyReader? {
    guard let node = node(key) else { return nil }
    return try KeyReader(node, file: file, path: full(key))
  }

  /// A list of groups of keys; absent is empty.
  public func groups(_ key: String) throws(ConfigurationError) -> [KeyReader] {
    var groups: [KeyReader] = []
    for (index, node) in items(key).enumerated() {
      groups.append(try KeyReader(node, file: file, path: "\(full(key)).\(index + 1)"))
    }
    return groups
  }

  /// `value`, where there is one.
  /// - Throws: that `key` is missing, otherwise.
  public func needed<Value>(_ key: String, _ value: Value?) throws(ConfigurationError) -> Value {
    guard let value else {
      throw ConfigurationError(file: file, place: place, key: full(key), message: "is missing")
    }
    return value
  }

  /// An error about `key`, at its line.
  public func error(_ key: String, _ message: String) -> ConfigurationError {
    ConfigurationError(
      file: file, place: entries[key]?.place ?? place, key: full(key), message: message)
  }

  /// Refuses keys that nothing asked for.
  public func finish() throws(ConfigurationError) {
    for key in order where !known.contains(key) {
      let nearest = NearestWord.find(key, among: known)
      throw error(
        key, "is no key that there is here" + (nearest.map { "; did you mean \($0)?" } ?? ""))
    }
  }

  private func full(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  private func node(_ key: String) -> YAMLNode? {
    known.insert(key)
    guard let node = entries[key]?.value, !node.isEmpty else { return nil }
    return node
  }

  private func items(_ key: String) -> [YAMLNode] {
    guard let node = node(key) else { return [] }
    guard case .sequence(let items) = node.content else { return [node] }
    return items
  }

  private func scalar<Value>(
    _ node: YAMLNode, key: String, _ parse: (String) throws -> Value
  ) throws(ConfigurationError) -> Value {
    guard case .scalar(let text, _) = node.content else {
      throw ConfigurationError(
        file: file, place: node.place, key: key, message: "should be a value, not \(node.kind)")
    }
    do {
      return try parse(text)
    } catch {
      throw ConfigurationError(
        file: file, place: node.place, key: key, message: String(describing: error))
    }
  }
}

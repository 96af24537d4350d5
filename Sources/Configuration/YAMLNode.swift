/// A part of a YAML document, and where it begins.
public struct YAMLNode: Sendable, Equatable {
  /// What a part can be. Aliases, anchors and tags are refused by the reader, so there is no other.
  public enum Content: Sendable, Equatable {
    /// Text; one that is plain stood without quotes, and may mean a number or a truth value.
    case scalar(String, plain: Bool)
    case sequence([YAMLNode])
    /// In the document's order; no key stands twice.
    case mapping([YAMLEntry])
  }

  public let content: Content
  public let place: YAMLPlace

  public init(_ content: Content, at place: YAMLPlace) {
    self.content = content
    self.place = place
  }

  /// A node's kind, as a sentence names it.
  var kind: String {
    switch content {
    case .scalar("", plain: true): "nothing"
    case .scalar: "a value"
    case .sequence: "a list"
    case .mapping: "a group of keys"
    }
  }

  /// Whether nothing stands where a value could, as behind `key:`.
  var isEmpty: Bool {
    guard case .scalar(let text, plain: true) = content else { return false }
    return text.isEmpty || text == "~" || text == "null"
  }
}

/// A key of a mapping and what stands behind it.
public struct YAMLEntry: Sendable, Equatable {
  public let key: String
  public let place: YAMLPlace
  public let value: YAMLNode

  public init(key: String, place: YAMLPlace, value: YAMLNode) {
    self.key = key
    self.place = place
    self.value = value
  }
}

/// A line and a column, both from 1 on.
public struct YAMLPlace: Sendable, Equatable {
  public let line: Int
  public let column: Int

  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }
}

/// What is wrong with a configuration file, and where: `desktop.yaml:7: memory: ...`.
public struct ConfigurationError: Error, Sendable, Equatable, CustomStringConvertible {
  /// The file, as the person who wrote it knows it.
  public let file: String
  /// Nil where the whole file is meant.
  public let place: YAMLPlace?
  /// The key with those around it, as `disks.2.path`; empty for what has none.
  public let key: String
  /// A sentence without its first capital and its full stop.
  public let message: String

  public init(file: String, place: YAMLPlace? = nil, key: String = "", message: String) {
    self.file = file
    self.place = place
    self.key = key
    self.message = message
  }

  public var description: String {
    let line = place.map { ":\($0.line)" } ?? ""
    return "\(file)\(line): \(key.isEmpty ? "" : key + ": ")\(message)"
  }
}

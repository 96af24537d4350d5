import CYAML

/// Reads one YAML document into a tree, within bounds that no configuration of ours comes near.
///
/// Refused are aliases, anchors and tags (a few lines of them make gigabytes), keys that are no text or
/// stand twice, and more than one document.
public struct YAMLDocument {
  /// The largest file, in bytes.
  public static let largest = 64 << 10
  /// Lists and groups of keys within one another.
  public static let deepest = 16
  /// Values, lists and groups of keys in all.
  public static let mostNodes = 16_384

  private let file: String
  private let parser: OpaquePointer
  private var event = cyaml_event()
  private var nodes = 0

  /// The tree of the document in `bytes`; an empty document is an empty mapping.
  /// - Parameter file: what messages call it.
  public static func parse(
    _ bytes: [UInt8], file: String
  ) throws(ConfigurationError) -> YAMLNode {
    guard bytes.count <= largest else {
      throw ConfigurationError(file: file, message: "has more than \(largest >> 10) KiB")
    }
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw ConfigurationError(file: file, message: "is not UTF-8 text")
    }
    let outcome = bytes.withUnsafeBufferPointer {
      bytes -> Result<YAMLNode, ConfigurationError> in
      // SAFETY: the parser does not outlive the bytes, and the library gets the address of a byte
      // even where there are none.
      withUnsafePointer(to: UInt8(0)) { none in
        guard let parser = cyaml_open(bytes.baseAddress ?? none, bytes.count) else {
          return .failure(ConfigurationError(file: file, message: "there is no memory to read it"))
        }
        defer { cyaml_close(parser) }
        var document = YAMLDocument(file: file, parser: parser)
        return Result { () throws(ConfigurationError) in try document.whole() }
      }
    }
    return try outcome.get()
  }

  private init(file: String, parser: OpaquePointer) {
    self.file = file
    self.parser = parser
  }

  private mutating func whole() throws(ConfigurationError) -> YAMLNode {
    try next()
    guard event.kind == CYAML_DOCUMENT else {
      return YAMLNode(.mapping([]), at: YAMLPlace(line: 1, column: 1))
    }
    try next()
    let root = try node(depth: 0)
    try next()
    guard event.kind == CYAML_END else { throw error("a second document begins here") }
    return root.isEmpty ? YAMLNode(.mapping([]), at: root.place) : root
  }

  private mutating func next() throws(ConfigurationError) {
    cyaml_next(parser, &event)
    if event.kind == CYAML_ERROR { throw error("is no YAML: \(text)") }
  }

  /// The node that the current event begins.
  private mutating func node(depth: Int) throws(ConfigurationError) -> YAMLNode {
    nodes += 1
    guard nodes <= Self.mostNodes else { throw error("there are too many values") }
    guard depth <= Self.deepest else { throw error("the lists and groups are too deep") }
    guard event.kind != CYAML_ALIAS, !event.anchored else {
      throw error("anchors (&) and aliases (*) are not taken; write the value out")
    }
    guard !event.tagged else { throw error("tags (!) are not taken; write the value alone") }
    let place = place
    switch event.kind {
    case CYAML_SCALAR: return YAMLNode(.scalar(text, plain: event.plain), at: place)
    case CYAML_SEQUENCE:
      var items: [YAMLNode] = []
      try next()
      while event.kind != CYAML_CLOSE {
        items.append(try node(depth: depth + 1))
        try next()
      }
      return YAMLNode(.sequence(items), at: place)
    default: return YAMLNode(.mapping(try entries(depth: depth)), at: place)
    }
  }

  private mutating func entries(depth: Int) throws(ConfigurationError) -> [YAMLEntry] {
    var entries: [YAMLEntry] = []
    var seen: [String: Int] = [:]
    try next()
    while event.kind != CYAML_CLOSE {
      let place = place
      guard case .scalar(let key, _) = try node(depth: depth + 1).content else {
        throw ConfigurationError(file: file, place: place, message: "a key has to be text")
      }
      if let line = seen[key] {
        throw ConfigurationError(
          file: file, place: place, key: key, message: "stands twice, in line \(line) already")
      }
      seen[key] = place.line
      try next()
      entries.append(YAMLEntry(key: key, place: place, value: try node(depth: depth + 1)))
      try next()
    }
    return entries
  }

  private var place: YAMLPlace {
    YAMLPlace(line: Int(clamping: event.line), column: Int(clamping: event.column))
  }

  private var text: String {
    guard let text = event.text else { return "" }
    // SAFETY: the event's text has `length` bytes until the parser's next step.
    return String(
      decoding: UnsafeRawBufferPointer(start: text, count: event.length), as: UTF8.self)
  }

  private func error(_ message: String) -> ConfigurationError {
    ConfigurationError(file: file, place: place, message: message)
  }
}

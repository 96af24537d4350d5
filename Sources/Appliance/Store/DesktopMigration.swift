import Configuration

/// One step from an older layout of `desktop.yaml` to the next one.
struct DesktopMigration: Sendable {
  /// The version that it makes from the one before.
  let version: Int
  /// Gives the document's keys and values their new shape.
  let change: @Sendable ([YAMLEntry]) -> [YAMLEntry]

  /// All steps there ever were. The first version needs none.
  static let table: [DesktopMigration] = []

  /// `document` in the layout of today. One that tells no version has it already.
  /// - Throws: where a newer program wrote it.
  static func current(
    _ document: YAMLNode, _ file: String, table: [DesktopMigration] = table,
    newest: Int = DesktopConfiguration.version
  ) throws(ConfigurationError) -> YAMLNode {
    let reader = try KeyReader(document, file: file)
    guard let version = try reader.integer("version", in: 1...Int.max), version != newest,
      case .mapping(var entries) = document.content
    else { return document }
    guard version < newest else {
      throw reader.error(
        "version",
        "was written by a newer porthole; this one knows versions up to \(newest)")
    }
    for step in table where step.version > version { entries = step.change(entries) }
    return YAMLNode(.mapping(entries), at: document.place)
  }
}

/// How an image lies in its file.
enum ImageFormat: String, Sendable, Codable, CaseIterable {
  /// The file's bytes are the medium's.
  case raw
  /// QEMU's format with copy on write, versions 2 and 3.
  case qcow2
}

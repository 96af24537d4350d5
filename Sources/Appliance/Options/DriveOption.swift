import Storage

/// An image for a drive as `--disk`, `--floppy` and `--cdrom` take it: a path, and behind commas
/// `format=`, `cache=`, `discard=` and `read-only`.
///
/// A path may have commas. What counts as options is at the end, each at most once; so a file whose
/// name ends in `,format=raw` is given with an option of that kind behind it.
struct DriveOption: Equatable {
  var path: String
  var format: ImageFormat?
  var cache: CacheMode?
  var discard: DiscardMode?
  var isReadOnly = false

  /// What `text` asks for.
  static func parse(_ text: String) throws(Complaint) -> DriveOption {
    var option = DriveOption(path: text)
    while let comma = option.path.lastIndex(of: ",") {
      let word = option.path[option.path.index(after: comma)...]
      guard try option.take(word) else { break }
      option.path = String(option.path[..<comma])
    }
    guard !option.path.isEmpty else { throw Complaint("\"\(text)\" names no image") }
    return option
  }

  /// - Returns: false where `word` is no option, or the second of its kind.
  private mutating func take(_ word: Substring) throws(Complaint) -> Bool {
    if word == "read-only" {
      defer { isReadOnly = true }
      return !isReadOnly
    }
    if word.hasPrefix("format=") && format == nil {
      format = ImageFormat(rawValue: String(word.dropFirst(7)))
      guard format != nil else {
        throw Complaint("images are raw or qcow2, not \(word.dropFirst(7))")
      }
      return true
    }
    if word.hasPrefix("cache=") && cache == nil {
      cache = CacheMode(rawValue: String(word.dropFirst(6)))
      guard cache != nil else {
        throw Complaint(
          "cache is writeback, writethrough, none or unsafe, not \(word.dropFirst(6))")
      }
      return true
    }
    if word.hasPrefix("discard=") && discard == nil {
      discard = DiscardMode(rawValue: String(word.dropFirst(8)))
      guard discard != nil else {
        throw Complaint("discard is unmap or ignore, not \(word.dropFirst(8))")
      }
      return true
    }
    return false
  }

  /// The drive of that kind.
  func drive(_ kind: DriveKind, readOnly: Bool) -> DriveDescription {
    DriveDescription(
      kind: kind, path: path, readOnly: readOnly || isReadOnly || kind == .cdrom, format: format,
      cache: cache, discard: discard)
  }
}

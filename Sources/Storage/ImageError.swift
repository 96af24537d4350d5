import KVMEngine

/// What is wrong with a disk image, or with what was asked of it.
///
/// Its text is a sentence for the person who named the image.
public struct ImageError: Error, CustomStringConvertible, Sendable, Equatable {
  /// The kinds of trouble, for code that has to tell them apart.
  public enum Problem: String, Sendable, CaseIterable {
    case missing
    case directory
    case notAnImage
    case empty
    case unreadable
    case notWritable
    case inUse
    case truncated
    case oversized
    /// A format, or a part of one, that is not read here.
    case unsupported
    /// An image whose structures contradict themselves.
    case damaged
    /// The image under an overlay that can't be used.
    case badBacking
    /// A file that is there already where one is to be made.
    case exists
    /// A request beyond the image's end.
    case outOfRange
    /// A write to an image that was opened read-only.
    case readOnly
    /// The host could not read or write.
    case inputOutput
    /// The host's file system is full.
    case noSpace
    case notISO9660
    case noBootRecord
    case badBootCatalog
    case noBootEntry
    case noBootSector
    /// A drive without a medium.
    case noMedium
    /// A medium that the guest locked into its drive, or a drive that has no door.
    case locked
  }

  /// The image as it was named.
  public let path: String
  public let problem: Problem
  public let description: String

  /// - Parameter description: a whole sentence without its full stop, naming the image.
  public init(_ path: String, _ problem: Problem, _ description: String) {
    self.path = path
    self.problem = problem
    self.description = description
  }
}

extension ImageError {
  static func opening(_ path: String, readOnly: Bool, code: Int32) -> ImageError {
    let cause = HostError.text(of: code)
    switch code {
    case 2, 20:  // ENOENT, ENOTDIR
      return ImageError(path, .missing, "there is no image \(path)")
    case 21:  // EISDIR
      return ImageError(path, .directory, "\(path) is a directory, not an image")
    case 1, 13, 26, 30:  // EPERM, EACCES, ETXTBSY, EROFS
      if readOnly { return ImageError(path, .unreadable, "cannot read \(path): \(cause)") }
      return ImageError(
        path, .notWritable, "cannot write to \(path): \(cause); give it read-only")
    default:
      return ImageError(path, .unreadable, "cannot open \(path): \(cause)")
    }
  }

  static func inUse(_ path: String, readOnly: Bool) -> ImageError {
    ImageError(
      path, .inUse,
      readOnly
        ? "\(path) is in use: another desktop writes to it"
        : "\(path) is in use by another desktop or drive; only read-only use can be shared")
  }

  static func outOfRange(_ path: String, sector: UInt64, count: Int) -> ImageError {
    ImageError(path, .outOfRange, "\(path) has no sectors \(sector) to \(sector)+\(count)")
  }

  static func readOnly(_ path: String) -> ImageError {
    ImageError(path, .readOnly, "\(path) is read-only")
  }

  /// - Parameter offset: in bytes of the file.
  static func transfer(_ verb: String, _ path: String, _ offset: UInt64, code: Int) -> ImageError {
    let code = Int32(clamping: code)
    return ImageError(
      path, isFull(code) ? .noSpace : .inputOutput,
      "cannot \(verb) sector \(offset / 512) of \(path): \(HostError.text(of: code))")
  }

  static func flushing(_ path: String, code: Int32) -> ImageError {
    ImageError(path, .inputOutput, "cannot flush \(path): \(HostError.text(of: code))")
  }

  /// An operation on the file as a whole.
  static func handling(_ verb: String, _ path: String, code: Int32) -> ImageError {
    ImageError(
      path, isFull(code) ? .noSpace : .inputOutput,
      "cannot \(verb) \(path): \(HostError.text(of: code))")
  }

  static func damaged(_ path: String, _ what: String) -> ImageError {
    ImageError(path, .damaged, "\(path) is damaged: \(what)")
  }

  static func unsupported(_ path: String, _ what: String) -> ImageError {
    ImageError(path, .unsupported, "\(path) \(what)")
  }

  private static func isFull(_ code: Int32) -> Bool { code == 28 || code == 122 }  // ENOSPC, EDQUOT

  /// An image that is shorter than its own contents say.
  static func truncated(_ path: String, has: UInt64, says: UInt64, source: String) -> ImageError {
    ImageError(
      path, .truncated, "\(path) is truncated: it has \(has) bytes where \(source) says \(says)")
  }
}

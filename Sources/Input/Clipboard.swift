/// What a viewer last copied, kept for whoever asks to have it typed. It never reaches the guest by
/// itself.
struct Clipboard: Sendable {
  private enum Contents {
    case nothing
    case text(String)
    /// Bytes of a text that was too long to keep.
    case tooLong(Int)
  }

  private var contents = Contents.nothing
  /// Who copied it; nil where there is nothing.
  private(set) var owner: UInt64?

  /// A viewer copied `text`.
  mutating func take(_ text: String, from viewer: UInt64) {
    contents = text.isEmpty ? .nothing : .text(text)
    owner = text.isEmpty ? nil : viewer
  }

  /// A viewer copied a text of `bytes`, which nobody read.
  mutating func takeTooLong(_ bytes: Int, from viewer: UInt64) {
    contents = .tooLong(bytes)
    owner = viewer
  }

  /// The text to type.
  func text() throws(PasteError) -> String {
    switch contents {
    case .nothing: throw .nothingCopied
    case .text(let text): return text
    case .tooLong(let bytes): throw .tooLong(bytes: bytes)
    }
  }
}

/// Why nothing could be pasted.
public enum PasteError: Error, CustomStringConvertible, Sendable, Equatable {
  /// No viewer has told of a text.
  case nothingCopied
  /// The text that a viewer copied last is too long.
  case tooLong(bytes: Int)

  public var description: String {
    switch self {
    case .nothingCopied: "no viewer has copied a text since the desktop started"
    case .tooLong(let bytes):
      "the text that a viewer copied has \(bytes) bytes; more than \(InputHub.longestPaste) are not kept"
    }
  }
}

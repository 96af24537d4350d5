import CVNC

/// What a viewer copies: ClientCutText (RFC 6143, 7.5.6), and the extended clipboard (the community's
/// RFB protocol document), whose text is UTF-8 and comes when it is asked for.
extension Viewer {
  /// Bytes of a message that are kept; of more it is only known that they came.
  private static let longestText = 65_536
  /// Bytes of a message at most: a viewer that announces more is turned out.
  private static let longestMessage = 64 << 20

  /// Flags of the extended clipboard: a format, and actions.
  enum ClipboardFlag {
    static let text: UInt32 = 1
    static let capabilities: UInt32 = 1 << 24
    static let request: UInt32 = 1 << 25
    static let peek: UInt32 = 1 << 26
    static let notify: UInt32 = 1 << 27
    static let provide: UInt32 = 1 << 28
  }

  /// Reads a ClientCutText message; false where the viewer is gone or sends what no viewer may. A
  /// negative length is the extended clipboard's.
  func takeCutText() -> Bool {
    guard let header = socket.read(8, until: messageDeadline) else { return false }
    let length = Int32(bitPattern: Self.word(header, at: 4))
    let count = Int(length.magnitude)
    guard count <= Self.longestMessage else { return false }
    guard count <= Self.longestText else {
      input.copiedTooMuch(viewer: identifier, bytes: count)
      return skip(count)
    }
    guard let bytes = socket.read(count, until: messageDeadline) else { return false }
    if length >= 0 {
      input.copied(viewer: identifier, text: Self.text(bytes))
    } else {
      takeExtendedClipboard(bytes)
    }
    return true
  }

  private func skip(_ count: Int) -> Bool {
    var left = count
    while left > 0 {
      guard let piece = socket.read(min(left, 1 << 16), until: messageDeadline) else {
        return false
      }
      left -= piece.count
    }
    return true
  }

  /// The protocol says Latin-1, and many viewers send UTF-8: what is valid UTF-8 is taken for it.
  static func text(_ bytes: [UInt8]) -> String {
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    var text = ""
    for byte in bytes { text.unicodeScalars.append(Unicode.Scalar(byte)) }
    return text
  }

  // MARK: Extended clipboard

  /// What the server can do, for a viewer that lists the encoding: it takes text, up to a size even
  /// unasked. The library has announced a larger size by itself just before, and no notifications; what
  /// comes last counts.
  static let clipboardCapabilities = clipboardMessage(
    ClipboardFlag.capabilities | ClipboardFlag.request | ClipboardFlag.peek | ClipboardFlag.notify
      | ClipboardFlag.provide | ClipboardFlag.text, [UInt32(longestText)])

  private static func clipboardMessage(_ flags: UInt32, _ words: [UInt32] = []) -> [UInt8] {
    let length = Int32(4 + 4 * words.count)
    return [3, 0, 0, 0]
      + ([UInt32(bitPattern: 0 &- length), flags] + words).flatMap { word in
        withUnsafeBytes(of: word.bigEndian) { Array($0) }
      }
  }

  private func takeExtendedClipboard(_ bytes: [UInt8]) {
    guard bytes.count >= 4 else { return }
    let flags = Self.word(bytes, at: 0)
    if flags & ClipboardFlag.capabilities != 0 {
      // What the viewer can do is all the same: nothing is sent that it must know.
    } else if flags & ClipboardFlag.notify != 0 {
      if flags & ClipboardFlag.text != 0 {
        tell(Self.clipboardMessage(ClipboardFlag.request | ClipboardFlag.text))
      } else {
        input.copied(viewer: identifier, text: "")
      }
    } else if flags & ClipboardFlag.peek != 0 {
      // Nothing is there: the guest's clipboard is not known.
      tell(Self.clipboardMessage(ClipboardFlag.notify))
    } else if flags & ClipboardFlag.provide != 0, flags & ClipboardFlag.text != 0 {
      takeProvided(Array(bytes.dropFirst(4)))
    }
  }

  /// The formats follow in one zlib stream, text first: its length, then the text and a zero.
  private func takeProvided(_ packed: [UInt8]) {
    var bytes = [UInt8](repeating: 0, count: 4 + Self.longestText + 1)
    let count = cvnc_inflate(packed, packed.count, &bytes, bytes.count)
    guard count >= 4 else { return }
    let length = Int(Self.word(bytes, at: 0))
    guard length <= Self.longestText + 1 else {
      return input.copiedTooMuch(viewer: identifier, bytes: length)
    }
    guard length <= count - 4 else { return }
    let text = bytes[4..<4 + length].prefix { $0 != 0 }
    input.copied(viewer: identifier, text: Self.text(Array(text)))
  }

  private func tell(_ message: [UInt8]) {
    monitor.withLock {
      news.add(message)
      monitor.broadcast()
    }
  }
}

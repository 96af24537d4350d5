import CVNC

/// The viewer's keys and pointer, and the extensions for them that the library does not know. They are
/// read here: a message of ours never reaches the library.
extension Viewer {
  /// Encodings of a SetEncodings message that are looked at; no viewer lists so many.
  private static let encodingLimit = 1024
  private static let extendedKeyBytes = 12
  private static let manyButtonsBytes = 7

  // MARK: Extensions

  /// The encodings of the SetEncodings message that comes next (7.5.2), left in place; nil where the
  /// viewer is gone.
  func peekEncodings() -> Set<Int32>? {
    guard let header = socket.peek(4, until: messageDeadline) else { return nil }
    let count = min(Int(header[2]) << 8 | Int(header[3]), Self.encodingLimit)
    guard let bytes = socket.peek(4 + 4 * count, until: messageDeadline) else { return nil }
    return Set((0..<count).map { Int32(bitPattern: Self.word(bytes, at: 4 + 4 * $0)) })
  }

  /// Tells the viewer which of its extensions are served.
  func announce(_ encodings: Set<Int32>) {
    monitor.withLock {
      news.viewerUnderstands(encodings)
      monitor.broadcast()
    }
  }

  /// The lights of the guest's keyboard are `lights`: bit 0 Scroll Lock, bit 1 Num Lock, bit 2 Caps
  /// Lock. Does not wait for its peer.
  func setLights(_ lights: UInt8) {
    monitor.withLock {
      news.setLights(lights)
      monitor.broadcast()
    }
  }

  /// Writes what waits to be told. On the writing thread.
  func sendNews(_ viewer: OpaquePointer) -> Bool {
    let bytes = monitor.withLock { news.take() }
    return bytes.isEmpty || cvnc_write(viewer, bytes, bytes.count)
  }

  // MARK: Keys

  /// Reads a message of QEMU's; false where it is none that was announced.
  func takeExtendedKey() -> Bool {
    guard let bytes = socket.peek(2, until: messageDeadline), bytes[1] == 0,
      monitor.withLock({ news.understood.contains(ViewerNews.Encoding.extendedKey) }),
      let message = socket.read(Self.extendedKeyBytes, until: messageDeadline)
    else { return false }
    input.key(
      viewer: identifier, scanCode: Self.word(message, at: 8), keysym: Self.word(message, at: 4),
      pressed: message[2] | message[3] != 0)
    pump.noteInput()
    return true
  }

  /// A key event of RFB's own, from the library.
  func key(_ keysym: UInt32, pressed: Bool) {
    input.key(viewer: identifier, keysym: keysym, pressed: pressed)
    pump.noteInput()
  }

  // MARK: Pointer

  /// Whether the next PointerEvent may be a longer one with more buttons.
  var takesManyButtons: Bool {
    monitor.withLock { news.understood.contains(ViewerNews.Encoding.manyButtons) }
  }

  /// Reads a PointerEvent of a viewer that may send more buttons: the eighth bit of the mask then
  /// says that buttons 8 and 9 follow in one byte more.
  func takePointer() -> Bool {
    guard let start = socket.peek(2, until: messageDeadline) else { return false }
    let isLong = start[1] & 0x80 != 0
    let count = isLong ? Self.manyButtonsBytes : Self.manyButtonsBytes - 1
    guard let message = socket.read(count, until: messageDeadline) else { return false }
    var buttons = UInt16(message[1] & 0x7F)
    if isLong { buttons |= UInt16(message[6] & 3) << 7 }
    pointer(
      x: Int(message[2]) << 8 | Int(message[3]), y: Int(message[4]) << 8 | Int(message[5]),
      buttons: buttons)
    return true
  }

  /// The pointer is somewhere; anywhere, for all that the viewer says.
  func pointer(x: Int, y: Int, buttons: UInt16) {
    guard let size = monitor.withLock({ latest?.size }) else { return }
    input.pointer(
      viewer: identifier, x: min(max(x, 0), size.width - 1), y: min(max(y, 0), size.height - 1),
      buttons: buttons, frame: size)
    pump.noteInput()
  }

  // MARK: Size

  /// What a viewer that wishes for a size is told.
  enum SizeAnswer: Int32 {
    case prohibited = 1
    case invalid = 3
    /// The guest was told that the size would suit; whether and when it follows is its own.
    case forwarded = 4
  }

  /// The viewer would like to have a desktop of this size.
  func wish(_ width: Int, _ height: Int, screens: Int) -> SizeAnswer {
    if input is NoInput { return .prohibited }
    guard screens == 1 else { return .invalid }
    return pump.offer(FrameSize(width: width, height: height)) ? .forwarded : .invalid
  }

  /// Four bytes in network order.
  static func word(_ bytes: [UInt8], at offset: Int) -> UInt32 {
    bytes[offset..<offset + 4].reduce(0) { $0 << 8 | UInt32($1) }
  }
}

/// What becomes of the keys, the pointer and the text of a viewer that only views: nothing.
final class NoInput: ViewerInput {
  func key(viewer: UInt64, keysym: UInt32, pressed: Bool) {}
  func key(viewer: UInt64, scanCode: UInt32, keysym: UInt32, pressed: Bool) {}
  func pointer(viewer: UInt64, x: Int, y: Int, buttons: UInt16, frame: FrameSize) {}
  func copied(viewer: UInt64, text: String) {}
  func copiedTooMuch(viewer: UInt64, bytes: Int) {}
  func viewerGone(_ viewer: UInt64) {}
}

/// What the server tells a viewer of its own accord, beside the picture: that it serves an extension,
/// and the lights of the guest's keyboard. Each is a message of its own (RFC 6143, 7.6.1: a
/// FramebufferUpdate whose one rectangle is a pseudo-encoding).
struct ViewerNews: Sendable {
  /// Pseudo-encodings that say what a viewer understands (the community's RFB protocol document).
  enum Encoding {
    /// QEMU Extended Key Event.
    static let extendedKey: Int32 = -258
    /// QEMU LED State.
    static let lights: Int32 = -261
    /// VMware's LED state.
    static let vmwareLights: Int32 = 0x574D_5668
    /// Extended Mouse Buttons.
    static let manyButtons: Int32 = -316
    /// Fence.
    static let fence: Int32 = -312
    /// ContinuousUpdates.
    static let continuousUpdates: Int32 = -313
    /// Extended Clipboard.
    static let clipboard = Int32(bitPattern: 0xC0A1_E5CE)
  }

  /// What a viewer must understand to get updates without asking.
  static let continuousEncodings: Set<Int32> = [Encoding.fence, Encoding.continuousUpdates]
  /// Says that such updates are served, and later that they have ended.
  static let endOfContinuousUpdates: [UInt8] = [150]

  /// Messages that wait at most.
  private static let limit = 16

  /// Messages that wait, oldest first.
  private var messages: [[UInt8]] = []
  /// What the viewer's last SetEncodings listed of the above.
  private(set) var understood: Set<Int32> = []
  /// The lights as the guest has them: bit 0 Scroll Lock, bit 1 Num Lock, bit 2 Caps Lock.
  private var lights: UInt8 = 0
  /// The lights as the viewer was told; nil where it was told nothing.
  private var toldLights: UInt8?

  var isEmpty: Bool { messages.isEmpty && !hasNewLights }

  private var hasNewLights: Bool { lightsEncoding != nil && toldLights != lights }

  private var lightsEncoding: Int32? {
    [Encoding.lights, Encoding.vmwareLights].first(where: understood.contains)
  }

  /// The viewer says what it understands. It is told of each extension when it first lists it.
  mutating func viewerUnderstands(_ encodings: Set<Int32>) {
    defer { messages.removeFirst(max(0, messages.count - Self.limit)) }
    for encoding in [Encoding.extendedKey, Encoding.manyButtons]
    where encodings.contains(encoding) && !understood.contains(encoding) {
      messages.append(Self.update(encoding))
    }
    if encodings.contains(Encoding.clipboard) && !understood.contains(Encoding.clipboard) {
      messages.append(Viewer.clipboardCapabilities)
    }
    if encodings.contains(Encoding.fence) && !understood.contains(Encoding.fence) {
      messages.append(Viewer.fenceRequest(0))
    }
    if encodings.isSuperset(of: Self.continuousEncodings)
      && !understood.isSuperset(of: Self.continuousEncodings)
    {
      messages.append(Self.endOfContinuousUpdates)
    }
    understood = encodings
    if lightsEncoding == nil { toldLights = nil }
  }

  /// The guest set its keyboard's lights. However often it does, the viewer is told the last state.
  mutating func setLights(_ lights: UInt8) { self.lights = lights }

  /// Queues a message; one that a viewer asks for without reading any is dropped.
  mutating func add(_ message: [UInt8]) {
    if messages.count < Self.limit { messages.append(message) }
  }

  /// The bytes to write now; nothing waits afterwards.
  mutating func take() -> [UInt8] {
    defer { messages = [] }
    var bytes = messages.flatMap { $0 }
    if hasNewLights, let encoding = lightsEncoding {
      let state = encoding == Encoding.lights ? [lights] : [0, 0, 0, lights]
      bytes += Self.update(encoding) + state
      toldLights = lights
    }
    return bytes
  }

  /// An update of one empty rectangle.
  private static func update(_ encoding: Int32) -> [UInt8] {
    [0, 0, 0, 1] + [UInt8](repeating: 0, count: 8)
      + withUnsafeBytes(of: encoding.bigEndian) { Array($0) }
  }
}

/// The end of what a guest said on its serial port, in bounded memory.
struct SerialRecord {
  /// Bytes that are always kept; twice as many are there for a while, so that few are ever moved.
  static let kept = 64 << 10

  private(set) var bytes: [UInt8] = []

  mutating func append(_ byte: UInt8) {
    if bytes.count >= 2 * Self.kept { bytes.removeFirst(bytes.count - Self.kept) }
    bytes.append(byte)
  }
}

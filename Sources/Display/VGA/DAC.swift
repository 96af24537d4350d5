/// The DAC: 256 colours of 18 bits, or 24 (IBM VGA Technical Reference, section 2, "Video
/// Digital-to-Analog Converter"; ports 3C6h to 3C9h).
struct DAC: Codable, Equatable, Sendable {
  static let bytes = 768

  var pelMask: UInt8 = 0xFF
  /// Components are 8 bits wide, not 6 (the Bochs display interface switches it).
  var isWide = false
  private(set) var writeIndex: UInt8 = 0
  private var readIndex: UInt8 = 0
  /// Which component, 0 to 2, the next access of port 3C9h moves.
  private var component: UInt8 = 0
  /// The last index written was a read index.
  private var reading = false
  /// Red and green of a colour whose blue has not come yet.
  private var pending: [UInt8] = [0, 0]
  private var values = [UInt8](repeating: 0, count: bytes)

  var isWellFormed: Bool {
    values.count == Self.bytes && pending.count == 2 && component < 3
  }

  /// What port 3C7h reads: 0 while writing, 3 while reading.
  var state: UInt8 { reading ? 3 : 0 }

  mutating func setReadIndex(_ index: UInt8) {
    readIndex = index
    component = 0
    reading = true
  }

  mutating func setWriteIndex(_ index: UInt8) {
    writeIndex = index
    component = 0
    reading = false
  }

  mutating func readData() -> UInt8 {
    let value = values[Int(readIndex) * 3 + Int(component % 3)]
    component += 1
    if component >= 3 {
      component = 0
      readIndex &+= 1
    }
    return value
  }

  /// Returns whether a colour was completed.
  mutating func writeData(_ value: UInt8) -> Bool {
    let masked = isWide ? value : value & 0x3F
    if component < 2 {
      pending[Int(component)] = masked
      component += 1
      return false
    }
    component = 0
    let entry = writeIndex
    writeIndex &+= 1
    return setColor(entry, (pending[0], pending[1], masked))
  }

  /// Sets colour `index`; returns whether that changed it.
  mutating func setColor(_ index: UInt8, _ color: (UInt8, UInt8, UInt8)) -> Bool {
    let at = Int(index) * 3
    guard color != self.color(index) else { return false }
    values[at] = color.0
    values[at + 1] = color.1
    values[at + 2] = color.2
    return true
  }

  /// Colour `index` as it was written.
  func color(_ index: UInt8) -> (UInt8, UInt8, UInt8) {
    let at = Int(index) * 3
    return (values[at], values[at + 1], values[at + 2])
  }

  /// All 256 colours as `0x00RRGGBB`, the PEL mask applied to their indexes.
  func pixels() -> [UInt32] {
    (0..<256).map { index in
      let (red, green, blue) = color(UInt8(index) & pelMask)
      return widen(red) << 16 | widen(green) << 8 | widen(blue)
    }
  }

  private func widen(_ value: UInt8) -> UInt32 {
    if isWide { return UInt32(value) }
    return UInt32(value & 0x3F) << 2 | UInt32(value & 0x3F) >> 4
  }
}

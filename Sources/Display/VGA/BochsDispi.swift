/// The Bochs display interface: linear modes of any size behind two 16-bit ports (Bochs "VBE Display
/// Interface" specification; index port 1CEh, data port 1CFh, or 1D0h where words are aligned).
///
/// Modelled as its version B0C5h. Not modelled: the monitor's data channel (register 0Bh).
struct BochsDispi: Codable, Equatable, Sendable {
  static let maximumWidth = 2560
  static let maximumHeight = 1600
  static let maximumDepth = 32
  /// Bytes that the modes can show.
  static let memoryBytes = 16 << 20

  enum Register: UInt16 {
    case id, width, height, depth, enable, bank, virtualWidth, virtualHeight, x, y, memory64K
  }

  static let enabledBit: UInt16 = 0x01
  static let capabilitiesBit: UInt16 = 0x02
  static let wideDACBit: UInt16 = 0x20
  static let linearBit: UInt16 = 0x40
  static let keepMemoryBit: UInt16 = 0x80

  var index: UInt16 = 0
  private var id: UInt16 = 0xB0C5
  private(set) var width: UInt16 = 0
  private(set) var height: UInt16 = 0
  private(set) var depth: UInt16 = 8
  private(set) var enable: UInt16 = 0
  private(set) var bank: UInt16 = 0
  private(set) var virtualWidth: UInt16 = 0
  private(set) var x: UInt16 = 0
  private(set) var y: UInt16 = 0

  /// What a write asks the adapter to do.
  struct Effect: OptionSet {
    let rawValue: Int
    /// The picture is another one.
    static let picture = Effect(rawValue: 1)
    /// The banked window shows another part of memory.
    static let bank = Effect(rawValue: 2)
    /// The memory that the mode shows is to be cleared.
    static let clear = Effect(rawValue: 4)
  }

  var isWellFormed: Bool {
    Int(width) <= Self.maximumWidth && Int(height) <= Self.maximumHeight
      && Self.isDepth(depth) && bank < 256 && (!isEnabled || fits)
  }

  var isEnabled: Bool { enable & Self.enabledBit != 0 }
  var wideDAC: Bool { enable & Self.wideDACBit != 0 }

  /// Bytes of a pixel; 0 in the planar 4-bit mode.
  var bytesPerPixel: Int { depth == 4 ? 0 : (Int(depth) + 7) / 8 }
  /// Bytes from one row to the next; in the planar mode offsets in the planes.
  var pitch: Int { depth == 4 ? (Int(virtualWidth) + 7) / 8 : Int(virtualWidth) * bytesPerPixel }
  /// Rows that fit into the memory.
  var virtualHeight: Int {
    let memory = depth == 4 ? Self.memoryBytes / 4 : Self.memoryBytes
    return pitch == 0 ? 0 : min(memory / pitch, 0xFFFF)
  }

  private static func isDepth(_ depth: UInt16) -> Bool {
    [4, 8, 15, 16, 24, 32].contains(depth)
  }

  private var fits: Bool {
    width > 0 && height > 0 && virtualWidth >= width && Int(height) <= virtualHeight
  }

  /// Reads the register that `index` names; one that does not exist reads as zero.
  func read() -> UInt16 {
    let capabilities = enable & Self.capabilitiesBit != 0
    switch Register(rawValue: index) {
    case .id: return id
    case .width: return capabilities ? UInt16(Self.maximumWidth) : width
    case .height: return capabilities ? UInt16(Self.maximumHeight) : height
    case .depth: return capabilities ? UInt16(Self.maximumDepth) : depth
    case .enable: return enable
    case .bank: return bank
    case .virtualWidth: return virtualWidth
    case .virtualHeight: return UInt16(truncatingIfNeeded: virtualHeight)
    case .x: return x
    case .y: return y
    case .memory64K: return UInt16(Self.memoryBytes >> 16)
    case nil: return 0
    }
  }

  /// Writes the register that `index` names.
  mutating func write(_ value: UInt16) -> Effect {
    switch Register(rawValue: index) {
    case .id: setID(value)
    case .width: setSize { $0.width = min(value, UInt16(Self.maximumWidth)) }
    case .height: setSize { $0.height = min(value, UInt16(Self.maximumHeight)) }
    case .depth: setSize { $0.depth = Self.isDepth(value) ? value : value == 0 ? 8 : $0.depth }
    case .enable: return setEnable(value)
    case .bank: return setBank(value)
    case .virtualWidth: return setVirtualWidth(value)
    case .x: return setOffset(x: value, y: y)
    case .y: return setOffset(x: x, y: value)
    case .virtualHeight, .memory64K, nil: break
    }
    return []
  }

  private mutating func setID(_ value: UInt16) {
    if (0xB0C0...0xB0C5).contains(value) { id = value }
  }

  /// Size and depth change only while the interface is off.
  private mutating func setSize(_ change: (inout BochsDispi) -> Void) {
    if !isEnabled { change(&self) }
  }

  private mutating func setEnable(_ value: UInt16) -> Effect {
    let wasEnabled = isEnabled
    let changed = (enable ^ value) & (Self.enabledBit | Self.wideDACBit) != 0
    enable = value & 0xE3
    guard isEnabled, !wasEnabled else { return changed ? [.picture, .bank] : [] }
    virtualWidth = width
    (x, y, bank) = (0, 0, 0)
    guard fits else {
      enable &= ~Self.enabledBit
      return [.picture, .bank]
    }
    return value & Self.keepMemoryBit == 0 ? [.picture, .bank, .clear] : [.picture, .bank]
  }

  mutating func setBank(_ value: UInt16) -> Effect {
    let wanted = value & 0xFF
    guard wanted != bank else { return [] }
    bank = wanted
    return .bank
  }

  mutating func setVirtualWidth(_ value: UInt16) -> Effect {
    guard isEnabled else { return [] }
    let before = virtualWidth
    virtualWidth = max(value, width)
    if !fits { virtualWidth = before }
    return virtualWidth == before ? [] : .picture
  }

  /// The top left pixel on the screen, kept where the screen does not leave the memory.
  mutating func setOffset(x newX: UInt16, y newY: UInt16) -> Effect {
    guard isEnabled else { return [] }
    let before = (x, y)
    x = min(newX, virtualWidth - min(width, virtualWidth))
    y = min(newY, UInt16(clamping: virtualHeight - Int(height)))
    return before == (x, y) ? [] : .picture
  }

  /// Sets a whole mode. Returns nil, with nothing changed, where there is no such mode.
  mutating func setMode(
    width: Int, height: Int, depth: Int, linear: Bool, clear: Bool, wideDAC: Bool
  ) -> Effect? {
    guard (1...Self.maximumWidth).contains(width), (1...Self.maximumHeight).contains(height),
      let bits = UInt16(exactly: depth), Self.isDepth(bits)
    else { return nil }
    enable = 0
    self.width = UInt16(width)
    self.height = UInt16(height)
    self.depth = bits
    var value = Self.enabledBit
    if linear { value |= Self.linearBit }
    if !clear { value |= Self.keepMemoryBit }
    if wideDAC { value |= Self.wideDACBit }
    return setEnable(value)
  }

  /// Switches the width of the DAC's components.
  mutating func setWideDAC(_ wide: Bool) -> Effect {
    setEnable(wide ? enable | Self.wideDACBit : enable & ~Self.wideDACBit)
  }

  /// Back to the VGA's own modes.
  mutating func disable() -> Effect { setEnable(enable & ~Self.enabledBit & ~Self.wideDACBit) }
}

/// The registers of the whole adapter.
///
/// This is also what the adapter saves: its memory is a block that the builder made, and is saved
/// with the machine's other memory.
public struct VideoChips: Codable, Equatable, Sendable {
  /// Miscellaneous output (3C2h): bit 0 colour addresses, bit 1 host memory on.
  var misc: UInt8 = 0
  var featureControl: UInt8 = 0
  /// Video subsystem enable (3C3h); a register only, nothing hangs on it.
  var subsystemEnable: UInt8 = 1
  var sequencer = Sequencer()
  var crtc = CRTController()
  var graphics = GraphicsController()
  var attribute = AttributeController()
  var dac = DAC()
  var dispi = BochsDispi()
  /// The graphics controller's latches, plane p in bits 8p to 8p + 7.
  var latch: UInt32 = 0
  /// The text window stands for planes 0 and 1 (``VideoMemory``).
  var textInWindow = false

  /// Whether text is kept in the text window, as it is in plain text modes, not in the planes.
  public var isTextInWindow: Bool { textInWindow }

  var isWellFormed: Bool {
    sequencer.isWellFormed && crtc.isWellFormed && graphics.isWellFormed
      && attribute.isWellFormed && dac.isWellFormed && dispi.isWellFormed
  }

  /// How the host's window could be shown as plain memory now.
  var presentation: Presentation {
    guard misc & 0x02 != 0 else { return .pipeline }
    if dispi.isEnabled {
      guard dispi.depth != 4 else { return .pipeline }
      return .visible(at: 0, offset: Int(dispi.bank) << 16, size: 0x10000)
    }
    guard graphics.isTransparent else { return .pipeline }
    let window = graphics.hostWindow
    if sequencer.chain4 {
      guard sequencer.mapMask == 0x0F, window.lowerBound == 0 else { return .pipeline }
      return .visible(at: 0, offset: 0, size: window.count)
    }
    let pairs = sequencer.oddEven && graphics.oddEvenRead && graphics.chainsOddEven
    guard pairs, sequencer.mapMask == 0x03, graphics.readMap & 2 == 0,
      window.count == VideoMemory.textBytes
    else { return .pipeline }
    return .text(at: window.lowerBound)
  }

  /// The colours 0 to 15 of the attribute controller as pixels, by the DAC's `palette`.
  func attributeColors(_ palette: [UInt32]) -> [UInt32] {
    (0..<16).map { palette[Int(attribute.dacIndex(UInt8($0)))] }
  }
}

/// How the guest's accesses at A0000h to BFFFFh reach the memory. Places are offsets from A0000h.
enum Presentation: Equatable, Sendable {
  /// Every access goes through ``PlanarMemory``.
  case pipeline
  /// The text window is plain memory.
  case text(at: Int)
  /// `size` visible bytes from `offset` on are plain memory.
  case visible(at: Int, offset: Int, size: Int)
}

/// How pixels lie in the adapter's memory, as the host sees them.
enum VideoLayout: Sendable, Equatable {
  /// Characters and attributes.
  case text
  /// Two bits a pixel at B8000h, odd lines 2000h above even ones.
  case cgaFourColors
  /// One bit a pixel at B8000h, odd lines 2000h above even ones.
  case cgaTwoColors
  /// One bit a pixel in each of four planes.
  case planar
  /// A byte a pixel at A0000h.
  case packed
}

/// Which colours the DAC has after a mode was set.
enum VideoPaletteKind: Sendable, Equatable {
  /// The CGA's 16, for modes of 200 lines.
  case cga
  /// The EGA's 64.
  case ega
  /// Shades for monochrome modes.
  case monochrome
  /// 256 colours, of which the first 16 are the CGA's.
  case vga
}

/// A mode of function 00h: what the BIOS knows about it beside its registers (IBM VGA Technical
/// Reference, section 2, "Modes of Operation").
struct VideoMode: Sendable, Equatable {
  /// 0 to 13h.
  var number: UInt8
  var layout: VideoLayout
  /// Index into ``VideoParameters/table``.
  var parameterIndex: Int
  /// Pixels of a screen; text modes have their 400-line size.
  var width: Int
  var height: Int
  var palette: VideoPaletteKind
  /// Colours that can be shown at the same time; 0 for monochrome.
  var colors: UInt16
  /// Pages that the memory has room for.
  var pages: UInt8
  /// 40:65, what a CGA's or MDA's mode register would hold.
  var modeRegister: UInt8

  private init(
    _ number: UInt8, _ layout: VideoLayout, index: Int, width: Int, height: Int,
    palette: VideoPaletteKind, colors: UInt16, pages: UInt8, modeRegister: UInt8 = 0x29
  ) {
    self.number = number
    self.layout = layout
    parameterIndex = index
    self.width = width
    self.height = height
    self.palette = palette
    self.colors = colors
    self.pages = pages
    self.modeRegister = modeRegister
  }

  /// The mode's registers.
  var parameters: VideoParameters? { VideoParameters.table[parameterIndex] }
  /// Its CRT controller answers at 3B4h.
  var isMonochrome: Bool { number == 7 || number == 0x0F }
  /// Where the host sees its memory.
  var windowAddress: UInt64 {
    switch layout {
    case .planar, .packed: 0xA0000
    case .text: number == 7 ? 0xB0000 : 0xB8000
    case .cgaFourColors, .cgaTwoColors: 0xB8000
    }
  }

  /// The mode with `number`, or nil where the adapter has none. Text modes come with as many scan
  /// lines as `textLines` says: 200, 350 or 400 (mode 7 has no 200).
  static func find(_ number: UInt8, textLines: Int = 400) -> VideoMode? {
    guard var mode = all.first(where: { $0.number == number }) else { return nil }
    guard mode.layout == .text else { return mode }
    let lines = number == 7 && textLines == 200 ? 400 : textLines
    mode.height = lines
    switch (number, lines) {
    case (7, 350): mode.parameterIndex = 0x07
    case (7, _): mode.parameterIndex = 0x19
    case (_, 200): mode.parameterIndex = Int(number)
    case (_, 350): mode.parameterIndex = 0x13 + Int(number)
    default: mode.parameterIndex = number < 2 ? 0x17 : 0x18
    }
    if number != 7 { mode.palette = lines == 200 ? .cga : .ega }
    if lines != 400 && number != 7 { mode.width = number < 2 ? 320 : 640 }
    return mode
  }

  private static let all: [VideoMode] = [
    VideoMode(
      0x00, .text, index: 0x17, width: 360, height: 400, palette: .ega, colors: 16, pages: 8,
      modeRegister: 0x2C),
    VideoMode(
      0x01, .text, index: 0x17, width: 360, height: 400, palette: .ega, colors: 16, pages: 8,
      modeRegister: 0x28),
    VideoMode(
      0x02, .text, index: 0x18, width: 720, height: 400, palette: .ega, colors: 16, pages: 8,
      modeRegister: 0x2D),
    VideoMode(
      0x03, .text, index: 0x18, width: 720, height: 400, palette: .ega, colors: 16, pages: 8,
      modeRegister: 0x29),
    VideoMode(
      0x04, .cgaFourColors, index: 0x04, width: 320, height: 200, palette: .cga, colors: 4,
      pages: 1, modeRegister: 0x2A),
    VideoMode(
      0x05, .cgaFourColors, index: 0x05, width: 320, height: 200, palette: .cga, colors: 4,
      pages: 1, modeRegister: 0x2E),
    VideoMode(
      0x06, .cgaTwoColors, index: 0x06, width: 640, height: 200, palette: .cga, colors: 2,
      pages: 1, modeRegister: 0x1E),
    VideoMode(
      0x07, .text, index: 0x19, width: 720, height: 400, palette: .monochrome, colors: 0, pages: 8,
      modeRegister: 0x29),
    VideoMode(
      0x0D, .planar, index: 0x0D, width: 320, height: 200, palette: .cga, colors: 16, pages: 8),
    VideoMode(
      0x0E, .planar, index: 0x0E, width: 640, height: 200, palette: .cga, colors: 16, pages: 4),
    VideoMode(
      0x0F, .planar, index: 0x11, width: 640, height: 350, palette: .monochrome, colors: 0,
      pages: 2),
    VideoMode(
      0x10, .planar, index: 0x12, width: 640, height: 350, palette: .ega, colors: 16, pages: 2),
    VideoMode(
      0x11, .planar, index: 0x1A, width: 640, height: 480, palette: .ega, colors: 2, pages: 1),
    VideoMode(
      0x12, .planar, index: 0x1B, width: 640, height: 480, palette: .ega, colors: 16, pages: 1),
    VideoMode(
      0x13, .packed, index: 0x1C, width: 320, height: 200, palette: .vga, colors: 256, pages: 1),
  ]
}

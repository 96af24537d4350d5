/// The colours that the DAC has after a mode was set, components of 6 bits (IBM VGA Technical
/// Reference, "Video Digital-to-Analog Converter"; the 256 colours of mode 13h are the grey scale
/// and the colour circles that it describes).
enum VideoPalette {
  /// One colour.
  struct Color: Sendable, Equatable {
    var red: UInt8
    var green: UInt8
    var blue: UInt8

    init(_ red: UInt8, _ green: UInt8, _ blue: UInt8) {
      self.red = red
      self.green = green
      self.blue = blue
    }

    /// The grey as bright as this colour: 30 % red, 59 % green, 11 % blue.
    var grey: Color {
      let sum = 30 * UInt32(red) + 59 * UInt32(green) + 11 * UInt32(blue)
      let level = UInt8(truncatingIfNeeded: (sum + 50) / 100)
      return Color(level, level, level)
    }
  }

  /// The colours from index 0 on: 64 of them, or 256.
  static func colors(_ kind: VideoPaletteKind) -> [Color] {
    switch kind {
    case .cga: (0..<64).map { cga(UInt8($0)) }
    case .ega: (0..<64).map { ega(UInt8($0)) }
    case .monochrome: (0..<64).map { monochrome(UInt8($0)) }
    case .vga: vga
    }
  }

  /// Bits 0 to 2 are blue, green and red, bit 4 is intensity. Dark yellow is brown.
  private static func cga(_ index: UInt8) -> Color {
    if index & 0x17 == 6 { return Color(0x2A, 0x15, 0) }
    let bright: UInt8 = index & 0x10 == 0 ? 0 : 0x15
    func component(_ bit: UInt8) -> UInt8 { bright + (index & bit == 0 ? 0 : 0x2A) }
    return Color(component(4), component(2), component(1))
  }

  /// Bits 0 to 2 are two thirds of blue, green and red, bits 3 to 5 one third.
  private static func ega(_ index: UInt8) -> Color {
    func component(_ strong: UInt8, _ weak: UInt8) -> UInt8 {
      (index & strong == 0 ? 0 : 0x2A) + (index & weak == 0 ? 0 : 0x15)
    }
    return Color(component(0x04, 0x20), component(0x02, 0x10), component(0x01, 0x08))
  }

  /// Bit 3 is video, bit 4 intensity.
  private static func monochrome(_ index: UInt8) -> Color {
    let level: UInt8 = index & 0x08 == 0 ? 0 : index & 0x10 == 0 ? 0x2A : 0x3F
    return Color(level, level, level)
  }

  private static let greys: [UInt8] = [
    0x00, 0x05, 0x08, 0x0B, 0x0E, 0x11, 0x14, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x2D, 0x32, 0x38, 0x3F,
  ]

  /// Component levels of the colour circles, from the lowest to the highest: three intensities,
  /// each in three saturations.
  private static let circles: [[UInt8]] = [
    [0x00, 0x10, 0x1F, 0x2F, 0x3F], [0x1F, 0x27, 0x2F, 0x37, 0x3F], [0x2D, 0x31, 0x36, 0x3A, 0x3F],
    [0x00, 0x07, 0x0E, 0x15, 0x1C], [0x0E, 0x11, 0x15, 0x18, 0x1C], [0x14, 0x16, 0x18, 0x1A, 0x1C],
    [0x00, 0x04, 0x08, 0x0C, 0x10], [0x08, 0x0A, 0x0C, 0x0E, 0x10], [0x0B, 0x0C, 0x0D, 0x0F, 0x10],
  ]

  /// 24 hues from blue through red and green: in each sixth of the circle one component rises or
  /// falls between the lowest and the highest level.
  private static func circle(_ levels: [UInt8]) -> [Color] {
    (0..<24).map { hue in
      let step = hue % 4
      let (low, rising, falling, high) = (levels[0], levels[step], levels[4 - step], levels[4])
      switch hue / 4 {
      case 0: return Color(rising, low, high)
      case 1: return Color(high, low, falling)
      case 2: return Color(high, rising, low)
      case 3: return Color(falling, high, low)
      case 4: return Color(low, high, rising)
      default: return Color(low, falling, high)
      }
    }
  }

  private static let vga: [Color] = {
    var result = (0..<16).map { cga(UInt8($0 & 7 | ($0 & 8) << 1)) }
    result += greys.map { Color($0, $0, $0) }
    for levels in circles { result += circle(levels) }
    return result + [Color](repeating: Color(0, 0, 0), count: 8)
  }()
}

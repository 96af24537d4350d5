/// What the monitor says of itself (VESA Enhanced EDID Standard 1.3).
enum MonitorData {
  /// The block of 128 bytes.
  static let block: [UInt8] = {
    var bytes: [UInt8] = [0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00]
    bytes += maker("PTH") + [0x01, 0x00, 1, 0, 0, 0]  // product 1, serial number 1
    bytes += [1, 36, 1, 3]  // week 1 of 2026, EDID 1.3
    // Digital, 34 by 26 cm (4:3 as the preferred mode), gamma 2.2; RGB, the first timing preferred.
    bytes += [0x80, 34, 26, 120, 0x0A]
    // Chromaticity of sRGB.
    bytes += [0xEE, 0x91, 0xA3, 0x54, 0x4C, 0x99, 0x26, 0x0F, 0x50, 0x54]
    // 640x480, 800x600 and 1024x768 at 60 Hz, 720x400 at 70 Hz.
    bytes += [0xA1, 0x08, 0x00]
    bytes += standardTimings.flatMap { timing($0.width, $0.aspect) }
    bytes += preferred
    bytes += text(0xFC, "Porthole") + limits + text(0xFF, "1")
    bytes.append(0)
    let sum = bytes.reduce(UInt8(0), &+)
    return bytes + [0 &- sum]
  }()

  /// Shape of a standard timing, by its code (section 3.9).
  private enum Aspect: UInt8 {
    case sixteenToTen = 0
    case fourToThree = 1
    case fiveToFour = 2
    case sixteenToNine = 3
  }

  private static let standardTimings: [(width: Int, aspect: Aspect)] = [
    (1280, .fiveToFour), (1280, .sixteenToNine), (1280, .sixteenToTen), (1440, .sixteenToTen),
    (1600, .fourToThree), (1680, .sixteenToTen), (1920, .sixteenToNine), (1920, .sixteenToTen),
  ]

  private static func timing(_ width: Int, _ aspect: Aspect) -> [UInt8] {
    [UInt8(clamping: width / 8 - 31), aspect.rawValue << 6]  // at 60 Hz
  }

  /// Three letters of five bits each.
  private static func maker(_ name: String) -> [UInt8] {
    let code = name.utf8.reduce(UInt16(0)) { $0 << 5 | UInt16($1 & 0x1F) }
    return [UInt8(code >> 8), UInt8(code & 0xFF)]
  }

  /// 1024x768 at 60 Hz: 65 MHz, blanked 320 pixels and 38 lines (VESA DMT).
  private static let preferred: [UInt8] = [
    0x64, 0x19,  // 65.00 MHz
    0x00, 0x40, 0x41,  // 1024 shown, 320 blanked
    0x00, 0x26, 0x30,  // 768 shown, 38 blanked
    24, 136, 0x36, 0,  // front porch and sync: 24 and 136 pixels, 3 and 6 lines
    0x54, 0x04, 0x11, 0, 0, 0x18,  // 340 by 260 mm, separate syncs, both negative
  ]

  /// 50 to 75 Hz, 30 to 100 kHz, up to 400 MHz.
  private static let limits: [UInt8] = [
    0, 0, 0, 0xFD, 0, 50, 75, 30, 100, 40, 0, 0x0A, 0x20, 0x20, 0x20, 0x20, 0x20, 0x20,
  ]

  /// A descriptor with up to 13 characters.
  private static func text(_ tag: UInt8, _ value: String) -> [UInt8] {
    var characters = Array(value.utf8.prefix(13))
    if characters.count < 13 { characters.append(0x0A) }
    while characters.count < 13 { characters.append(0x20) }
    return [0, 0, 0, tag, 0] + characters
  }
}

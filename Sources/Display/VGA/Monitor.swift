import Synchronization

/// The monitor behind the adapter, and what it says of itself (VESA Enhanced EDID Standard 1.3).
///
/// The size that it prefers can change at any time, as if another monitor were plugged in: systems
/// learn of it when they ask the next time. There is no interrupt that tells them.
public final class DisplayMonitor: Sendable {
  /// What is preferred where nobody asked for anything.
  public static let standardSize = FrameSize(width: 1024, height: 768)
  /// The smallest size that can be preferred.
  public static let smallestSize = FrameSize(width: 320, height: 200)

  private let preferred = Mutex(DisplayMonitor.standardSize)

  public init() {}

  /// The size that the monitor prefers.
  public var preferredSize: FrameSize { preferred.withLock { $0 } }

  /// Prefers `size` from now on; its width becomes a multiple of 8 that is not larger, since timings
  /// count characters. Returns false, with nothing changed, where the adapter can't show it at 32
  /// bits a pixel or it is too small.
  public func prefer(_ size: FrameSize) -> Bool {
    let wanted = FrameSize(width: size.width & ~7, height: size.height)
    guard wanted.width >= Self.smallestSize.width, wanted.height >= Self.smallestSize.height,
      wanted.width <= BochsDispi.maximumWidth, wanted.height <= BochsDispi.maximumHeight,
      wanted.width * wanted.height * 4 <= VideoAdapter.visibleBytes
    else { return false }
    preferred.withLock { $0 = wanted }
    return true
  }

  /// The EDID's block of 128 bytes.
  public var data: [UInt8] { Self.data(preferring: preferredSize) }

  private static func data(preferring size: FrameSize) -> [UInt8] {
    let timing = DetailedTiming(size)
    var bytes: [UInt8] = [0x00, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x00]
    bytes += maker("PTH") + [0x01, 0x00, 1, 0, 0, 0]  // product 1, serial number 1
    bytes += [1, 36, 1, 3]  // week 1 of 2026, EDID 1.3
    // Digital, gamma 2.2; RGB, the first timing preferred.
    bytes += [
      0x80, UInt8(clamping: timing.widthMillimetres / 10),
      UInt8(clamping: timing.heightMillimetres / 10), 120, 0x0A,
    ]
    // Chromaticity of sRGB.
    bytes += [0xEE, 0x91, 0xA3, 0x54, 0x4C, 0x99, 0x26, 0x0F, 0x50, 0x54]
    // 640x480, 800x600 and 1024x768 at 60 Hz, 720x400 at 70 Hz.
    bytes += [0xA1, 0x08, 0x00]
    bytes += standardTimings.flatMap { timingCode($0.width, $0.aspect) }
    bytes += timing.descriptor
    bytes += text(0xFC, "Porthole") + limits + text(0xFF, "1")
    bytes.append(0)
    let sum = bytes.reduce(UInt8(0), &+)
    return bytes + [0 &- sum]
  }

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

  private static func timingCode(_ width: Int, _ aspect: Aspect) -> [UInt8] {
    [UInt8(clamping: width / 8 - 31), aspect.rawValue << 6]  // at 60 Hz
  }

  /// Three letters of five bits each.
  private static func maker(_ name: String) -> [UInt8] {
    let code = name.utf8.reduce(UInt16(0)) { $0 << 5 | UInt16($1 & 0x1F) }
    return [UInt8(code >> 8), UInt8(code & 0xFF)]
  }

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

/// A timing at 60 Hz with its blanks, as an EDID's descriptor has it (section 3.10.2).
private struct DetailedTiming {
  let size: FrameSize
  /// Tens of kHz.
  let clock: Int
  let blank: FrameSize
  /// From the picture to the sync, and the sync.
  let porch: FrameSize
  let sync: FrameSize
  /// Digital separate sync, and which of both are positive.
  let flags: UInt8

  /// 96 dots an inch, as systems believe where they don't know better.
  var widthMillimetres: Int { size.width * 254 / 960 }
  var heightMillimetres: Int { size.height * 254 / 960 }

  /// The VESA DMT's timing of 1024x768, and CVT with reduced blanking (VESA CVT 1.1, 3.4) of others.
  init(_ size: FrameSize) {
    self.size = size
    if size == DisplayMonitor.standardSize {
      clock = 6500
      blank = FrameSize(width: 320, height: 38)
      porch = FrameSize(width: 24, height: 3)
      sync = FrameSize(width: 136, height: 6)
      flags = 0x18
      return
    }
    // 460 microseconds of blank lines at least, of which 3, the sync and 6 are used.
    let syncLines = Self.syncLines(size)
    let lines = max(460 * 60 * size.height / (1_000_000 - 460 * 60) + 1, 3 + syncLines + 6)
    blank = FrameSize(width: 160, height: lines)
    porch = FrameSize(width: 48, height: 3)
    sync = FrameSize(width: 32, height: syncLines)
    // In steps of 250 kHz.
    clock = (size.width + 160) * (size.height + lines) * 60 / 250_000 * 25
    flags = 0x1A
  }

  /// By the shape of the picture (CVT, table 3-3).
  private static func syncLines(_ size: FrameSize) -> Int {
    let (width, height) = (size.width, size.height)
    if width * 3 == height * 4 { return 4 }
    if width * 9 == height * 16 { return 5 }
    if width * 10 == height * 16 { return 6 }
    if width * 4 == height * 5 || width * 9 == height * 15 { return 7 }
    return 10
  }

  /// The 18 bytes.
  var descriptor: [UInt8] {
    func low(_ value: Int) -> UInt8 { UInt8(truncatingIfNeeded: value) }
    func high(_ one: Int, _ other: Int) -> UInt8 { low((one >> 8) << 4 | (other >> 8) & 15) }
    let (across, down) = (widthMillimetres, heightMillimetres)
    return [
      low(clock), low(clock >> 8),
      low(size.width), low(blank.width), high(size.width, blank.width),
      low(size.height), low(blank.height), high(size.height, blank.height),
      low(porch.width), low(sync.width), low((porch.height & 15) << 4 | sync.height & 15),
      low(
        (porch.width >> 8) << 6 | (sync.width >> 8) << 4 | (porch.height >> 4) << 2 | sync.height
          >> 4),
      low(across), low(down), high(across, down), 0, 0, flags,
    ]
  }
}

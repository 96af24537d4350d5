/// A mode of the VESA BIOS extension (VESA VBE 3.0, section 3, "VBE Mode Numbers"; numbers from 140h
/// on are this adapter's own).
struct VESAMode: Sendable, Equatable {
  let number: UInt16
  let width: Int
  let height: Int
  /// Bits of a pixel: 4 (planar), 8, 15, 16, 24 or 32.
  let depth: Int

  var isPlanar: Bool { depth == 4 }
  var bytesPerPixel: Int { (depth + 7) / 8 }
  /// Bytes from one row to the next as the mode starts; of one plane where it is planar.
  var pitch: Int { isPlanar ? (width + 7) / 8 : width * bytesPerPixel }

  static func find(_ number: UInt16) -> VESAMode? { all.first { $0.number == number } }

  /// The lowest number of a mode of this size and depth.
  static func find(width: Int, height: Int, depth: Int) -> VESAMode? {
    all.first { $0.width == width && $0.height == height && $0.depth == depth }
  }

  static let all: [VESAMode] = standard + own

  private static let standard: [VESAMode] =
    [
      (0x100, 640, 400, 8), (0x101, 640, 480, 8), (0x102, 800, 600, 4), (0x103, 800, 600, 8),
      (0x104, 1024, 768, 4), (0x105, 1024, 768, 8), (0x106, 1280, 1024, 4), (0x107, 1280, 1024, 8),
      (0x10D, 320, 200, 15), (0x10E, 320, 200, 16), (0x10F, 320, 200, 24), (0x110, 640, 480, 15),
      (0x111, 640, 480, 16), (0x112, 640, 480, 24), (0x113, 800, 600, 15), (0x114, 800, 600, 16),
      (0x115, 800, 600, 24), (0x116, 1024, 768, 15), (0x117, 1024, 768, 16), (0x118, 1024, 768, 24),
      (0x119, 1280, 1024, 15), (0x11A, 1280, 1024, 16), (0x11B, 1280, 1024, 24),
    ].map { VESAMode(number: $0.0, width: $0.1, height: $0.2, depth: $0.3) }

  private static let own: [VESAMode] = {
    // The standard sizes in 32 bits, then the other sizes in each depth that matters.
    let standardSizes = [
      (320, 200), (640, 400), (640, 480), (800, 600), (1024, 768), (1280, 1024),
    ]
    let sizes = [
      (1152, 864), (1280, 720), (1280, 800), (1280, 960), (1360, 768), (1366, 768), (1440, 900),
      (1600, 900), (1600, 1200), (1680, 1050), (1920, 1080), (1920, 1200), (2048, 1536),
      (2560, 1440), (2560, 1600),
    ]
    var list = standardSizes.map { ($0.0, $0.1, 32) }
    for size in sizes {
      for depth in [8, 16, 24, 32] { list.append((size.0, size.1, depth)) }
    }
    return list.enumerated().map { index, mode in
      VESAMode(
        number: 0x140 + UInt16(index), width: mode.0, height: mode.1, depth: mode.2)
    }
  }()

  /// Where a pixel has its colours, as size and position in bits: red, green, blue and what is left.
  var masks: [UInt8] {
    switch depth {
    case 15: [5, 10, 5, 5, 5, 0, 1, 15]
    case 16: [5, 11, 6, 5, 5, 0, 0, 0]
    case 24: [8, 16, 8, 8, 8, 0, 0, 0]
    case 32: [8, 16, 8, 8, 8, 0, 8, 24]
    default: [0, 0, 0, 0, 0, 0, 0, 0]
    }
  }

  /// The block of 256 bytes of function 01h (VBE 3.0, section 4.4).
  func information(linearAddress: UInt32, memory: Int) -> [UInt8] {
    var block = VESABlock(count: 256)
    // Supported, colour, graphics, VGA compatible, with a linear frame buffer unless planar.
    block.put(UInt16(isPlanar ? 0x1B : 0x9B), at: 0x00)
    block.put(UInt8(0x07), at: 0x02)
    block.put(UInt16(64), at: 0x04)
    block.put(UInt16(64), at: 0x06)
    block.put(UInt16(0xA000), at: 0x08)
    block.put(UInt16(pitch), at: 0x10)
    block.put(UInt16(width), at: 0x12)
    block.put(UInt16(height), at: 0x14)
    block.put(UInt8(8), at: 0x16)
    block.put(UInt8(16), at: 0x17)
    block.put(UInt8(isPlanar ? 4 : 1), at: 0x18)
    block.put(UInt8(depth), at: 0x19)
    block.put(UInt8(1), at: 0x1A)
    block.put(UInt8(isPlanar ? 3 : depth == 8 ? 4 : 6), at: 0x1B)
    let pages = memory / max(1, pitch * height * (isPlanar ? 4 : 1)) - 1
    block.put(UInt8(clamping: pages), at: 0x1D)
    block.put(UInt8(1), at: 0x1E)
    block.put(masks, at: 0x1F)
    // Programs may use a direct colour pixel's spare bits.
    block.put(UInt8(depth == 15 || depth == 32 ? 2 : 0), at: 0x27)
    if !isPlanar {
      block.put(linearAddress, at: 0x28)
      block.put(UInt16(pitch), at: 0x32)
      block.put(UInt8(clamping: pages), at: 0x35)
      block.put(masks, at: 0x36)
    }
    block.put(UInt8(clamping: pages), at: 0x34)
    block.put(UInt32(400_000_000), at: 0x3E)
    return block.bytes
  }
}

/// A block of bytes that is filled in by offsets; what would leave it is ignored.
struct VESABlock {
  private(set) var bytes: [UInt8]

  init(count: Int) { bytes = [UInt8](repeating: 0, count: count) }

  mutating func put<Value: FixedWidthInteger>(_ value: Value, at offset: Int) {
    withUnsafeBytes(of: value.littleEndian) { put([UInt8]($0), at: offset) }
  }

  mutating func put(_ values: [UInt8], at offset: Int) {
    for (index, value) in values.enumerated() where bytes.indices.contains(offset + index) {
      bytes[offset + index] = value
    }
  }
}

import BIOS

/// The firmware's ROM as the guest sees it: 64 KiB at F000:0000 and just below 4 GiB.
public enum ROMImage {
  /// Bytes of the ROM.
  public static let size = Int(BIOS_ROM_SIZE)
  /// The real-mode segment that the ROM fills.
  public static let segment: UInt16 = 0xF000
  /// The guest-physical address that `segment`:0 stands for.
  public static let address: UInt64 = 0xF0000

  /// The assembled ROM with the fonts in place and a checksum that makes all bytes' sum zero.
  public static let bytes: [UInt8] = compose()

  private static func compose() -> [UInt8] {
    // SAFETY: the pointers name constant data of this binary, of the sizes that bios.h documents.
    var image = [UInt8](UnsafeBufferPointer(start: bios_rom_bytes(), count: size))
    let layout = bios_layout
    let fonts: [(offset: UInt16, bytes: UnsafePointer<UInt8>?, count: Int)] = [
      (layout.font_8x16, bios_font_8x16(), 256 * 16),
      (layout.font_8x14, bios_font_8x14(), 256 * 14),
      (layout.font_8x8_low, bios_font_8x8_low(), 128 * 8),
      (layout.font_8x8_high, bios_font_8x8_high(), 128 * 8),
    ]
    for font in fonts {
      let source = UnsafeBufferPointer(start: font.bytes, count: font.count)
      image.replaceSubrange(Int(font.offset)..<(Int(font.offset) + font.count), with: source)
    }
    let sum = image.dropLast().reduce(UInt8(0), &+)
    image[image.count - 1] = 0 &- sum
    return image
  }

  /// A little-endian word of the ROM.
  static func word(_ offset: UInt16) -> UInt16 {
    let index = Int(offset)
    guard index + 1 < bytes.count else { return 0xFFFF }
    return UInt16(bytes[index]) | UInt16(bytes[index + 1]) << 8
  }
}

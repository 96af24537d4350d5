import BIOS

/// The text fonts, as they lie in the ROM and are loaded into the adapter.
public enum FontData {
  /// A font of 256 characters, `height` bytes each: top row first, leftmost dot in bit 7.
  struct Font: Sendable {
    let height: Int
    let glyphs: [UInt8]

    /// The rows of one character.
    func rows(_ character: UInt8) -> ArraySlice<UInt8> {
      glyphs[(Int(character) * height)..<((Int(character) + 1) * height)]
    }
  }

  static let font8x16 = Font(height: 16, glyphs: copy(bios_font_8x16(), 256 * 16))
  static let font8x14 = Font(height: 14, glyphs: copy(bios_font_8x14(), 256 * 14))
  static let font8x8 = Font(
    height: 8, glyphs: copy(bios_font_8x8_low(), 128 * 8) + copy(bios_font_8x8_high(), 128 * 8))

  /// The font of `height`: 16, 14, otherwise 8.
  static func font(height: Int) -> Font {
    switch height {
    case 16: font8x16
    case 14: font8x14
    default: font8x8
    }
  }

  /// Offset in segment F000h of the font of `height` in one piece of 256 characters.
  static func offset(height: Int) -> UInt16 {
    switch height {
    case 16: VideoROM.layout.font_8x16
    case 14: VideoROM.layout.font_8x14
    default: VideoROM.layout.font_8x8_high &- 1024
    }
  }

  private static func copy(_ source: UnsafePointer<UInt8>?, _ count: Int) -> [UInt8] {
    // SAFETY: the fonts are constant and as long as their declarations say.
    guard let source else { return [UInt8](repeating: 0, count: count) }
    return [UInt8](UnsafeBufferPointer(start: source, count: count))
  }
}

/// What the video services keep in ROM: fonts, and tables that programs are given pointers to (IBM
/// PS/2 and PC BIOS Interface Technical Reference, INT 10h, functions 1Ah and 1Bh, "Save pointer
/// table").
public enum VideoROM {
  static let segment: UInt16 = 0xF000
  static let layout = bios_layout

  /// The table that function 1Bh points at.
  static var functionality: UInt16 { layout.video_data }
  /// The save pointer table, which 40:A8 points at.
  static var savePointers: UInt16 { layout.video_data &+ 0x10 }
  private static var secondPointers: UInt16 { layout.video_data &+ 0x30 }
  private static var combinations: UInt16 { layout.video_data &+ 0x50 }
  private static var parameters: UInt16 { layout.video_data &+ 0x80 }

  /// Puts fonts and tables into the ROM's image of 64 KiB.
  public static func install(in rom: inout [UInt8]) {
    func put(_ bytes: [UInt8], _ offset: UInt16) {
      let first = Int(offset)
      guard first + bytes.count <= rom.count else { return }
      rom.replaceSubrange(first..<(first + bytes.count), with: bytes)
    }
    put(FontData.font8x16.glyphs, layout.font_8x16)
    put(FontData.font8x14.glyphs, layout.font_8x14)
    put(FontData.font8x8.glyphs, FontData.offset(height: 8))
    put([UInt8](FontData.font8x8.glyphs.prefix(1024)), layout.font_8x8_low)
    put(functionalityTable, functionality)
    put(far(parameters) + [UInt8](repeating: 0, count: 12) + far(secondPointers), savePointers)
    put([26, 0] + far(combinations), secondPointers)
    put(combinationTable, combinations)
    let blank = [UInt8](repeating: 0, count: 64)
    put(VideoParameters.table.flatMap { $0?.bytes ?? blank }, parameters)
  }

  private static func far(_ offset: UInt16) -> [UInt8] {
    [
      UInt8(offset & 0xFF), UInt8(offset >> 8), UInt8(segment & 0xFF), UInt8(segment >> 8),
    ]
  }

  /// Modes 0 to 7, 0Dh to 0Fh and 10h to 13h; 200, 350 and 400 lines; 8 character maps, two of them
  /// at the same time; every function of the VGA's services.
  private static let functionalityTable: [UInt8] = [
    0xFF, 0xE0, 0x0F, 0, 0, 0, 0, 0x07, 8, 2, 0xFF, 0x0E, 0, 0, 0, 0,
  ]

  /// Entries, version, highest code, then the pairs of displays that can be.
  private static let combinationTable: [UInt8] = [
    16, 1, 8, 0,
    0, 0, 0, 1, 0, 2, 2, 1, 0, 4, 4, 1, 0, 5, 2, 5, 0, 6, 1, 6, 5, 6, 0, 8, 1, 8, 0, 7, 2, 7, 6, 7,
  ]
}

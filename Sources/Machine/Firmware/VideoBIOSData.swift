import KVMEngine

/// The video services' fields in the BIOS data area, which programs read and sometimes write (IBM
/// PS/2 and PC BIOS Interface Technical Reference, section 3, "BIOS Data Area and Extended BIOS
/// Data Area": 40:49 to 40:66, 40:84 to 40:8A, 40:A8).
struct VideoBIOSData {
  /// Bits of ``options`` (40:89).
  enum Option {
    static let vgaActive: UInt8 = 0x01
    static let greySumming: UInt8 = 0x02
    static let keepPalette: UInt8 = 0x08
    /// With ``lines200`` clear: text of 400 lines; both clear: 350 lines.
    static let lines400: UInt8 = 0x10
    static let lines200: UInt8 = 0x80
  }

  /// Interrupt vectors that hold pointers of the video services, as linear addresses.
  enum Vector {
    /// INT 1Fh: the upper half of the 8x8 font for CGA graphics.
    static let upperFont: UInt64 = 0x1F * 4
    /// INT 43h: the font of graphics modes.
    static let graphicsFont: UInt64 = 0x43 * 4
  }

  private static let base: UInt64 = 0x400
  let memory: LinearMemory

  private func byte(_ offset: UInt64) -> UInt8 {
    memory.load(Self.base + offset, as: UInt8.self)
  }
  private func setByte(_ offset: UInt64, _ value: UInt8) {
    memory.store(value, at: Self.base + offset)
  }
  private func word(_ offset: UInt64) -> UInt16 {
    memory.load(Self.base + offset, as: UInt16.self)
  }
  private func setWord(_ offset: UInt64, _ value: UInt16) {
    memory.store(value, at: Self.base + offset)
  }

  /// 40:49, the mode that is set.
  var mode: UInt8 {
    get { byte(0x49) }
    nonmutating set { setByte(0x49, newValue) }
  }
  /// 40:4A, characters of a row.
  var columns: UInt16 {
    get { word(0x4A) }
    nonmutating set { setWord(0x4A, newValue) }
  }
  /// 40:4C, bytes of a page as the host counts them.
  var pageSize: UInt16 {
    get { word(0x4C) }
    nonmutating set { setWord(0x4C, newValue) }
  }
  /// 40:4E, where the page that is shown starts.
  var pageStart: UInt16 {
    get { word(0x4E) }
    nonmutating set { setWord(0x4E, newValue) }
  }
  /// 40:60, the cursor's last (low byte) and first (high byte) line as they were asked for.
  var cursorShape: UInt16 {
    get { word(0x60) }
    nonmutating set { setWord(0x60, newValue) }
  }
  /// 40:62, the page that is shown.
  var page: UInt8 {
    get { byte(0x62) }
    nonmutating set { setByte(0x62, newValue) }
  }
  /// 40:63, the CRT controller's index port.
  var controllerPort: UInt16 {
    get { word(0x63) }
    nonmutating set { setWord(0x63, newValue) }
  }
  /// 40:65, what a CGA's or MDA's mode register would hold.
  var modeRegister: UInt8 {
    get { byte(0x65) }
    nonmutating set { setByte(0x65, newValue) }
  }
  /// 40:66, what a CGA's colour register would hold.
  var colorRegister: UInt8 {
    get { byte(0x66) }
    nonmutating set { setByte(0x66, newValue) }
  }
  /// 40:84, rows - 1.
  var lastRow: UInt8 {
    get { byte(0x84) }
    nonmutating set { setByte(0x84, newValue) }
  }
  /// 40:85, scan lines of a character.
  var characterHeight: UInt16 {
    get { word(0x85) }
    nonmutating set { setWord(0x85, newValue) }
  }
  /// 40:87: memory, monochrome, cursor emulation off (bit 0), memory kept at the last mode set
  /// (bit 7).
  var control: UInt8 {
    get { byte(0x87) }
    nonmutating set { setByte(0x87, newValue) }
  }
  /// 40:88, feature bits and switches.
  var switches: UInt8 {
    get { byte(0x88) }
    nonmutating set { setByte(0x88, newValue) }
  }
  /// 40:89, see ``Option``.
  var options: UInt8 {
    get { byte(0x89) }
    nonmutating set { setByte(0x89, newValue) }
  }
  /// 40:8A, the index of the display combination.
  var combination: UInt8 {
    get { byte(0x8A) }
    nonmutating set { setByte(0x8A, newValue) }
  }
  /// 40:A8, far pointer to the save pointer table.
  var savePointers: UInt32 {
    get { memory.load(Self.base + 0xA8, as: UInt32.self) }
    nonmutating set { memory.store(newValue, at: Self.base + 0xA8) }
  }

  /// 40:50 to 40:5F, the cursor of `page`; the low byte is the column. Pages above 7 do not exist
  /// and share page 0's.
  func cursor(_ page: UInt8) -> (row: UInt8, column: UInt8) {
    let value = word(0x50 + UInt64(page < 8 ? page : 0) * 2)
    return (UInt8(value >> 8), UInt8(value & 0xFF))
  }

  func setCursor(_ page: UInt8, row: UInt8, column: UInt8) {
    setWord(0x50 + UInt64(page < 8 ? page : 0) * 2, UInt16(row) << 8 | UInt16(column))
  }

  /// Rows on the screen, 1 to 256; a program that never set 40:84 means 25.
  var rows: Int { lastRow == 0 ? 25 : Int(lastRow) + 1 }
  /// Characters of a row, 1 to 256: an impossible value is brought into range.
  var width: Int { min(max(Int(columns), 1), 256) }
  /// Scan lines of a character, 1 to 32.
  var height: Int { min(max(Int(characterHeight), 1), 32) }
  /// Text of 200, 350 or 400 scan lines, as function 12h, subfunction 30h chose.
  var textLines: Int {
    if options & Option.lines200 != 0 { return 200 }
    return options & Option.lines400 != 0 ? 400 : 350
  }

  /// The far pointer in an interrupt vector as a linear address.
  func pointer(_ vector: UInt64) -> UInt64 {
    let value = memory.load(vector, as: UInt32.self)
    return UInt64(value >> 16) << 4 + UInt64(value & 0xFFFF)
  }

  func setPointer(_ vector: UInt64, segment: UInt16, offset: UInt16) {
    memory.store(UInt32(segment) << 16 | UInt32(offset), at: vector)
  }

  /// 40:49 to 40:66 as they are, for those who save or report them.
  var lowBytes: [UInt8] {
    get { memory.bytes(at: Self.base + 0x49, count: 30) }
    nonmutating set { memory.write(Self.base + 0x49, bytes: Array(newValue.prefix(30))) }
  }
  /// 40:84 to 40:8A as they are.
  var highBytes: [UInt8] {
    get { memory.bytes(at: Self.base + 0x84, count: 7) }
    nonmutating set { memory.write(Self.base + 0x84, bytes: Array(newValue.prefix(7))) }
  }
}
